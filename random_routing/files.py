"""Reading and writing files: written under a temporary name and moved into place, never half."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from random_routing.errors import PipelineError


def temporary_beside(path: Path) -> Path:
    """A name of this process's own beside `path`; what killed processes left under such names is removed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if not is_alive(left.suffixes[-2][1:]):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:  # another user's
        pass
    return True


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it into place if the block ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:  # a full disk, whose error names no file
        if error.filename is None:
            raise PipelineError(f"{path}: cannot be written ({error.strerror or error})") from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any, indent: int | None = None) -> None:
    """JSON with sorted keys. NaN is refused (write None for a missing value)."""
    write_text(path, json.dumps(value, indent=indent, sort_keys=True, allow_nan=False) + "\n")


SEAL = "sha256 of the rest"  # the key under which an object holds the hash of its other keys


def sealed(value: dict[str, Any], inside: str = "") -> dict[str, Any]:
    """`value` with its own hash, which shows a changed digit in JSON that is still well formed.

    inside: the key of a mapping in `value` that takes the hash, where the keys of `value` itself are fixed.
    """
    seal = {SEAL: sha256_json(json.loads(json.dumps(value)))}
    return {**value, inside: {**value[inside], **seal}} if inside else {**value, **seal}


def unsealed(where: str, value: Any, inside: str = "") -> Any:
    """Without the hash, if there is one. Raises `PipelineError` naming `where` when it does not fit."""
    holder = value.get(inside) if inside and isinstance(value, dict) else value
    if not isinstance(holder, dict) or SEAL not in holder:
        return value
    rest = {key: item for key, item in holder.items() if key != SEAL}
    plain = {**value, inside: rest} if inside else rest
    if holder[SEAL] != sha256_json(plain):
        raise PipelineError(f"{where}: damaged or edited (its hash is another); dvc repro makes it anew")
    return plain


def read_json(path: str | Path) -> Any:
    """Raises `PipelineError` with the file's name when it is missing, broken or not as it was sealed."""
    try:
        return unsealed(str(path), json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise PipelineError(f"{path}: is not JSON ({error})") from None


def write_jsonl(path: str | Path, rows: list[dict[str, Any]]) -> None:
    write_text(path, "".join(f"{_json_line(row)}\n" for row in rows))


def _json_line(row: dict[str, Any]) -> str:
    """Readable; with escapes where it holds half a character, which no UTF-8 file can."""
    line = json.dumps(row, ensure_ascii=False, sort_keys=True, allow_nan=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(row, sort_keys=True, allow_nan=False)
    return line


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Raises `PipelineError` with file and line number when a line is broken, or not as it was sealed."""
    rows: list[dict[str, Any]] = []
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                rows.append(unsealed(f"{path}, line {len(rows) + 1}", json.loads(line), "meta"))
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise PipelineError(f"{path}, line {len(rows) + 1}: is not JSON ({error})") from None
    return rows


def sha256_file(path: str | Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


ENDPOINT = (
    "endpoint.json"  # in an asset's folder: a model that a server runs, and what the server says of it
)


def asset_files(folder: Path) -> dict[str, str]:
    """Hash of each file of an asset by its name, as fetch wrote them."""
    files: dict[str, str] = read_json(folder / "asset.json")["files"]
    return files


@cache
def _sha256_unchanged(path: Path, changed: int) -> str:
    return sha256_file(path)


def check_asset(folder: str | Path, weights: bool) -> None:
    """Compare an asset's files with the hashes that fetch wrote: the weights, or all others.

    Once per process and file: 1 GB takes about a second. Raises `PipelineError` naming the file. A folder
    without `asset.json` was not fetched and is taken as it is.
    """
    folder = Path(folder).resolve()
    if not (folder / "asset.json").exists():
        return
    for name, digest in asset_files(folder).items():
        path = folder / name
        if (path.suffix == ".safetensors") != weights:
            continue
        if not path.is_file() or _sha256_unchanged(path, path.stat().st_ctime_ns) != digest:
            raise PipelineError(
                f"data/assets/{folder.name}/{name}: damaged, edited or missing (asset.json has another hash); "
                f"run dvc repro fetch@{folder.name}"
            )


def sha256_json(value: Any) -> str:
    """Content key of a JSON value: independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
