"""Likelihood of the human texts under the law: closed forms by hand, and a model's own probabilities."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.decoding.model import load_model
from pipeline.decoding.store import Store
from pipeline.metrics.likelihood import RATES, Law, human_probabilities, laws_of, likelihood_curve
from pipeline.metrics.resamples import resample_weights
from pipeline.routing.routes import unigram
from pipeline.routing.vocabulary import Vocabulary
from pipeline.settings import Base, Route, Variant
from tests.tiny import tiny_model_folder

UNIFORM, TOP, UNIGRAM = Route("uniform"), Route("top_k", k=3), Route("unigram")


def test_the_curve_by_hand() -> None:
    """Two texts of two tokens with p = (0.9, 0), δ = (0.25, 0.25): impossible at r = 0; at r = 1 each
    token has 0.25. log(0.9 − 0.65·r) + log(0.25·r) is highest at r = 0.9 / 1.3."""
    p, mass = np.array([[0.9, 0.0, 0.7]] * 2), np.array([[0.25, 0.25, 0.5]] * 2)
    found = likelihood_curve(p, mass, np.array([2.0, 2.0]), np.ones((10, 2)), 0.95)
    values = {record["r"]: record["value"] for record in found["curve"]}
    assert 0.0 not in values and values[1.0] == pytest.approx(math.log(0.25))
    nearest = RATES[np.abs(RATES - 0.9 / 1.3).argmin()]
    assert (
        found["best_r"] == pytest.approx(nearest)
        and found["best_lo"] == found["best_hi"] == found["best_r"]
    )


def test_a_model_that_is_right_wants_no_smoothing() -> None:
    p, mass = np.full((20, 5), 0.5), np.full((20, 5), 0.01)
    found = likelihood_curve(p, mass, np.full(20, 5.0), resample_weights(20, 100, 1), 0.95)
    assert found["best_r"] == 0.0 and found["curve"][0]["value"] == pytest.approx(math.log(0.5))


def test_laws_of_variants() -> None:
    variants = {
        "uniform": Variant(Base(), UNIFORM, UNIFORM),
        "plausible": Variant(Base(), UNIFORM, TOP),
        "heads": Variant(Base(), Route("heads", drop=0.1), Route("frozen", concentration=1.0)),
    }
    assert laws_of(variants) == {
        ("uniform", "q"): Law(Base(), UNIFORM),
        ("plausible", "λ"): Law(Base(), TOP),
    }


def test_probabilities_are_the_models(tmp_path: Path) -> None:
    model = load_model(tiny_model_folder(tmp_path / "model"))
    vocabulary = Vocabulary(300, np.arange(5, 261), frozenset({2}))
    tables = {UNIGRAM: unigram([[40, 40, 77]], vocabulary)}
    laws = [
        Law(Base(), UNIFORM),
        Law(Base(), TOP),
        Law(Base(greedy=True), UNIGRAM),
        Law(Base(top_k=5), UNIFORM),
    ]
    prompts, texts = [(1, 9, 33), (1, 50, 60, 70)], [(40, 77, 12), (40, 99)]
    store = Store(tmp_path / "rows.sqlite")

    def found(load: Any = lambda: model) -> tuple[np.ndarray, np.ndarray]:
        return human_probabilities(
            load,
            {"model": "tiny"},
            prompts,
            texts,
            laws,
            vocabulary,
            tables,
            16,
            64,
            store,
        )

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
    again = found(lambda: pytest.fail("it was stored"))
    assert np.array_equal(again[0], p) and np.array_equal(again[1], mass)
