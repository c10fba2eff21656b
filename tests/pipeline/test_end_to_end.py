"""The whole pipeline as DVC runs it, in a clone with a mini-grid: on tiny models, and on the real ones."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from random_routing.report.tables.summary import NUMBERS
from tests.helpers import ROOT
from tests.helpers.synthetic import FIGURES
from tests.helpers.workspace import children_s_work, make_sources, params


def run(clone: Path, *command: str, status: int = 0) -> str:
    result = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=7200)
    output = result.stdout + result.stderr
    assert result.returncode == status or (status and result.returncode), output[-4000:]
    return output


def change(clone: Path, **paths: Any) -> None:
    """change(clone, grid__q=[0]) sets grid.q in the clone's params.yaml."""
    params = yaml.safe_load((clone / "params.yaml").read_text())
    for path, value in paths.items():
        *parents, last = path.split("__")
        section = params
        for name in parents:
            section = section[name]
        section[last] = value
    (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def parquet(clone: Path) -> dict[str, Any]:
    files = sorted((clone / "data/generations").glob("*/*.parquet"))
    return {str(f.relative_to(clone)): pq.read_table(f).to_pydict() for f in files}


def tasks(clone: Path) -> tuple[str, ...]:
    return tuple(yaml.safe_load((clone / "params.yaml").read_text())["tasks"])


def tiny(clone: Path) -> None:
    """Tiny models and invented records, of one task: most of what its stages take is to begin and to draw."""
    make_sources(clone)
    values = params()
    assets = {name: values["assets"][name] for name in ("one", "two", "bert", "translation")}
    tasks = {"translation": values["tasks"]["translation"]}
    nothing: dict[str, Any] = {}
    change(
        clone, assets=assets, embedder=values["embedder"], tasks=tasks, trained=nothing, learning=nothing
    )


def real(clone: Path) -> None:
    """Downloads come from this checkout's cache; finished rows and runs do not: the clone decodes for itself, also
    when the tests are run a second time.
    """
    (clone / ".dvc/cache").mkdir(parents=True)
    (ROOT / ".dvc/cache/files").mkdir(parents=True, exist_ok=True)
    (clone / ".dvc/cache/files").symlink_to(ROOT / ".dvc/cache/files")


REAL = pytest.param(real, marks=[pytest.mark.real, pytest.mark.long], id="real")


@pytest.fixture(scope="module", params=[pytest.param(tiny, id="tiny"), REAL])
def clone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the working tree with few examples, and its first full run."""
    clone = tmp_path_factory.mktemp("clone") / "project"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    run(clone, "git", "init", "--quiet")
    run(clone, "git", "add", "--all")
    run(clone, "git", "config", "user.name", "test")
    run(clone, "git", "config", "user.email", "test@example.org")
    run(clone, "git", "commit", "--quiet", "--message", "clone")
    request.param(clone)
    change(clone, grid__q=[0, 0.1], grid__lambda=[0, 0.1], bootstrap__resamples=100)
    change(clone, baselines={"greedy": True, "temperature": [0.7, 1.0], "top_k": [10], "top_p": [0.9]})
    # Trials of each family; the search itself is tested elsewhere. Few texts of a tiny model share no pair of words, so
    # that diversity within a prompt is always 1.
    change(clone, tune__trials=2, tune__batch=2, comparison__diversity="ead_2")
    for task in tasks(clone):
        change(clone, **{f"tasks__{task}__examples": 4, f"tasks__{task}__max_new_tokens": 8})
    run(clone, "dvc", "repro")
    return clone


def test_every_artifact_is_there(clone: Path) -> None:
    with open(clone / "reports/cells.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    # a variant × 2 × 2, four with 4, 2, 2 and 1 cells of their own, greedy, 2 temperatures, top-k, top-p, human; a beam
    # for translation
    count = len(tasks(clone))
    assert len(rows) == count * (4 + 9 + 5 + 1) + 1
    for row in rows:
        constant = row["family"] == "routing" and row["variant"] != "explore-first"
        assert not constant or float(row["r"]) == pytest.approx(
            1 - (1 - float(row["q"])) * (1 - float(row["lambda"]))
        )
        assert float(row["perplexity_lo"]) <= float(row["perplexity"]) <= float(row["perplexity_hi"])
    assert {row["task"] for row in rows if row["bleu"]} == {"translation"}
    if count > 1:  # texts of tiny models may be empty
        assert all((row["bleu"] != "") == (row["task"] == "translation") for row in rows)
    summary = json.loads((clone / "reports/summary.json").read_text())
    known = set(summary["sampling"])  # four examples are too few for a distance between distributions
    assert "translation" in known and set(tasks(clone)) >= known >= set(summary["tuned"])
    drawn = {path.stem for path in (clone / "reports/plots").glob("*.png")}
    wanted = {"contrasts"} | {f"{task}-{kind}" for task in tasks(clone) for kind in FIGURES}
    # Of four examples few random tokens are isolated, few decoders lie on the curve, and a distance has no value.
    rare = {f"{task}-{kind}" for task in tasks(clone) for kind in ("recovery", "matched", "tune")}
    assert wanted - rare <= drawn <= wanted
    assert len(parquet(clone)) == count * 18 + 1


@pytest.mark.parametrize("clone", [REAL], indirect=True)
def test_texts_are_real(clone: Path) -> None:
    cells = parquet(clone)
    prompts = [
        json.loads(x)["prompt"] for x in (clone / "data/prepared/textgen.jsonl").read_text().splitlines()
    ]
    greedy = cells["data/generations/textgen/greedy.parquet"]
    assert len(prompts) == 4 and all(len(text.split()) >= 2 for text in greedy["text"])
    noisy = cells["data/generations/textgen/routing-uniform-q0.1-l0.parquet"]
    assert 0 < sum(map(sum, noisy["routes"])) < 4 * 8
    for text in cells["data/generations/translation/greedy.parquet"]["text"]:
        assert "\n" not in text and text == text.strip()


def test_a_second_run_does_nothing(clone: Path) -> None:
    before = children_s_work()
    assert "up to date" in run(clone, "dvc", "repro")
    assert children_s_work() - before < 30


@pytest.mark.long
def test_an_experiment_computes_only_what_is_new(clone: Path) -> None:
    """In a temporary workspace, which shares finished rows through the cache folder. All stages for the real models."""
    before, count = parquet(clone), len(tasks(clone))
    targets = [f"generate@{task}" for task in tasks(clone)] if count == 1 else []
    added = ("--set-param", "grid.q=[0,0.05,0.1]")
    output = run(clone, "dvc", "exp", "run", "--temp", "--name", "finer", *added, *targets)
    # q = 0.05 × λ = 0, 0.1 of the variant that has no grid of its own
    assert len(re.findall(r"computed 2 decoders, (?:8|32) texts", output)) == count, output[-3000:]
    table = list(csv.DictReader(run(clone, "dvc", "exp", "show", "--csv").splitlines()))
    assert any(row["Experiment"] == "finer" for row in table)
    names = {name for row in table for name in row if name and name.partition(".")[0] in NUMBERS}
    assert 0 < len(names) <= len(NUMBERS) * 3  # of the commit: three tasks
    run(clone, "dvc", "exp", "apply", "finer")
    after = parquet(clone)
    assert len(after) == len(before) + 2 * count
    assert all(after[name] == cell for name, cell in before.items())


def test_a_wrong_value_stops_before_any_work(clone: Path) -> None:
    kept = (clone / "params.yaml").read_text()
    change(clone, grid__q=[0, 1.2])
    output = run(clone, "dvc", "repro", status=1)
    assert "error: params.yaml: grid.q[1] = 1.2: must be a number of at least 0 and at most 1" in output
    assert "Running stage 'generate" not in output
    (clone / "params.yaml").write_text(kept)
