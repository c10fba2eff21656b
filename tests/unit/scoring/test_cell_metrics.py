"""From texts to the metrics file: what is missing says why, and the order of examples changes nothing."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from random_routing.comparison.task_comparison import Comparison
from random_routing.errors import PipelineError
from random_routing.law.cells import all_cells
from random_routing.metrics import METRICS, CellTexts, metrics_of
from random_routing.resampling.intervals import interval
from random_routing.results.json_form import from_json, to_json
from random_routing.results.measured import Measured
from random_routing.scoring.cell_metrics import describe, measure, task_resamples
from random_routing.scoring.statistics_file import Statistics, read_stats, write_stats
from random_routing.settings import Settings, parse_settings
from tests.helpers import ROOT, synthetic
from tests.helpers.cell_texts import cell

TASK, EXAMPLES = "dialogue", 24


def settings(**given: Any) -> Settings:
    values = synthetic.raw_params()
    values["tune"]["variants"] = "all"
    values["variants"] = {"uniform": values["variants"]["uniform"]}
    values["grid"] = {"q": [0, 0.1], "lambda": [0]}
    values["baselines"] = {"temperature": [0.5, 1.0], "top_p": [0.8]}
    values["bootstrap"]["resamples"] = 1000
    return parse_settings({**values, **given})


def made_up(made: Settings) -> dict[str, CellTexts]:
    """Decoder → texts of 24 examples; routing is between the two temperatures in the number of its words."""
    found = {}
    names = [c.name for c in all_cells(made, made.tasks[TASK])]
    for number, name in enumerate([*names, "human"]):
        draw = np.random.Generator(np.random.Philox(number))
        size = {"temperature-0.5": 15, "temperature-1": 90}.get(name, 40)
        texts = [" ".join(f"w{i}" for i in draw.integers(0, size, 12)) for _ in range(EXAMPLES)]
        angle = draw.normal(size=(2, EXAMPLES))
        vectors = np.stack([np.stack([np.cos(a), np.sin(a)], axis=1) for a in angle])
        found[name] = cell(
            texts, text_embeddings=vectors[0], source_embeddings=vectors[1], reference_embeddings=vectors[1],
            judge_nll=draw.random(EXAMPLES) * 40 + 20, order=draw.random(EXAMPLES),
            references=[[f"w1 w2 w{i}"] for i in range(EXAMPLES)],
        )  # fmt: skip
    return found


def permuted(texts: CellTexts, order: np.ndarray) -> CellTexts:
    """The examples of `order`."""
    turned = {
        name: value[order] if isinstance(value, np.ndarray) else [value[i] for i in order]
        for name, value in ((field.name, getattr(texts, field.name)) for field in fields(texts))
        if isinstance(value, np.ndarray | list) and len(value) == texts.examples and name != "example"
    }
    return cell(**turned | {"vocabulary": texts.vocabulary})


def evaluated(
    made: Settings, ids: list[str], texts: dict[str, CellTexts]
) -> tuple[dict[str, Any], Statistics]:
    """What the stage evaluate makes of texts, without models, as the file has it."""
    task = made.tasks[TASK]
    metrics = metrics_of(TASK, made.metrics)
    cells = all_cells(made, task)
    weights = task_resamples(made, task, ids)
    values, stats, _ = measure(made, task, cells, texts, metrics, weights)
    compared = Comparison(made, task, ids, [c for c in cells if c.name in stats], stats, METRICS)
    halves = [task_resamples(made, task, sorted(ids)[half::2], f"half {half}") for half in (0, 1)]
    measured = Measured(
        task=TASK, examples=ids, metrics=describe(made, task, metrics), cells=values, recovery=[], identity=[],
        gates=[], likelihood=[], comparison=compared.result(weights, halves),
    )  # fmt: skip
    assert to_json(from_json(Measured, to_json(measured))) == to_json(measured)
    return to_json(measured), stats


def close(one: Any, two: Any, where: str = "") -> None:
    """Equal up to the last digits of numbers."""
    if isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for name, value in one.items():
            close(value, two[name], f"{where}/{name}")
    elif isinstance(one, list):
        assert len(one) == len(two), where
        for number, (a, b) in enumerate(zip(one, two, strict=True)):
            close(a, b, f"{where}/{number}")
    else:
        assert one == (pytest.approx(two, rel=1e-6, abs=1e-9) if isinstance(one, float) else two), where


def test_the_order_of_examples_changes_nothing() -> None:
    """Values, intervals, p-values, fronts, and the winner on one half: all of the file but the list of ids."""
    made = settings()
    texts = made_up(made)
    ids = [f"{i * 7919 % 1009:04}" for i in range(EXAMPLES)]
    order = np.random.Generator(np.random.Philox(9)).permutation(EXAMPLES)
    before, _ = evaluated(made, ids, texts)
    turned = {name: permuted(one, order) for name, one in texts.items()}
    after, _ = evaluated(made, [ids[i] for i in order], turned)
    assert sorted(before.pop("examples")) == sorted(after.pop("examples"))
    assert before["comparison"]["best"] is not None
    close(before, after)


def test_too_few_texts_are_missing_with_the_reason() -> None:
    made = settings()
    result, stats = evaluated(made, [f"{i:02}" for i in range(EXAMPLES)], made_up(made))
    found = result["cells"][0]["metrics"]
    assert found["mauve"] == {
        "value": None, "lo": None, "hi": None, "missing": "needs 200 examples; there are 24",
    }  # fmt: skip
    assert found["vendi"]["missing"] == "needs 100 examples; there are 24"
    assert found["oracle_chrf"]["missing"] == "needs 2 texts an example; there is 1"
    assert "missing" not in found["ead_2"]
    assert "mauve" not in stats[result["cells"][0]["cell"]]
    assert result["metrics"]["mauve"]["needs"] == "200 examples"


def test_signatures_are_filled_in() -> None:
    """By the judge's opening, by how the task joins a text to its context, and by the language."""
    made = settings()
    metrics = [METRICS[name] for name in ("perplexity", "bleu_2")]
    about = describe(made, made.tasks[TASK], metrics, opening="<|endoftext|>")
    assert about["perplexity"].signature == (
        'a space and the text given the turns, "A: …" or "B: …" a line, and "B:", tokenized apart'
        "|opening:<|endoftext|>|end token:no|pooled over texts|judge:gemma3|dtype:float32"
    )
    assert "tok:13a" in about["bleu_2"].signature


def test_a_cell_of_empty_texts_is_missing_not_zero() -> None:
    made = settings()
    texts = made_up(made)
    nothing = np.zeros(EXAMPLES)
    texts["temperature-0.5"] = cell(
        [""] * EXAMPLES, judge_nll=nothing, judge_tokens=nothing, order=nothing,
        references=[["a reference"]] * EXAMPLES,
    )  # fmt: skip
    result, _ = evaluated(made, [f"{i:02}" for i in range(EXAMPLES)], texts)
    found = next(c for c in result["cells"] if c["cell"] == "temperature-0.5")["metrics"]
    for name in (
        "perplexity",
        "fluency_gap",
        "distinct_2",
        "ead_2",
        "reference_similarity",
        "zipf",
        "broken",
    ):
        assert found[name]["value"] is None and found[name]["missing"] == "every text is empty", name
    assert found["empty"]["value"] == 1 and found["length"]["value"] == 0 and found["chrf"]["value"] == 0
    matched = [r for r in result["comparison"]["matched"] if r["curve"] == "temperature"]
    assert all("missing" in record for record in matched)  # a curve with a hole says nothing


def test_statistics_read_back_and_give_the_same_intervals(tmp_path: Path) -> None:
    made = settings()
    ids = [f"{i:02}" for i in range(EXAMPLES)]
    result, stats = evaluated(made, ids, made_up(made))
    path = tmp_path / "dialogue.stats.parquet"
    write_stats(path, ids, stats)
    read_ids, again = read_stats(path)
    assert read_ids == ids and again.keys() == stats.keys()
    weights = task_resamples(made, made.tasks[TASK], read_ids)
    for record in result["cells"]:
        for name, found in record["metrics"].items():
            if found["value"] is None:
                continue
            value, low, high = interval(
                again[record["decoder"]][name], weights, METRICS[name].aggregate, 0.95
            )
            assert (value, low, high) == (found["value"], found["lo"], found["hi"])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(PipelineError, match=r"dialogue\.stats\.parquet: cannot be read"):
        read_stats(path)


def test_the_lines_of_the_readme_on_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = settings()
    ids = [f"{i:02}" for i in range(EXAMPLES)]
    _, stats = evaluated(made, ids, made_up(made))
    renamed = {"temperature-0.7": stats["temperature-0.5"], "greedy": stats["temperature-1"]}
    write_stats(tmp_path / "data/metrics/dialogue.stats.parquet", ids, renamed)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/statistics.md").read_text("utf-8"), re.DOTALL)
    (block,) = blocks
    exec(block, {})
    value, low, _high, p_value = (
        float(x) for x in re.findall(r"-?[\d.]+(?:e-\d+)?", capsys.readouterr().out)[-4:]
    )
    assert low <= value and 0 < p_value <= 1


def test_the_first_quality_with_enough_texts_is_used() -> None:
    values = synthetic.raw_params()["comparison"]
    asked = {**values["quality"], TASK: ["mauve", "chrf"]}
    made = settings(comparison={**values, "quality": asked})
    result, _ = evaluated(made, [f"{i:02}" for i in range(EXAMPLES)], made_up(made))
    assert result["comparison"]["quality"] == "chrf"
    made = settings(comparison={**values, "quality": {**asked, TASK: "mauve"}})
    result, _ = evaluated(made, [f"{i:02}" for i in range(EXAMPLES)], made_up(made))
    compared = result["comparison"]
    assert compared["quality"] == "mauve" and compared["best"] is None
    assert all("missing" in record for record in compared["matched"])
    json.dumps(result, allow_nan=False)


def test_human_texts_are_not_compared_with_more_texts() -> None:
    """Two texts an example in the cells, one in the human texts: what depends on their number is missing there."""
    values = synthetic.raw_params()["tasks"]
    made = settings(tasks={**values, TASK: values[TASK] | {"samples": 2}})
    texts = {
        name: cell(
            one.texts * 2, example=np.tile(np.arange(EXAMPLES), 2), examples=EXAMPLES,
            references=one.references * 2, order=np.tile(one.order, 2),
        )
        for name, one in made_up(made).items()
    }  # fmt: skip
    texts["human"] = made_up(made)["human"]
    result, _ = evaluated(made, [f"{i:02}" for i in range(EXAMPLES)], texts)
    human = next(c for c in result["cells"] if c["cell"] == "human")["metrics"]
    why = "depends on the number of texts: 1 an example here, 2 in the cells"
    for name in (
        "distinct_2",
        "ead_2",
        "entropy_2",
        "zipf",
        "self_bleu",
        "compression_ratio",
        "distinct_texts",
    ):
        assert human[name]["missing"] == why, name
    assert human["perplexity"]["value"] > 0 and human["length"]["value"] > 0
    routed = result["cells"][0]["metrics"]
    assert all(
        routed[name]["value"] is not None for name in ("distinct_2", "sample_distinct_2", "oracle_chrf")
    )


@pytest.mark.parametrize("count", [2, 3])
def test_two_or_three_examples_are_compared_without_a_winner(count: int) -> None:
    made = settings()
    few = {name: permuted(one, np.arange(count)) for name, one in made_up(made).items()}
    result, _ = evaluated(made, [f"{i}" for i in range(count)], few)
    assert result["comparison"]["best"] is None


def test_the_reason_that_there_is_nothing_to_compare() -> None:
    ids = [f"{i:02}" for i in range(EXAMPLES)]
    made = settings(baselines={})
    compared = evaluated(made, ids, made_up(made))[0]["comparison"]
    assert {record["missing"] for record in compared["matched"]} == {
        "its curve has fewer than two decoders"
    }
    assert "base" in {r["family"] for r in compared["front"]}  # plain sampling is not routing
    values = synthetic.raw_params()["comparison"]
    made = settings(comparison={**values, "diversity": "vendi"})
    compared = evaluated(made, ids, made_up(made))[0]["comparison"]
    assert {r["missing"] for r in compared["matched"]} == {"vendi needs 100 examples; there are 24"}


def test_a_token_that_ends_a_text_is_not_counted() -> None:
    ended = cell(["ab", "cd"], token_ids=[[1, 2, 0], [3, 4]], ended=np.array([True, False]))
    length = METRICS["length"]
    assert float(length.aggregate(length.stats(ended).sum(0))) == 2
    assert ended.written_ids == [[1, 2], [3, 4]]


def test_nan_is_never_written() -> None:
    assert to_json({"a": [math.nan, 1.0, {"b": math.inf}]}) == {"a": [None, 1.0, {"b": None}]}


def test_weights_that_are_drawn_anew_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 resamples: other draws of the same law, whose interval ends differ by little of their distance."""
    made, ids = settings(), [f"{i:02}" for i in range(EXAMPLES)]
    held, _ = evaluated(made, ids, made_up(made))
    monkeypatch.setattr("random_routing.resampling.weights.MOST", 0)
    drawn, _ = evaluated(made, ids, made_up(made))
    for one, other in zip(held["cells"], drawn["cells"], strict=True):
        for name, found in one["metrics"].items():
            assert found["value"] == other["metrics"][name]["value"], name
            if found["value"] is not None and found["lo"] is not None:
                width = found["hi"] - found["lo"]
                for end in ("lo", "hi"):
                    assert abs(found[end] - other["metrics"][name][end]) <= 0.2 * width + 1e-9, name
    for one, other in zip(held["comparison"]["matched"], drawn["comparison"]["matched"], strict=True):
        assert one.get("difference") == other.get("difference")
