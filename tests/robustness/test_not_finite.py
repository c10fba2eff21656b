"""Logits that stop to be finite while a model runs: one line that names it, nothing stored of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from random_routing.errors import PipelineError
from random_routing.law.base_decoders import distribution
from random_routing.law.probabilities import NotFinite
from random_routing.models.loading import load_model
from random_routing.runs.blocks import grouped, units
from random_routing.runs.generation import run_units
from random_routing.runs.processes import in_processes
from random_routing.runs.store import Store
from random_routing.scoring.judge import Scored, Scores
from random_routing.settings import Base
from tests.helpers.plans import plan
from tests.helpers.tiny import tiny_model_folder

HERE = partial(in_processes, workers=1)


def load_overflowing(folder: Path, value: float) -> Any:
    """A model whose second token has a logit that is not finite, in its last row alone."""
    model = load_model(folder)
    step = model.step

    def overflowing(*args: Any) -> Any:
        logits = step(*args)
        logits[-1, 7] = value
        return logits

    object.__setattr__(model, "step", overflowing)
    return model


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_generator_is_named(tmp_path: Path, value: float) -> None:
    folder, made = tiny_model_folder(tmp_path / "one"), plan(6, 2)
    texts = [text for job in made.jobs() for text in made.texts_of(job)]
    store = Store(tmp_path / "rows.sqlite")
    with pytest.raises(PipelineError, match=r"^one: gives logits that are not finite \(NaN or infinite\)"):
        run_units(partial(load_overflowing, folder, value), made, units(grouped(texts), 8), store, 4, HERE)
    assert not store.present([text.key for text in texts])


def test_a_judge_is_named(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "judge")
    pairs = [Scored((1, 9, 33 + i), tuple(range(40 + i, 43 + i))) for i in range(4)]
    scores = Scores({}, Store(tmp_path / "rows.sqlite"))
    with pytest.raises(PipelineError, match=r"^judge: gives logits that are not finite"):
        scores.compute(
            HERE, partial(load_overflowing, folder, float("nan")), [pairs], 8, 8, lambda done, total: None
        )
    assert scores.absent(pairs) == pairs


def test_barred_tokens_are_no_fault() -> None:
    """−∞ is a token that is never written; a row of nothing else has no distribution."""
    logits = torch.tensor([[0.0, -torch.inf, 1.0], [-torch.inf, 2.0, -torch.inf]])
    law = distribution(logits, Base())
    assert law.weights.sum(1).tolist() == pytest.approx([1 + 0.36787944, 1.0])
    for bad in ([0.0, torch.nan, 1.0], [0.0, torch.inf, 1.0], [-torch.inf] * 3):
        with pytest.raises(NotFinite, match="not finite"):
            distribution(torch.tensor([[0.0, 0.0, 0.0], bad]), Base())
