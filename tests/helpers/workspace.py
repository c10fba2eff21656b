"""A whole project in a folder, on tiny random models and invented records: no download."""

from __future__ import annotations

import contextlib
import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from pipeline import fetch, prepare
from tests.helpers.text_params import text_params
from tests.helpers.tiny import tiny_embedder_folder, tiny_model_folder

SAMPLE = "the market rose and fell while people of many towns talked about rain and trade"


def sentence(seed: int, length: int) -> str:
    words = SAMPLE.split()
    return " ".join(words[(seed * 7 + i * (seed + 3)) % len(words)] for i in range(length))


def records(task: str, count: int) -> list[dict[str, Any]]:
    if task == "textgen":
        return [{"text": f"{i} {sentence(i, 30)}"} for i in range(count)]
    if task == "dialogue":
        return [
            {"context": [f"{i} {sentence(i + t, 4)}" for t in range(3)], "reply": sentence(i, 6)}
            for i in range(count)
        ]
    return [{"source": f"{i} {sentence(i, 4)}", "references": [sentence(i + 1, 4)]} for i in range(count)]


def params(examples: int = 4, steps: int = 8) -> dict[str, Any]:
    values = text_params()
    values["grid"] = {"q": [0, 0.1, 0.3], "lambda": [0, 0.1]}
    kept = ("uniform", "epsilon-greedy", "plausible")  # pipeline/test_variants.py has the others
    values["variants"] = {name: values["variants"][name] for name in kept}
    for variant in values["variants"].values():
        variant.pop("grid", None)
    values["learning"] = {}  # pipeline/test_learn.py has agents
    values["comparison"] |= {"diversity": "ead_2", "contrasts": {}}
    values["comparison"]["quality"]["textgen"] = ["mauve", "fluency_gap"]
    values["tune"]["target"] = "human"
    values["baselines"] = {"greedy": True, "temperature": [0.7, 1.0], "top_p": [0.9]}
    values["bootstrap"]["resamples"] = 100
    values["tune"] |= {"trials": 4, "batch": 2, "variants": ["uniform"], "schedules": ["constant"]}
    values["assets"] = {
        "one": {"kind": "model", "source": "file:models/one"},
        "two": {"kind": "model", "source": "file:models/two"},
        "bert": {"kind": "embedder", "source": "file:models/bert"},
    }
    values["embedder"] = "bert"
    values["report"]["formats"] = []  # unit/report/test_figures.py draws them
    values["workers"] = 1  # tests have several at once
    for name, task in values["tasks"].items():
        task |= {
            "model": "one",
            "judge": "two",
            "data": name,
            "examples": examples,
            "samples": 1,
            "max_new_tokens": steps,
        }
        values["assets"][name] = {"kind": "data", "source": f"file:{name}.jsonl", "reader": "records"}
    values["tasks"]["textgen"]["prompt_tokens"] = 8
    values["tasks"]["translation"]["shots"] = 1
    return values


def write_params(folder: Path, values: dict[str, Any]) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def make_sources(folder: Path) -> None:
    """The models and records that the assets of `params` are made from."""
    tiny_model_folder(folder / "models/one")
    tiny_model_folder(folder / "models/two", seed=1)  # a judge is another model than the generator
    tiny_embedder_folder(folder / "models/bert")
    for task in ("textgen", "dialogue", "translation"):
        lines = [json.dumps(record) for record in records(task, 20)]
        (folder / f"{task}.jsonl").write_text("\n".join(lines))


def make_workspace(folder: Path, fetched: bool = True) -> Path:
    """Models, records, params.yaml and a DVC repository in `folder`, fetched and prepared."""
    make_sources(folder)
    values = params()
    write_params(folder, values)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = True\n")  # as of `dvc init --no-scm`
    if fetched:
        with inside(folder):
            for asset in values["assets"]:
                fetch.main([asset])
            for task in values["tasks"]:
                prepare.main([task])
    return folder


def columns(folder: Path) -> dict[str, Any]:
    """Cell → the columns of its file."""
    paths = sorted((folder / "data/generations").glob("*/*.parquet"))
    return {f"{p.parent.name}/{p.stem}": pq.read_table(p).to_pydict() for p in paths}


def children_s_work() -> float:
    """Seconds that ended processes which this one started have computed. Other processes do not make it more."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
