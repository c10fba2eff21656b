"""What a model call sees of a cache in place."""

from __future__ import annotations

import torch

from random_routing.models.cache import SlotCache


def test_what_is_seen_lies_side_by_side_and_keeps_what_was_there() -> None:
    cache = SlotCache(layers=1, slots=3, prompt_length=5, steps=20, multiple=16)
    cache.cover(0, 3, 0)
    written = torch.randn(3, 2, 5, 4)
    keys, values = cache.update(written, -written, 0)
    for step in range(1, 20):
        assert keys.shape == values.shape == (3, 2, 16 if step <= 12 else 32, 4)
        assert keys.is_contiguous() and values.is_contiguous()
        filled = written.shape[2]
        assert torch.equal(keys[:, :, :filled], written) and torch.equal(values, -keys)
        assert not keys[:, :, filled:].any(), "nothing that a mask would have to hide but zeros"
        cache.cover(0, 3, step)
        new = torch.randn(3, 2, 1, 4)
        keys, values = cache.update(new, -new, 0)
        written = torch.cat([written, new], dim=2)
        assert cache.get_mask_sizes(1, 0) == (keys.shape[2], 0)


def test_a_fork_copies_what_is_filled() -> None:
    cache = SlotCache(layers=1, slots=4, prompt_length=3, steps=30, multiple=16)
    cache.cover(0, 2, 0)
    written = torch.randn(2, 1, 3, 4)
    cache.update(written, written, 0)
    slots = cache.fork(torch.tensor([0, 1, 1]), 0)
    cache.cover(0, 3, 1)
    keys, _ = cache.update(torch.ones(3, 1, 1, 4), torch.ones(3, 1, 1, 4), 0)
    assert torch.equal(keys[slots][:, :, :3], written[[0, 1, 1]]) and keys.shape == (3, 1, 16, 4)
