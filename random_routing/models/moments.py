"""When a device had done what it was asked for, without waiting for it."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter

import torch

Moment = float | torch.cuda.Event  # a GPU reaches it later than the host


def moment(device: str) -> Moment:
    """When the device will have done all that it was asked for so far."""
    if device != "cuda":
        return perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def seconds(spans: Iterable[tuple[Moment, Moment]]) -> float:
    """All together, once the device has got there."""
    return sum(_seconds(began, ended) for began, ended in spans)


def _seconds(began: Moment, ended: Moment) -> float:
    if isinstance(began, float) and isinstance(ended, float):
        return ended - began
    assert isinstance(began, torch.cuda.Event) and isinstance(ended, torch.cuda.Event)
    ended.synchronize()
    return began.elapsed_time(ended) / 1e3
