"""Models and data sets that lie on this machine: `file:path`, relative to the project's folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.checks import PipelineError, short
from pipeline.settings import Asset
from pipeline.sources.hub import RUNS_CODE
from pipeline.sources.records import write_records

# Ending → builder of the datasets library.
BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet", ".txt": "text"}


def fetch_local(asset: Asset, target: Path) -> None:
    """Copy or convert the file or folder into `target`. Raises `PipelineError`."""
    path = Path(asset.sources[0].removeprefix("file:"))
    if not path.exists():
        raise PipelineError(f"assets.{asset.name}.source: {path} does not exist")
    if asset.kind == "data" and asset.reader == "records":
        _load_records(asset, path, target)
    elif path.is_dir():
        left_out = () if asset.kind == "data" else RUNS_CODE
        shutil.copytree(path, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*left_out, ".git*"))
    else:
        shutil.copy2(path, target / path.name)


def _load_records(asset: Asset, path: Path, target: Path) -> None:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    builder, files = data_files(asset, path)
    cache = target / ".cache"
    marked = {"encoding": "utf-8-sig"} if builder == "text" else {}  # the others know the mark themselves
    try:
        rows = load_dataset(
            builder, data_files=[str(file) for file in files], split="train", cache_dir=str(cache), **marked
        )
        write_records(asset, rows, target)
    except (DatasetsError, ValueError) as error:
        cause = short(error.__cause__ or error)
        raise PipelineError(f"assets.{asset.name}: {path} cannot be read ({cause})") from None
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def data_files(asset: Asset, path: Path) -> tuple[str, list[Path]]:
    """The builder for `path` and its files: one file, or all of a folder, which must be of one kind."""
    files = sorted(p for p in path.rglob("*") if p.suffix in BUILDERS) if path.is_dir() else [path]
    builders = sorted({BUILDERS.get(file.suffix, "") for file in files})
    if len(builders) != 1 or builders == [""]:
        allowed = ", ".join(sorted(BUILDERS))
        found = ", ".join(sorted({file.suffix for file in files})) or "nothing"
        raise PipelineError(
            f"assets.{asset.name}.source: {path} holds {found}; must be a file, or files of one kind, "
            f"ending in {allowed}"
        )
    return builders[0], files
