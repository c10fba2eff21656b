"""Vectors depend on the text alone, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from random_routing.errors import PipelineError
from random_routing.scoring import embedding
from random_routing.scoring.embedding import Embedder
from tests.helpers.tiny import tiny_embedder_folder

TEXTS = [f"text {'ab ' * (i % 13)}{i}" for i in range(40)] + ["", "é 🎲", "x" * 500]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder(tiny_embedder_folder(tmp_path_factory.mktemp("bert")))


def check(embedder: Embedder) -> None:
    whole = embedder(TEXTS)
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
    order = np.random.Generator(np.random.Philox(1)).permutation(len(TEXTS))
    assert np.array_equal(embedder([TEXTS[i] for i in order]), whole[order])
    for i in (0, 7, 41):
        assert np.array_equal(embedder([TEXTS[i]])[0], whole[i])
    assert np.array_equal(embedder(TEXTS[5:12]), whole[5:12])


def test_vectors_do_not_depend_on_the_other_texts(embedder: Embedder) -> None:
    check(embedder)


@pytest.mark.parametrize("batch", [2, 3, 128])
def test_vectors_do_not_depend_on_the_batch_size(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    expected = embedder(TEXTS)
    monkeypatch.setattr(embedding, "ON_CPU", (batch, 2**14))
    assert np.array_equal(embedder(TEXTS), expected)


def test_no_model_call_depends_on_the_company(embedder: Embedder) -> None:
    """The means, seen directly: whether a broken one shows in the vectors depends on the processor
    (MKL rounds differently at a few row counts only, and not the same ones everywhere).
    """
    shapes: list[tuple[int, int]] = []
    hook = embedder.network.register_forward_pre_hook(
        lambda module, args, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    try:
        embedder(["one short text"])
        embedder(TEXTS)
    finally:
        hook.remove()
    assert all(rows >= 2 and length % 16 == 0 and length <= 256 for rows, length in shapes), shapes
    assert len({length for _, length in shapes}) > 3, "texts of several lengths are not padded to one"


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
def test_no_batch_dependent_linear_is_left(embedder: Embedder) -> None:
    assert not [name for name, module in embedder.network.named_modules() if type(module) is nn.Linear]


@pytest.mark.real
def test_vectors_of_the_real_model() -> None:
    embedder = Embedder(Path("data/assets/minilm"))
    check(embedder)
    cat, kitten, law = embedder(["The cat sleeps.", "A kitten is sleeping.", "Congress passed the act."])
    assert cat @ kitten > 0.6 > 0.3 > cat @ law


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no usable embedder"):
        Embedder(tmp_path)
