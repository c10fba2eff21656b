"""What a GPU's model calls are made of, as far as a processor can run it."""

from __future__ import annotations

import pytest
import torch

from random_routing.models.graphs import Graphs, width_of
from random_routing.models.shared import Pages, SharedCache


@pytest.mark.parametrize(
    ("rows", "width"), [(1, 32), (32, 32), (33, 64), (1_024, 1_024), (1_025, 2_048), (5_000, 5_120)]
)
def test_calls_have_a_few_sizes(rows: int, width: int) -> None:
    assert width_of(rows) == width


def test_rows_are_filled_up_and_integers_become_tensors() -> None:
    def call(ids: torch.Tensor, filled: torch.Tensor) -> torch.Tensor:
        assert ids.shape == (4, 2)
        return ids.sum(1) + filled

    made = Graphs()(call, {"ids": torch.tensor([[1, 2], [3, 4]]), "filled": 10}, 4, True)
    assert made.tolist() == [13, 17, 10, 10]


def test_pages_gather_what_a_table_names() -> None:
    states = torch.arange(3 * 2 * 4 * 1.0).view(3, 2, 4, 1)  # slots, heads, positions, size
    table = torch.tensor([[0, 0, 2, 1], [1, 1, 1, 1]], dtype=torch.int32)
    dense = Pages(table, torch.tensor(4)).dense(states)
    assert dense[:, :, :, 0].tolist() == [
        [[0, 1, 18, 11], [4, 5, 22, 15]],
        [[8, 9, 10, 11], [12, 13, 14, 15]],
    ]


def test_a_child_reads_its_past_where_it_was_written() -> None:
    """Prompts of 3 positions; token 0 makes children of slots 1, 0, 1; then token 1 of slots 2, 2."""
    cache = SharedCache(layers=1, slots=4, max_length=6, in_place=True, device="cpu")
    cache.begin(prompt_length=3, prefix_length=0)
    assert cache.fork(torch.tensor([1, 0, 1]), 0).tolist() == [0, 1, 2]
    assert cache.table[:3].tolist() == [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1, 1, 1, 2, 2, 2]]
    cache.fork(torch.tensor([2, 2]), 1)
    assert cache.table[:2].tolist() == [[1, 1, 1, 2, 0, 0], [1, 1, 1, 2, 1, 1]]
    cache.copy(torch.tensor([1]), range(3, 4), 2)  # for a second call of token 2: position 4 is its own
    assert cache.table[3].tolist() == [1, 1, 1, 2, 3, 3]
