"""Removes what tasks and assets that left params.yaml have left behind: files of the pipeline's own names alone.

DVC keeps its outputs in the cache, and finished texts stay in the store: a task that comes back is not computed again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from random_routing.errors import PipelineError
from random_routing.files import read_json

STAGES = ("prepare", "generate", "evaluate", "tune")
OF_A_TASK = (
    "data/prepared/{0}.jsonl", "data/generations/{0}/*.parquet", "data/cost/generate-{0}.json",
    "data/cost/evaluate-{0}.json", "data/metrics/{0}.json", "data/metrics/{0}.stats.parquet",
    "data/metrics/{0}.texts.parquet", "data/tune/{0}.json", "data/cost/tune-{0}.json",
)  # fmt: skip


def prune(possible: Collection[str], tasks: Collection[str], assets: Collection[str]) -> list[str]:
    """possible: names of tasks; tasks, assets: those of params.yaml. Returns what was removed, for people."""
    gone = [task for task in dict.fromkeys(possible) if task not in tasks]
    removed = [f"task {task}" for task in gone if remove(files_of_task(task))]
    for folder in sorted(Path("data/assets").glob("*/asset.json")):
        name = folder.parent.name
        if name not in assets and remove(files_of_asset(folder.parent)):
            removed.append(f"asset {name}")
    return removed


def prune_learning(entries: Collection[str]) -> list[str]:
    """Entries of section `learning` that left. Returns what was removed, for people."""
    gone = sorted({path.stem for path in Path("data/learning").glob("*.parquet")} - {*entries})
    for name in gone:
        remove(
            path for kind in ("parquet", "json") if (path := Path(f"data/learning/{name}.{kind}")).is_file()
        )
    return [f"learning {name}" for name in gone]


def tasks_that_ran() -> list[str]:
    """By DVC's own list of finished stages; a file that is no task's has no such name."""
    try:
        lock = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    stages = lock.get("stages") if isinstance(lock, dict) else None
    names = (str(stage).partition("@") for stage in (stages if isinstance(stages, dict) else ()))
    return sorted({task for stage, _, task in names if stage in STAGES and re.fullmatch(r"[\w-]+", task)})


def files_of_task(task: str) -> Iterator[Path]:
    for pattern in OF_A_TASK:
        yield from sorted(Path().glob(pattern.format(task)))


def files_of_asset(folder: Path) -> Iterator[Path]:
    """What fetch has written there, by its own list; nothing of a folder whose list is another's or damaged."""
    try:
        record = read_json(folder / "asset.json")
    except PipelineError:
        return
    if not isinstance(record, dict) or record.get("name") != folder.name:
        return
    inside = folder.resolve()
    for name in record["files"]:
        path = folder / name
        if path.is_file() and path.parent.resolve().is_relative_to(inside):
            yield path
    yield folder / "asset.json"


def remove(files: Iterator[Path]) -> bool:
    """Remove files, and the folders below data/…/ that are then empty. Returns whether there were any."""
    listed = list(files)
    for path in listed:
        path.unlink()
    for folder in sorted({parent for path in listed for parent in path.parents}, reverse=True):
        if len(folder.parts) > 2 and not any(folder.iterdir()):
            folder.rmdir()
    return bool(listed)
