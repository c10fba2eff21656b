"""The page's data and frame: what is in it, and that nothing in a text can break out of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from random_routing.metrics import METRICS
from random_routing.report.page import samples
from random_routing.report.page.build import embedded, marked, page
from random_routing.report.page.contours import contours
from random_routing.report.page.sections import in_short
from random_routing.results.compared import ContrastResult
from random_routing.runs.cell_files import write_cell
from random_routing.settings import parse_settings
from tests.helpers import synthetic
from tests.helpers.pages import ABOUT, COSTS, HOSTILE, made_page, made_results


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def test_the_page_needs_no_other_file() -> None:
    text = made_page()
    assert len(text.encode()) < 15 * 2**20
    frame = text.replace(
        re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[0], ""
    )  # Vega names its own sites
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", frame)
    assert not re.findall(r"""url\(|@import|fetch\(|XMLHttpRequest""", frame)
    assert "default-src 'none'" in frame


def test_the_page_holds_every_cell_and_number() -> None:
    settings = parse_settings(synthetic.raw_params())
    found = data_of(made_page())
    for task in settings.tasks:
        measured = synthetic.measured(task, settings)
        cells = {cell["cell"]: cell for cell in found["tasks"][task]["cells"]}
        assert list(cells) == [record["cell"] for record in measured["cells"]]
        for record in measured["cells"]:
            for name, values in record["metrics"].items():
                shown = cells[record["cell"]]["values"].get(name)
                against = record["cell"] == "human" and METRICS[name].against_human
                if values["value"] is None or against:
                    assert shown is None
                else:
                    assert shown == pytest.approx([values["value"], values["lo"], values["hi"]], rel=1e-5)
        assert len(found["tasks"][task]["matched"]) == len(measured["comparison"]["matched"])


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_cannot_end_the_script(text: str) -> None:
    value = {"text": text}
    inside = embedded(value)
    assert json.loads(inside) == value
    assert not set("<>&\u2028\u2029") & set(inside)


def test_a_sentence_is_escaped_before_it_is_marked() -> None:
    assert marked("- **Better** than `<b>`") == "<strong>Better</strong> than <code>&lt;b&gt;</code>"


class Bytes:
    """A tokenizer of bytes, 0 a control token."""

    def decode(self, ids: list[int], skip_special_tokens: bool = False, **_: Any) -> str:
        shown = bytes(i for i in ids if i or not skip_special_tokens)
        return shown.decode("utf-8", errors="replace").replace("\0", "<end>")


def test_a_text_of_the_page_goes_on_after_its_prompt_without_control_tokens(tmp_path: Path) -> None:
    """What the model was given shows them. A letter of two bytes, of which the prompt has the first."""
    row: dict[str, Any] = {
        "example_id": "e0", "sample": 0, "text": "é!", "token_ids": [0xA9, 33, 0], "routes": [0, 1, 0],
        "logprobs": [0.0] * 3, "model_logprobs": [0.0] * 3, "ranks": [1] * 3, "entropies": [1.0] * 3, "finish": "eos",
    }  # fmt: skip
    write_cell(tmp_path / "one.parquet", [[row]], {})
    prepared = [{"id": "e0", "source": "what a person reads", "references": ["r"]}]
    found = samples.task_samples(tmp_path, ["one"], prepared, 1, Bytes(), [(0, *b"Hi", 0, 0xC3)])
    assert (
        found["pieces"] == ["é", "!", ""] and found["texts"][0][5] == 1
    )  # the last token is the text's end
    (example,) = found["examples"]
    assert example["given"] == "<end>Hi<end>\ufffd" and example["prompt"] == "what a person reads"
    alone = samples.task_samples(tmp_path, ["one"], prepared, 1, Bytes(), [(0xC3,)], follow=False)
    assert alone["pieces"] == ["\ufffd", "!", ""]  # a decoder of its own begins anew


def test_the_page_names_the_temperatures_of_annealing() -> None:
    """A line of its own in the legend and on the plane; its decoders are told apart by more than their mean."""
    found = data_of(made_page())
    cells = {cell["cell"]: cell for cell in found["tasks"]["textgen"]["cells"]}
    falling, late = (cells[f"annealing-{name}"] for name in ("linear-1.3-0.7", "exploratory-1.5-0.3-20"))
    assert falling["label"] == "annealing 1.3 → 0.7, linear" and falling["setting"] == 1
    assert late["label"] == "annealing 1.5 → 0.3, exploratory in 20 steps" and 0.3 < late["setting"] < 1
    assert falling["line"] == late["line"] == falling["family"] == "annealing"
    assert cells["temperature-0.7"]["label"] == "temperature 0.7" and cells["greedy"]["label"] == "greedy"


def test_the_page_says_what_routes_mean() -> None:
    """Where only r counts a random token belongs to neither q nor λ."""
    found = data_of(made_page())
    routes = {one["name"]: one["routes"] for one in found["tasks"]["textgen"]["variants"]}
    by_r, two = ["model", "random, by r"], ["model", "q-route", "λ-route"]
    assert routes == {
        "uniform": by_r, "epsilon-greedy": by_r, "plausible": two, "heads": by_r, "entropy": two,
    }  # fmt: skip
    gates = found["tasks"]["textgen"]["gates"]
    assert {g["route"] for g in gates if g["variant"] in ("uniform", "epsilon-greedy", "heads")} == {
        found["by_r"]
    }
    assert {g["route"] for g in gates if g["variant"] in ("plausible", "entropy")} == {"q", "λ"}


def test_equal_texts_of_two_examples_keep_their_own_numbers(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "example_id": name, "sample": 0, "text": "ab", "token_ids": [97, 98], "routes": [0, 1],
            "logprobs": [log] * 2, "model_logprobs": [log] * 2, "ranks": [rank] * 2, "entropies": [1.0] * 2,
            "finish": "length",
        }
        for name, log, rank in (("e0", -1.0, 5), ("e1", -2.0, 6))
    ]  # fmt: skip
    for decoder in ("one", "two"):
        write_cell(tmp_path / f"{decoder}.parquet", [rows], {})
    prepared = [{"id": row["example_id"], "source": "p", "references": ["r"]} for row in rows]
    scores = {name: {"chrf": np.array([12.3456, np.nan])} for name in ("one", "two")}
    scores["human"] = {"length": np.array([2.0, 3.0, 4.0])}  # of a third example, which the page has not
    found = samples.task_samples(tmp_path, ["one", "two"], prepared, 1, Bytes(), [(99,)] * 2, scores=scores)
    assert found["cells"] == {"one": [0, 1], "two": [0, 1]} and found["pieces"] == ["a", "b"]
    assert found["texts"] == [
        [[0, 1], [-100] * 2, [5] * 2, [0, 1], [100] * 2, 0],
        [[0, 1], [-200] * 2, [6] * 2, [0, 1], [100] * 2, 0],
    ]
    assert found["scores"] == {"chrf": [12.3, None]} and found["people"] == {"length": [2.0, 3.0]}


def test_contours_are_left_out_where_r_is_a_mean_and_lambda_says_what_it_weighs() -> None:
    values = synthetic.raw_params()
    values["variants"]["uniform"]["q_schedule"] = "explore_first"
    values["lambda_means"] = "exploit"
    settings = parse_settings(values)
    html = page(settings, *made_results(settings), COSTS, ABOUT)
    variants = {one["name"]: one for one in data_of(html)["tasks"]["textgen"]["variants"]}
    assert not variants["uniform"]["contours"] and variants["plausible"]["contours"]
    assert "r = 1 − (1−q)λ is constant" in html and data_of(html)["means"] == "weight of the model"


def test_a_task_s_verdicts_in_a_sentence() -> None:
    def one(contrast: str, verdict: str, **given: Any) -> ContrastResult:
        about = {"variant": "v", "against": "temperature", "delta": 0.1, "of": 1, "prompts": 9, "texts": 9}
        return ContrastResult(contrast=contrast, verdict=verdict, **{**about, **given})

    records = [one("a", "better"), one("b", "better"), one("c", "worse"), one("d", "equivalent")]
    assert in_short(records) == "a and b helped; c hurt; d made no difference that matters."
    records = [one("a", "inconclusive", needed=1200), one("b", "inconclusive", needed=40), one("c", "")]
    said = "Of a and b it is not known yet: 40 to 1,200 prompts would tell; c could not be compared."
    assert in_short(records) == said
    vetoed = [one("a", "inconclusive", needed=40, veto="14 percentage points more junk")]
    assert in_short(vetoed) == "a has no verdict, for its texts have 14 percentage points more junk."
    small = [one("a", "better", estimate=0.05), one("b", "better", estimate=0.2)]
    assert in_short(small) == "b helped; a helped a little, by an estimate below Δ."
    assert in_short([]) == ""


def test_how_many_texts_the_page_holds() -> None:
    assert samples.shown(32, 32, 66, 1) == 32
    assert samples.shown(32, 1000, 400, 1) == 10  # 4,000 texts a task
    assert samples.shown(32, 1000, 9000, 4) == 1
    assert samples.shown(32, 5, 10, 1) == 5


def test_contours_are_where_r_is_constant() -> None:
    qs, lambdas = [0.0, 0.01, 0.03, 0.1, 0.3], [0.0, 0.01, 0.03, 0.1, 0.3]
    for means, weights in (("explore", lambdas), ("exploit", [1 - x for x in lambdas][::-1])):
        found = contours(qs, lambdas if means == "explore" else weights, means)
        assert {point["r"] for point in found} >= {"r = 0.01", "r = 0.1", "r = 0.3"}
        for point in found:
            q = np.interp(point["row"], range(5), qs)
            lam = np.interp(point["column"], range(5), lambdas if means == "explore" else weights)
            weight = lam if means == "explore" else 1 - lam
            assert 1 - (1 - q) * (1 - weight) == pytest.approx(float(point["r"][4:]), abs=1e-9)
    assert contours([0.0], lambdas, "explore") == []


def test_a_page_of_a_task_without_routes_or_texts() -> None:
    """No variant's cell, no comparison, no missing value: the page is made all the same."""
    values = synthetic.raw_params()
    values["grid"] = {"q": [0], "lambda": [0]}
    values["variants"] = {"uniform": values["variants"]["uniform"]}
    values["tune"]["variants"] = ["uniform"]
    settings = parse_settings(values)
    text = page(settings, *made_results(settings), COSTS, ABOUT)
    assert all(not task["matched"] for task in data_of(text)["tasks"].values())
