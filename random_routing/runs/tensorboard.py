"""TensorBoard event files under `reports/tensorboard/`, when `tensorboard: true`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from random_routing.settings import Settings

FOLDER = Path("reports/tensorboard")
Log = Callable[[str, float, int], None]  # tag, value, step


@contextmanager
def events(settings: Settings, stage: str, task: str) -> Iterator[Log]:
    """Give what writes a number; it takes the place of what the stage wrote before."""
    if not settings.tensorboard:
        yield lambda tag, value, step: None
        return
    from torch.utils.tensorboard import SummaryWriter  # slow to import, and rarely asked for

    folder = FOLDER / f"{stage}-{task}"
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:
        yield lambda tag, value, step: writer.add_scalar(tag, value, step)
