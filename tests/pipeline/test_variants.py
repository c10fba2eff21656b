"""Every kind of variant through the stages, on tiny models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import generate, prepare
from random_routing.errors import PipelineError
from random_routing.files import read_jsonl
from random_routing.law.cells import Cell, all_cells
from random_routing.law.gates import entropy_weights
from random_routing.law.vocabulary import Vocabulary
from random_routing.metrics import CellTexts
from random_routing.models.folder import load_tokenizer
from random_routing.runs import generation
from random_routing.runs.calibration import with_frequencies
from random_routing.scoring.cell_texts import read_texts, text_order
from random_routing.scoring.gate_rates import gate_rates, identity
from random_routing.settings import Settings, Task, load_settings
from tests.helpers.workspace import inside, params, write_params

VARIANTS: dict[str, dict[str, Any]] = {
    "entropy": {
        "q_route": "uniform",
        "lambda_route": {"top_k": 5},
        "q_gate": "entropy",
        "lambda_gate": "entropy",
    },
    "span": {
        "q_route": "uniform",
        "lambda_route": "uniform",
        "q_gate": {"span": 2},
        "lambda_gate": {"span": 2},
    },
    "sequence": {"q_route": "frozen", "lambda_route": "uniform", "q_gate": "sequence"},
    "corpus": {"q_route": "unigram", "lambda_route": {"unigram": "words.txt"}},
    "heads": {"q_route": {"heads": 0.5}, "lambda_route": {"layers": 0.5}},
    "before": {
        "base": {"top_k": 20},
        "q_route": "uniform",
        "lambda_route": {"heads": 0.5},
        "mix": "before",
    },
    "first": {
        "base": "greedy",
        "q_route": "uniform",
        "lambda_route": "uniform",
        "lambda_schedule": "explore_first",
    },
}


def values(variants: dict[str, dict[str, Any]] = VARIANTS, examples: int = 4) -> dict[str, Any]:
    made = params(examples=examples)
    made["tune"]["variants"] = "all"
    made["variants"] = {name: {"base": "sample", **variant} for name, variant in variants.items()}
    return made


def run(folder: Path, made: dict[str, Any]) -> dict[str, Any]:
    """Cell → rows, after the stage generate of textgen."""
    write_params(folder, made)
    (folder / "words.txt").write_text("to be or not to be", encoding="utf-8")
    with inside(folder):
        generate.main(["textgen"])
    files = (folder / "data/generations/textgen").glob("*.parquet")
    return {path.stem: pq.read_table(path).to_pydict() for path in files}


def test_all_of_them(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(work, values())
    names = [f"routing-{name}-q0.3-l0.1" for name in VARIANTS]
    assert all(any(map(any, found[name]["routes"])) for name in names)
    for cell in found.values():
        for ids, ranks, entropies, log_p in zip(
            cell["token_ids"], cell["ranks"], cell["entropies"], cell["model_logprobs"], strict=True
        ):
            assert len(ids) == len(ranks) == len(entropies) == len(log_p)
            assert min(ranks) >= 1 and max(ranks) <= 300 and min(entropies) >= 0
    assert all(ranks == [1] * len(ranks) for ranks in found["greedy"]["ranks"])
    again = run(work, values())
    assert again == found and "all of them were there already" in capsys.readouterr().out


def test_an_entropy_gate_is_calibrated_on_the_unrouted_texts(work: Path) -> None:
    found = run(work, values())
    entropies = np.concatenate(found["routing-entropy-q0-l0"]["entropies"])
    path = work / "data/generations/textgen/routing-entropy-q0.3-l0.1.parquet"
    decoder = json.loads(pq.read_schema(path).metadata[b"cell"])["cell"]["decoder"]
    for gate, rate in (("q_gate", 0.3), ("lambda_gate", 0.1)):
        weights = entropy_weights(decoder[gate]["scale"], entropies.astype(float), 300)
        assert weights.mean() == pytest.approx(rate, rel=1e-6)


def test_more_examples_leave_earlier_texts_as_they_were(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also under an entropy gate, once there are as many prompts as it is calibrated on."""
    monkeypatch.setattr(generation, "CALIBRATION_PROMPTS", 4)
    some = {name: VARIANTS[name] for name in ("entropy", "span", "sequence", "heads")}
    first = run(work, values(some))
    write_params(work, values(some, examples=6))
    with inside(work):
        prepare.main(["textgen"])
    second = run(work, values(some, examples=6))
    for name, cell in first.items():
        for column in ("example_id", "token_ids", "routes", "entropies"):
            assert second[name][column][:4] == cell[column], (name, column)


def test_one_variant_alone_gives_the_same_bytes(work: Path) -> None:
    together, alone = run(work, values()), run(work, values({"heads": VARIANTS["heads"]}))
    for name in [name for name in alone if name.startswith("routing")]:
        assert alone[name] == together[name]


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({"q_route": "experts"}, "cell routing-odd-q0.1-l0: model one: route experts: a dense model"),
        (
            {"q_route": {"top_k": 257}},
            "variants.odd: top_k = 257: must be at most 256, the sampling vocabulary of one",
        ),
        ({"q_route": {"unigram": "gone.txt"}}, "variants.odd: unigram = 'gone.txt': cannot be read"),
        ({"q_route": {"unigram": "empty.txt"}}, "unigram = 'empty.txt': holds no token"),
    ],
)
def test_what_a_model_has_not_is_refused_before_any_work(
    variant: dict[str, Any], message: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "load_model", lambda *_: pytest.fail("a model was loaded"))
    (work / "empty.txt").touch()
    with pytest.raises(PipelineError, match=message):
        run(work, values({"odd": {"lambda_route": "uniform", **variant}}))


def finished_texts(
    folder: Path, made: dict[str, Any]
) -> tuple[Settings, Task, list[Cell], dict[str, CellTexts]]:
    """Prepare and generate textgen; its routing cells and their texts."""
    write_params(folder, made)
    with inside(folder):
        prepare.main(["textgen"])
        run(folder, made)
        settings = load_settings()
        task = settings.tasks["textgen"]
        cells = [cell for cell in all_cells(settings, task) if cell.variant]
        rows = read_jsonl("data/prepared/textgen.jsonl")
        order = text_order(settings, task, rows, task.samples)
        return settings, task, cells, {c.name: read_texts(task, c.name, rows, 0, order) for c in cells}


def test_gates_of_the_finished_texts_open_at_their_rate(work: Path) -> None:
    """20 texts: the law's share lies inside the exact binomial interval at 1 − 1e-6, for each token gate."""
    settings, task, cells, texts = finished_texts(work, values(examples=20))
    with_token_gates = [cell for cell in cells if cell.variant in ("corpus", "heads")]
    for record in gate_rates(settings.variants, with_token_gates, texts, task.max_new_tokens, 1 - 1e-6):
        assert record.lo <= record.expected <= record.hi, record


def test_cells_of_equal_rate_agree_under_independent_noise(work: Path) -> None:
    """(0.3, 0) and (0, 0.3) on 20 examples × 5 samples, each with noise of its own: the texts differ, and a
    rank test finds no difference; a false alarm once in 10,000 runs."""
    made = params(examples=20) | {"coupling": "independent", "grid": {"q": [0, 0.3], "lambda": [0, 0.3]}}
    made["tasks"]["textgen"]["samples"] = 5
    settings, _, cells, texts = finished_texts(work, made)
    one, other = texts["routing-uniform-q0.3-l0"], texts["routing-uniform-q0-l0.3"]
    assert one.token_ids != other.token_ids
    found = identity(settings, cells, texts)
    assert [record.variant for record in found if record.collapses] == ["uniform", "epsilon-greedy"]
    assert all(record.p_value > 1e-4 for record in found if record.collapses)


def test_frequencies_are_those_of_the_references(work: Path) -> None:
    write_params(work, values())
    with inside(work):
        settings = load_settings()
        cells = all_cells(settings, settings.tasks["textgen"])
        tokenizer = load_tokenizer("data/assets/one")
        (work / "words.txt").write_text("b", encoding="utf-8")
        vocabulary = Vocabulary(300, np.arange(5, 261), frozenset({2}))
        resolved, tables = with_frequencies(cells, ["aab", "b"], tokenizer, vocabulary, "textgen")
    a, b = tokenizer("ab", add_special_tokens=False)["input_ids"]
    (one,) = [cell.decoder for cell in resolved if cell.name == "routing-corpus-q0.1-l0.1"]
    assert tables[one.q_route][[a, b]].tolist() == [0.5, 0.5]
    assert tables[one.lambda_route][[a, b]].tolist() == [0.0, 1.0]
    assert one.q_route.digest != one.lambda_route.digest and len(one.q_route.digest) == 64
