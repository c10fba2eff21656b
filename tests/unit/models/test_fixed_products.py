"""Products in a fixed order: near the library's, and the same bits beside other rows, at any place, in any threads."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from random_routing import compiled
from random_routing.decode.forcing import score
from random_routing.decode.prompts import Prompts
from random_routing.errors import PipelineError
from random_routing.models.fixed_products import dots, sums
from random_routing.models.invariant import ACTIVATIONS, whole_vectors
from random_routing.models.loading import load_model
from random_routing.models.numerics import check_numerics, numerics
from random_routing.scoring.embedding import Embedder
from tests.helpers.tiny import tiny_embedder_folder, tiny_model_folder

SHAPES = [(1, 1, 1, 1, 1), (2, 3, 3, 64, 80), (3, 2, 5, 7, 1), (5, 1, 4, 256, 33), (2, 4, 30, 16, 61)]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("batch", "heads", "rows", "size", "length"), SHAPES)
def test_products_equal_the_librarys_to_the_last_digits(
    batch: int, heads: int, rows: int, size: int, length: int
) -> None:
    torch.manual_seed(1)
    query, cache = torch.randn(batch, heads, rows, size), torch.randn(2, batch, heads, length + 5, size)
    key, value = cache[0, :, :, :length], cache[1, :, :, 3 : 3 + length]  # strides of a cache
    scores = dots(query, key)
    exact = torch.matmul(query.double(), key.double().transpose(2, 3))
    assert torch.allclose(scores.double(), exact, atol=1e-5 * size**0.5)
    weights = torch.softmax(scores, -1)
    exact = torch.matmul(weights.double(), value.double())
    assert torch.allclose(sums(weights, value).double(), exact, atol=1e-5)


def test_an_infinite_mask_stays_what_it_is() -> None:
    """Sums of weights that are 0 and of values that are large, infinities in the scores."""
    a = torch.tensor([[[[torch.inf, 1.0]]]])
    assert dots(a, torch.ones(1, 1, 1, 2)).item() == torch.inf
    assert sums(torch.tensor([[[[0.0, 1.0]]]]), torch.full((1, 1, 2, 1), 3e38)).item() == pytest.approx(
        3e38
    )
    assert np.isnan(dots(a * 0, torch.ones(1, 1, 1, 2)).item())


def test_a_row_has_the_same_bits_wherever_it_stands(threads: None) -> None:
    torch.manual_seed(2)
    query, key, value = torch.randn(40, 3, 7, 64), torch.randn(40, 3, 90, 64), torch.randn(40, 3, 90, 64)
    weights = torch.softmax(torch.randn(40, 3, 7, 90), -1)
    wanted = dots(query, key), sums(weights, value)
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        for rows in ([5], [39, 0], list(range(39, -1, -1)), [7, 7, 7]):
            pick = torch.tensor(rows)
            assert torch.equal(dots(query[pick], key[pick]), wanted[0][pick])
            assert torch.equal(sums(weights[pick], value[pick]), wanted[1][pick])
    for shift in range(1, 16):  # every alignment that an array can have
        memory = torch.empty(query.numel() + 16)
        moved = memory[shift : shift + query.numel()].view(query.shape).copy_(query)
        assert torch.equal(dots(moved, key), wanted[0])


def test_zeros_before_the_keys_change_no_bit() -> None:
    """Padding on the left adds exact zeros to a sum that goes from left to right."""
    torch.manual_seed(3)
    weights, value = torch.softmax(torch.randn(2, 1, 3, 50), -1), torch.randn(2, 1, 50, 32)
    padded = torch.nn.functional.pad(weights, (16, 0)), torch.nn.functional.pad(value, (0, 0, 16, 0))
    assert torch.equal(sums(weights, value), sums(*padded))


class Library(TorchDispatchMode):
    """Counts the fp32 products that go to the default library, those of single numbers aside."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if name.split(".")[1] in ("mm", "bmm", "addmm", "baddbmm", "matmul", "linear", "dot", "mv"):
            left = args[1] if "add" in name else args[0]
            if left.dtype == torch.float32 and left.shape[-1] > 1:
                self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "kind",
    [
        "llama",
        "gemma3",
        "gpt2",
        "opt",
        "t5",
        "marian",
        "mixtral",
        "gptj",
        "gpt_neo",
        "falcon",
        "falcon_new",
    ],
)
def test_no_product_of_a_model_is_left_to_the_default_library(tmp_path: Path, kind: str) -> None:
    model = load_model(tiny_model_folder(tmp_path, kind))
    one, two = tuple(range(10, 20)), tuple(range(30, 37))
    with Library() as library:
        score(model, Prompts.of([one, two, two], 16), [[5, 6, 7], [9, 9], [8]], 4)
    assert library.found == []


def test_no_product_of_an_embedder_is_left_to_the_default_library(tmp_path: Path) -> None:
    embedder = Embedder(tiny_embedder_folder(tmp_path))
    with Library() as library:
        embedder(["the market rose", "rain"])
    assert library.found == []


def test_products_without_a_place_for_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    real = compiled.numba.njit

    def njit(**options: Any) -> Any:
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(compiled.numba, "njit", njit)
    assert compiled.compiled()(lambda x: x + 1)(2) == 3


def test_versions_and_processor_are_part_of_what_decides_the_bits() -> None:
    here = numerics("cpu")
    assert set(here) == {"numba", "tokenizers", "torch", "transformers", "processor"}
    check_numerics(here, "cpu")
    with pytest.raises(PipelineError, match=r"worker .*: torch 2.13.0\S* in place of 2.12.1; "):
        check_numerics({**here, "torch": "2.12.1"}, "cpu")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 16])
def test_activations_do_not_depend_on_where_a_threads_share_ends(threads: None, count: int) -> None:
    """torch's own do from 3 threads on: the ends of shares, in the middle of rows, have other last digits."""
    torch.set_num_threads(count)
    torch.manual_seed(4)
    differing = 0
    for activation in ACTIVATIONS:
        for width in (2048, 33):
            x = torch.randn(100, width)
            alone = torch.cat([whole_vectors(activation)(row[None]) for row in x])
            plain = torch.cat([activation(row[None].repeat(1, 32))[:, :width] for row in x])
            for rows in (2, 7, 40, 99):
                assert torch.equal(whole_vectors(activation)(x[:rows]), alone[:rows])
                differing += int((activation(x[:rows]) != plain[:rows]).sum())
    assert count < 3 or differing, "torch computes all alike now: the detour is not needed"


@pytest.mark.parametrize("kind", ["llama", "t5", "mixtral"])
def test_a_model_that_nobody_needs_leaves_memory(tmp_path: Path, kind: str) -> None:
    model = load_model(tiny_model_folder(tmp_path, kind))
    left = weakref.ref(model.network)
    assert "logits_to_keep" in inspect.signature(model.network.forward).parameters or kind == "t5"
    gc.collect()
    gc.disable()
    try:
        del model
        assert left() is None
    finally:
        gc.enable()
