"""A folder of `data/assets/` that is filled whole or not at all, with the hashes of its files in `asset.json`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from random_routing.files import sealed, sha256_file, temporary_beside, write_json
from random_routing.progress import say

ASSETS = Path("data/assets")


@contextmanager
def asset_folder(stage: str, name: str, kind: str, sources: Sequence[str]) -> Iterator[Path]:
    """Give an empty folder, which takes the place of the asset if the block ends well."""
    target = ASSETS / name
    ASSETS.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(target)
    try:
        folder = temporary / name
        folder.mkdir(parents=True)
        yield folder
        files = _seal(folder, {"name": name, "kind": kind, "sources": list(sources)})
        if target.exists():
            shutil.rmtree(target)
        os.replace(folder, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    say(stage, f"{name}: {len(files)} files, {size / 1e6:.1f} MB in {target}")


def _seal(folder: Path, about: dict[str, object]) -> dict[str, str]:
    """Write `asset.json`: the SHA-256 of every file, from which content keys are made."""
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # of the hub's client
    files = {
        str(path.relative_to(folder)): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    write_json(folder / "asset.json", sealed({**about, "files": files}), indent=1)
    return files
