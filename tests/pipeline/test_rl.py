"""Policies through the real stages: fetched, trained, played, measured, tuned, drawn; no download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline import check, evaluate, fetch, generate, plot, prepare, summarize, train, tune
from random_routing.environments.tabular import FILE
from random_routing.errors import PipelineError
from random_routing.runs.store import Store, default_folder
from tests.helpers import ROOT
from tests.helpers.tiny import tiny_embedder_folder
from tests.helpers.workspace import columns, inside, write_params

VARIANTS = ("uniform", "epsilon-greedy", "entropy", "likeliest", "span")


def values() -> dict[str, Any]:
    """The file's own task on the slippery lake, with few episodes and decoders."""
    file = yaml.safe_load((ROOT / "params.yaml").read_text())
    task = {**file["tasks"]["rl"], "model": "skater", "judge": "skater", "data": "lake", "examples": 12}
    lesson = {**file["trained"]["cliff-q-learning"], "data": "lake", "episodes": 500, "step_size": 0.1}
    lesson |= {"temperature": 0.05, "discount": 0.95}
    lake = {"kind": "data", "source": "gymnasium:FrozenLake-v1@1.4.0", "reader": "episodes"}
    file |= {
        "tasks": {"rl": {**task, "samples": 2, "max_new_tokens": 25}},
        "trained": {"skater": lesson},
        "learning": {},
        "assets": {"lake": lake, "bert": {"kind": "embedder", "source": "file:models/bert"}},
        "embedder": "bert",
        "variants": {name: file["variants"][name] for name in VARIANTS},
        "baselines": {"greedy": True, "temperature": [0.3, 1.0, 1.5], "top_p": [0.9]},
        "workers": 1,
    }
    file["comparison"]["contrasts"] = {
        "few": {"variant": "uniform", "r": [0.01, 0.2], "against": "temperature"}
    }
    file["bootstrap"]["resamples"] = 200
    file["report"]["formats"] = []
    file["tune"] |= {"trials": 2, "batch": 2, "rungs": 1, "variants": "all", "schedules": ["constant"]}
    return file


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetched, trained and prepared."""
    folder = tmp_path_factory.mktemp("rl")
    tiny_embedder_folder(folder / "models/bert")
    write_params(folder, values())
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    with inside(folder):
        check.main([])
        for asset in ("lake", "bert"):
            fetch.main([asset])
        train.main(["skater"])
        prepare.main(["rl"])
    return folder


def drop_store() -> None:
    (default_folder() / "rows.sqlite").unlink()


def test_the_chain(work: Path) -> None:
    with inside(work):
        for stage in (generate, evaluate, tune):
            stage.main(["rl"])
        summarize.main([])
        plot.main([])
        cells = pd.read_csv("reports/cells.csv").set_index("cell")
        page, findings = Path("reports/index.html").read_text(), Path("reports/findings.md").read_text()
        gates = pd.read_csv("reports/gates.csv")
        likelihood = pd.read_csv("reports/likelihood.csv")
    assert cells.loc["routing-uniform-q0-l0", "return"] == cells.loc["temperature-1", "return"]
    assert (cells["return"] == cells["success"]).all(), "1 for the goal, 0 for all else"
    assert cells.loc["greedy", "path_spread"] == 0 and cells.loc["temperature-1.5", "path_spread"] > 0.2
    assert cells.loc["human", "return"] >= cells.loc["routing-uniform-q0.3-l0", "return"]
    assert np.isnan(cells.loc["human", "path_spread"]) and (cells["steps"] <= 25).all()
    token = gates[(gates.gate == "token") & (gates.steps > 50)]
    assert ((token.lo <= token.expected) & (token.expected <= token.hi)).mean() > 0.7
    assert likelihood.value.max() < 0 and np.isfinite(likelihood.value).all()
    assert "Optimal policy: " in findings and "optimal policy" in page and "down" in page


def test_the_bytes_depend_on_no_batch_and_survive_an_interruption(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with inside(work):
        generate.main(["rl"])
        whole = columns(work)
        for batch, rows in ((2, 3), (64, 40)):
            drop_store()
            write_params(work, {**values(), "batch_size": batch, "max_rows": rows})
            generate.main(["rl"])
            assert columns(work) == whole
        drop_store()
        put, calls = Store.put, [0]

        def dies(self: Store, texts: Any) -> None:
            calls[0] += 1
            if calls[0] == 3:
                raise KeyboardInterrupt
            put(self, texts)

        monkeypatch.setattr(Store, "put", dies)
        with pytest.raises(KeyboardInterrupt):
            generate.main(["rl"])
        monkeypatch.undo()
        generate.main(["rl"])
        assert columns(work) == whole
        write_params(work, values())


def test_the_same_recipe_gives_the_same_bytes(work: Path) -> None:
    with inside(work):
        files = json.loads(Path("data/assets/skater/asset.json").read_text())["files"]
        train.main(["skater"])
        assert json.loads(Path("data/assets/skater/asset.json").read_text())["files"] == files
    assert {FILE, "config.json", "model.safetensors", "tokenizer.json"} <= set(files)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("variants/likeliest/lambda_route", {"top_k": 5}, "top_k = 5: must be at most 4"),
        ("assets/lake/source", "gymnasium:FrozenLake-v1@0.1", "install 0.1 or name that one"),
        ("assets/lake/source", "gymnasium:FrozenLake@", "gymnasium:name@version"),
        ("assets/lake/source", "gymnasium:CartPole-v1@1.4.0", "has no table of transitions"),
        ("comparison/quality/rl", "chrf", "a metric that rl cannot have; allowed: return, success"),
        ("tasks/rl/prompt_tokens", 3, "tasks.rl.prompt_tokens = 3: unknown key"),
    ],
)
def test_one_line(work: Path, tmp_path: Path, path: str, value: Any, line: str) -> None:
    file = values()
    *keys, last = path.split("/")
    section = file
    for key in keys:
        section = section[key]
    section[last] = value
    with inside(work), pytest.raises(PipelineError, match=line):
        write_params(work, file)
        try:
            fetch.main(["lake"])
            evaluate.main(["rl"])
            generate.main(["rl"])
        finally:
            write_params(work, values())
