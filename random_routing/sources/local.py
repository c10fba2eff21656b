"""Models and data sets that lie on this machine: `file:path`, relative to the project's folder."""

from __future__ import annotations

import fnmatch
import gzip
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from random_routing.errors import PipelineError, short
from random_routing.progress import say
from random_routing.settings import Asset
from random_routing.sources.as_json_lines import wanted_columns, write_records
from random_routing.sources.file_formats import FORMATS, DataFile, Rows, Unreadable
from random_routing.sources.hub import RUNS_CODE, WEIGHTS
from random_routing.sources.pypi import matches


def fetch_local(asset: Asset, target: Path) -> None:
    """Copy or convert the file or folder into `target`. Raises `PipelineError`."""
    path = Path(asset.sources[0].removeprefix("file:"))
    if not path.exists():
        raise PipelineError(f"assets.{asset.name}.source: {path} does not exist")
    files = [path / name for name in chosen(asset, path)] if path.is_dir() else [path]
    if asset.members and not path.is_dir():
        raise PipelineError(f"assets.{asset.name}.member = {asset.members[0]!r}: {path} is no folder")
    if asset.kind == "data" and asset.reader == "records":
        write_records(asset, _rows(asset, data_files(asset, path, files)), target)
        return
    for file in files:
        copy = target / (file.relative_to(path) if path.is_dir() else file.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)


def chosen(asset: Asset, folder: Path) -> list[str]:
    """Names of the files below `folder` that are taken, in order.

    Not hidden ones, nor the `asset.json` of a folder that was fetched elsewhere, nor what runs code as a model.
    `member` says which weights of a model, and which files of a data set.
    """
    names = []
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names += [
            str((Path(place) / name).relative_to(folder)) for name in files if not name.startswith(".")
        ]
    names = sorted(set(names) - {"asset.json"})
    for pattern in asset.members:
        if not any(matches(name, pattern) for name in names):
            raise PipelineError(f"assets.{asset.name}.member = {pattern!r}: {folder} holds no such file")
    left_out = [] if asset.kind == "data" else RUNS_CODE
    bound = ["*"] if asset.kind == "data" else [*WEIGHTS, "*.gguf"]  # what `member` chooses among
    return [
        name
        for name in names
        if not _is_any(name, left_out)
        and (not asset.members or not _is_any(name, bound) or any(matches(name, p) for p in asset.members))
    ]


def _is_any(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(Path(name).name, pattern) for pattern in patterns)


def data_files(asset: Asset, path: Path, files: list[Path]) -> list[DataFile]:
    """The files of `path` that hold rows, which must be of one kind."""
    data = [DataFile(file, asset.encoding) for file in files]
    known = [file for file in data if file.ending in FORMATS]
    kinds = {FORMATS[file.ending].kind for file in known}
    if len(kinds) != 1:
        shown = ", ".join(sorted({file.ending or file.path.name for file in known or data})) or "nothing"
        raise PipelineError(
            f"assets.{asset.name}.source: {path} holds {shown}; must be a file, or files of one kind, "
            f"ending in {', '.join(sorted(FORMATS))}, or in one of these and .gz"
        )
    return known


def _rows(asset: Asset, files: list[DataFile]) -> Rows:
    """Each with its file's name; says what a record of plain text is."""
    wanted, rules = wanted_columns(asset), Counter[str]()
    for file in files:
        place = ""
        for place, row in _readable(asset, file, wanted):
            yield f"{file.path.name}, {place}", row
        rules[place.split(" ")[0]] += FORMATS[file.ending].kind == "text"
    says = {
        "paragraph": "a paragraph, as blank lines divide the text",
        "line": "a line, as no blank line divides it",
    }
    for rule, words in says.items():
        if rules[rule]:
            say("fetch", f"{asset.name}: a record is {words} ({rules[rule]} of {len(files)} files)")


def _readable(asset: Asset, file: DataFile, wanted: set[str]) -> Iterator[tuple[str, Any]]:
    """The file's rows. Raises `PipelineError` where it is not what its ending and `encoding` say."""
    from pyarrow import ArrowException

    where = f"assets.{asset.name}: {file.path} cannot be read"
    try:
        yield from FORMATS[file.ending].read(file, wanted)
    except UnicodeError as error:
        raise PipelineError(
            f"{where} as {file.encoding} ({short(error)}); assets.{asset.name}.encoding in params.yaml says how it is "
            "written, such as cp1252, latin-1, utf-16"
        ) from None
    except (Unreadable, ArrowException, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PipelineError(f"{where} ({short(error)})") from None
