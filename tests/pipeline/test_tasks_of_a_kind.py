"""Several tasks of a kind: names of one's own, other models, other seeds; and seeds taken together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline import check, evaluate, generate, plot, prepare, summarize, tune
from random_routing.comparison.replicates import pooled
from random_routing.errors import PipelineError
from random_routing.results.compared import Compared
from random_routing.results.pooled import Pooled
from random_routing.scoring.cell_texts import text_order
from random_routing.scoring.statistics_file import write_stats
from random_routing.settings import load_settings, parse_settings
from tests.helpers.workspace import columns, inside, params, write_params

CONTRAST = {"variant": "uniform", "against": "base", "r": [0.05, 0.4]}


def several(values: dict[str, Any]) -> dict[str, Any]:
    """Dialogue under its own name, of another name and seed, and of the other model."""
    task = values["tasks"]["dialogue"]
    values["tasks"] = {
        "dialogue": task,
        "again": {**task, "kind": "dialogue", "seed": 7},
        "other": {**task, "kind": "dialogue", "model": "two", "judge": "one"},
    }
    values["variants"] = {"uniform": values["variants"]["uniform"]}
    values["grid"] = {"q": [0, 0.1, 0.3], "lambda": [0]}
    values["comparison"]["contrasts"] = {"small": CONTRAST, "named": {**CONTRAST, "tasks": ["other"]}}
    values["comparison"]["quality"]["other"] = ["reference_similarity"]
    values["tune"]["enabled"] = False
    return values


def test_the_chain(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(work, several(params()))
    with inside(work):
        check.main([])
        for task in ("dialogue", "again", "other"):
            for stage in (prepare, generate, evaluate, tune):
                stage.main([task])
        summarize.main([])
        plot.main([])
        settings = load_settings()
        found = pd.read_csv("reports/contrasts.csv")
        group = [settings.tasks["dialogue"], settings.tasks["again"]]
        files = [Path(f"data/metrics/{task.name}.stats.parquet") for task in group]
        (together,) = pooled(settings, group, files).contrasts
        number = json.loads(Path("data/hypotheses.json").read_text())["hypotheses"]
        page = Path("reports/index.html").read_text()
        cells = pd.read_csv("reports/cells.csv")
        findings = Path("reports/findings.md").read_text()
    assert number == 5, "small in three tasks and in two seeds together; named in one task"
    assert found[["task", "kind", "model", "seed", "contrast"]].astype(str).values.tolist() == [
        ["dialogue", "dialogue", "one", "20260101", "small"],
        ["again", "dialogue", "one", "7", "small"],
        ["other", "dialogue", "two", "20260101", "small"],
        ["other", "dialogue", "two", "20260101", "named"],
        ["dialogue (2 seeds)", "dialogue", "one", "20260101 7", "small"],
    ]
    assert found.texts.tolist()[-1] == 2 * found.texts[0]
    assert found.estimate.tolist()[-1] == pytest.approx(together.estimate, rel=1e-5)
    assert set(cells.groupby(["kind", "model", "seed"]).task.unique().map(tuple)) == {
        ("dialogue",), ("again",), ("other",)
    }  # fmt: skip
    assert "## dialogue (2 seeds)" in findings and "The 5 intervals hold together" in findings
    for text in (
        "Dialogue: all tasks",
        "Dialogue: again",
        '<optgroup label="Dialogue">',
        "dialogue (2 seeds)",
    ):
        assert text in page
    texts = columns(work)
    assert (
        texts["dialogue/greedy"]["text"] == texts["again/greedy"]["text"] != texts["other/greedy"]["text"]
    )
    routed = "routing-uniform-q0.3-l0"
    assert texts[f"dialogue/{routed}"]["routes"] != texts[f"again/{routed}"]["routes"], (
        "seeds have other noise"
    )
    same = [
        (a, b)
        for one, other in zip(
            *(texts[f"{task}/{routed}"]["routes"] for task in ("dialogue", "other")), strict=True
        )
        for a, b in zip(one, other, strict=False)
    ]
    assert all(a == b for a, b in same), "models of one seed share their noise"


def test_what_is_taken_together() -> None:
    """Other seeds alone: not the same one twice, nor what other quality, Δ or hypotheses are asked of."""

    def groups(**changes: Any) -> list[list[str]]:
        values = several(params())
        one = values["tasks"]["dialogue"]
        values["tasks"] = {name: {**one, "kind": "dialogue", "seed": i} for i, name in enumerate("abc")}
        del values["comparison"]["quality"]["other"]
        values["comparison"]["contrasts"] = {"small": CONTRAST}
        for path, value in changes.items():
            section, *keys = path.split("__")
            place = values[section]
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]] = value
        settings = parse_settings(values)
        found = settings.comparison.replicates(settings.tasks)
        assert settings.comparison.hypotheses(settings.tasks) == 3 + len(found)
        return [[task.name for task in group] for group in found]

    assert groups() == [["a", "b", "c"]]
    assert groups(tasks__b__seed=0) == [["a", "c"]]
    assert groups(tasks__b__samples=2) == [["a", "c"]]
    assert groups(comparison__quality__b="bleu_2") == [["a", "c"]]
    assert groups(comparison__delta__b=0.5) == [["a", "c"]]
    values = {"small": {**CONTRAST, "tasks": ["dialogue"]}}
    assert groups(comparison__contrasts=values) == [["a", "b", "c"]]


def test_seeds_divide_the_examples_in_one_way(work: Path) -> None:
    """A human text that is in both halves of a distance counts twice as chance."""
    values = several(params())
    write_params(work, values)
    with inside(work):
        settings = load_settings()
        rows = [{"id": str(i)} for i in range(6)]
        orders = [
            text_order(settings, settings.tasks[name], rows, 2).tolist() for name in ("dialogue", "again")
        ]
    assert orders[0] == orders[1]


def test_statistics_that_do_not_fit_are_named(tmp_path: Path) -> None:
    settings = parse_settings(several(params()))
    tasks = [settings.tasks["dialogue"], settings.tasks["again"]]
    stats = {"greedy": {"length": np.ones((3, 2))}, "human": {"length": np.ones((3, 2))}}
    others = {"greedy": {"length": np.ones((3, 3))}, "human": {"length": np.ones((3, 2))}}
    files = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    for file, made in zip(files, (stats, others), strict=True):
        write_stats(file, ["a", "b", "c"], made)
    with pytest.raises(PipelineError, match=r"its decoders or metrics are not those of .*one\.parquet"):
        pooled(settings, tasks, files)


@pytest.mark.parametrize(
    ("tasks", "name"),
    [(["tales-1", "tales-12"], "tales (2 seeds)"), (["tales", "again"], "tales (2 seeds)")],
)
def test_seeds_are_called_by_what_they_share(tasks: list[str], name: str) -> None:
    nothing = Compared("", "", "", [], [], [], [], [], None)
    assert Pooled(tasks, nothing).name == name


def test_a_name_is_only_a_name(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A task that is called otherwise has the same texts, from the store."""
    values = params()
    write_params(work, values)
    with inside(work):
        generate.main(["textgen"])
        before = columns(work)["textgen/greedy"]
        values["tasks"]["tales"] = {**values["tasks"]["textgen"], "kind": "textgen"}
        write_params(work, values)
        prepare.main(["tales"])
        generate.main(["tales"])
        after = columns(work)["tales/greedy"]
    assert after == before and "tales; all of them were there already" in capsys.readouterr().out


def test_a_section_with_another_one_merged_in(work: Path) -> None:
    text = yaml.safe_dump(params(), sort_keys=False).replace(
        "  textgen:\n    model", "  textgen: &it\n    model"
    )
    (work / "params.yaml").write_text(
        text.replace(
            "  dialogue:\n    model",
            "  tales:\n    <<: *it\n    kind: textgen\n    seed: 3\n  dialogue:\n    model",
            1,
        )
    )
    with inside(work):
        tasks = load_settings().tasks
    assert list(tasks) == ["textgen", "tales", "dialogue", "translation"]
    assert (tasks["tales"].kind, tasks["tales"].seed, tasks["tales"].prompt_tokens) == ("textgen", 3, 8)
