"""Likelihood of the human texts under the law: closed forms by hand, and a model's own probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from random_routing.decode.prompts import Prompts
from random_routing.law.routes import unigram
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.loading import load_model
from random_routing.models.network import LanguageModel
from random_routing.resampling.weights import resample_weights
from random_routing.runs.store import Store
from random_routing.scoring import likelihood
from random_routing.scoring.forced_laws import Law
from random_routing.scoring.judge import Scored
from random_routing.scoring.likelihood import RATES, HumanProbabilities, laws_of, likelihood_curve
from random_routing.settings import Annealing, Base, Route, Variant
from tests.helpers.tiny import tiny_model_folder

UNIFORM, TOP, UNIGRAM = Route("uniform"), Route("top_k", k=3), Route("unigram")


def test_the_curve_by_hand() -> None:
    """Two texts of two tokens with p = (0.9, 0), δ = (0.25, 0.25): impossible at r = 0; at r = 1 each
    token has 0.25. log(0.9 − 0.65·r) + log(0.25·r) is highest at r = 0.9 / 1.3."""
    p, mass = np.array([[0.9, 0.0, 0.7]] * 2), np.array([[0.25, 0.25, 0.5]] * 2)
    found = likelihood_curve(p, mass, np.array([2.0, 2.0]), np.ones((10, 2)), 0.95)
    values = {point.r: point.value for point in found.curve}
    assert 0.0 not in values and values[1.0] == pytest.approx(math.log(0.25))
    nearest = RATES[np.abs(RATES - 0.9 / 1.3).argmin()]
    assert found.best_r == pytest.approx(nearest) and found.best_lo == found.best_hi == found.best_r


def test_a_model_that_is_right_wants_no_smoothing() -> None:
    p, mass = np.full((20, 5), 0.5), np.full((20, 5), 0.01)
    found = likelihood_curve(p, mass, np.full(20, 5.0), resample_weights(20, 100, 1), 0.95)
    assert found.best_r == 0.0 and found.curve[0].value == pytest.approx(math.log(0.5))


def test_laws_of_variants() -> None:
    variants = {
        "uniform": Variant(Base(), UNIFORM, UNIFORM),
        "plausible": Variant(Base(), UNIFORM, TOP),
        "heads": Variant(Base(), Route("heads", drop=0.1), Route("frozen", concentration=1.0)),
    }
    assert laws_of(variants, 9) == {
        ("uniform", "random, by r"): Law(Base(), UNIFORM),
        ("plausible", "λ"): Law(Base(), TOP),
    }


def test_a_law_says_how_long_it_anneals() -> None:
    """It is a part of the key: the same file with other steps is another law."""
    falling = Base(temperature=Annealing("linear", 2.0, 0.5))
    [law] = laws_of({"cooled": Variant(falling, UNIFORM, UNIFORM)}, 9).values()
    assert law == Law(Base(temperature=Annealing("linear", 2.0, 0.5, 8)), UNIFORM)


def test_probabilities_are_the_models(tmp_path: Path) -> None:
    model = load_model(tiny_model_folder(tmp_path / "model"))
    vocabulary = Vocabulary(300, np.arange(5, 261), frozenset({2}))
    tables = {UNIGRAM: unigram([[40, 40, 77]], vocabulary)}
    laws = [
        Law(Base(), UNIFORM),
        Law(Base(), TOP),
        Law(Base(greedy=True), UNIGRAM),
        Law(Base(top_k=5), UNIFORM),
        Law(Base(temperature=Annealing("linear", 2.0, 0.5, 2)), UNIFORM),
    ]
    prompts, texts = [(1, 9, 33), (1, 50, 60, 70)], [(40, 77, 12), (40, 99)]
    store = Store(tmp_path / "rows.sqlite")

    def found(load: Any = lambda: model) -> tuple[np.ndarray, np.ndarray]:
        made = HumanProbabilities(load, {"model": "tiny"}, laws, vocabulary, tables, store)
        return made.of([Scored(*pair) for pair in zip(prompts, texts, strict=True)], 64, 64)

    p, mass = found()
    for i, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
        with torch.inference_mode():
            logits = model.network(torch.tensor([[*prompt, *text]])).logits[0, len(prompt) - 1 : -1]
        for t, token in enumerate(text):
            full = torch.softmax(logits[t], 0)
            ranked = [k for k in full.argsort(descending=True).tolist() if 5 <= k < 261]
            assert p[0, i, t] == pytest.approx(full[token].item(), rel=1e-3)
            assert mass[0, i, t] == pytest.approx(1 / 256)
            assert mass[1, i, t] == pytest.approx(1 / 3 if token in ranked[:3] else 0)
            assert p[2, i, t] == float(full.argmax() == token)
            assert mass[2, i, t] == pytest.approx({40: 2 / 3, 77: 1 / 3}.get(token, 0.0))
            kept = full.topk(5)
            expected = (
                full[token] / kept.values.sum() if token in kept.indices.tolist() else torch.tensor(0.0)
            )
            assert p[3, i, t] == pytest.approx(expected.item(), rel=1e-3)
            cooled = torch.softmax(logits[t] / (2.0, 1.25, 0.5)[t], 0)
            assert p[4, i, t] == pytest.approx(cooled[token].item(), rel=1e-3)
    again = found(lambda: pytest.fail("it was stored"))
    assert np.array_equal(again[0], p) and np.array_equal(again[1], mass)


VOCABULARY = Vocabulary(300, np.arange(5, 261), frozenset({2}))
TEXTS = [Scored((1, 9, 33 + i // 2), tuple(range(40 + i, 42 + 2 * i))) for i in range(10)]


def of_ten(model: LanguageModel, store: Store, max_rows: int, batch_size: int = 16) -> list[bytes]:
    """p and δ of `TEXTS` under two laws."""
    laws = [Law(Base(), UNIFORM), Law(Base(top_p=0.5), TOP)]
    made = HumanProbabilities(lambda: model, {}, laws, VOCABULARY, {}, store)
    return [values.tobytes() for values in made.of(TEXTS, batch_size, max_rows)]


def test_some_are_made_again_with_the_same_bits(model: LanguageModel, tmp_path: Path) -> None:
    """Beside others, and none where all were there."""
    store = Store(tmp_path / "rows.sqlite")
    made = HumanProbabilities(lambda: model, {}, [Law(Base(), UNIFORM)], VOCABULARY, {}, store)
    made.of(TEXTS, 3, 4)
    again = {key: value for lot in made.remade(16) for key, value in lot.items()}
    assert len(again) == 8 and store.get(list(again)) == again
    there = HumanProbabilities(
        lambda: pytest.fail("no need"), {}, [Law(Base(), UNIFORM)], VOCABULARY, {}, store
    )
    there.of(TEXTS, 3, 4)
    assert list(there.remade(16)) == []


@pytest.fixture
def model(tmp_path: Path) -> LanguageModel:
    return load_model(tiny_model_folder(tmp_path / "model"))


def forcing(monkeypatch: pytest.MonkeyPatch, fails: Callable[[int, int], Any]) -> list[tuple[int, int]]:
    """Raises what `fails(texts, rows)` returns; the list gets texts and rows of every attempt."""
    attempts: list[tuple[int, int]] = []
    real = likelihood.decode

    def decode(model: Any, prompts: Prompts, forced: Any, steps: int, rows: int) -> Any:
        attempts.append((len(prompts.of_text), rows))
        if error := fails(len(prompts.of_text), rows):
            raise error
        return real(model, prompts, forced, steps, rows)

    monkeypatch.setattr(likelihood, "decode", decode)
    return attempts


def test_blocks_give_the_same_bytes_and_small_values(
    model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most `max_rows` texts at once; a value holds one text: two numbers a law and token."""
    whole = of_ten(model, Store(tmp_path / "whole.sqlite"), 64)
    attempts, store = forcing(monkeypatch, lambda texts, rows: None), Store(tmp_path / "blocks.sqlite")
    assert of_ten(model, store, 4) == whole
    assert attempts == [(4, 16), (4, 16), (2, 16)]
    values = [value for (value,) in store.database.execute("SELECT value FROM items")]
    assert sorted(map(len, values)) == sorted(2 * 2 * 8 * len(one.text) for one in TEXTS)


def test_an_interruption_keeps_finished_blocks(
    model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, store = of_ten(model, Store(tmp_path / "whole.sqlite"), 64), Store(tmp_path / "blocks.sqlite")
    attempts = forcing(monkeypatch, lambda texts, rows: KeyboardInterrupt() if len(attempts) == 3 else None)
    with pytest.raises(KeyboardInterrupt):
        of_ten(model, store, 4)
    assert of_ten(model, store, 4) == whole
    assert [texts for texts, _ in attempts] == [4, 4, 2, 2]


def test_too_little_memory_for_a_block(
    model: LanguageModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Memory for 5 rows a call: 16 → 8 → 4, also for the next block."""
    whole = of_ten(model, Store(tmp_path / "whole.sqlite"), 64)
    attempts = forcing(monkeypatch, lambda texts, rows: MemoryError() if rows > 5 else None)
    assert of_ten(model, Store(tmp_path / "halves.sqlite"), 8) == whole
    assert attempts == [(8, 16), (4, 8), (2, 4), (2, 4), (4, 4), (2, 4)]
    assert capsys.readouterr().out.count("not enough memory for batch_size 16; going on with 4 rows") == 1


def test_other_frequencies_are_other_values(model: LanguageModel, tmp_path: Path) -> None:
    """Of the same route, after texts were added."""
    store, text = Store(tmp_path / "rows.sqlite"), Scored((1, 9), (40,))
    for counted, expected in ([[40]], 1.0), ([[40, 77]], 0.5):
        table = {UNIGRAM: unigram(counted, VOCABULARY)}
        made = HumanProbabilities(lambda: model, {}, [Law(Base(), UNIGRAM)], VOCABULARY, table, store)
        assert made.of([text], 16, 16)[1].tolist() == [[[pytest.approx(expected)]]]
