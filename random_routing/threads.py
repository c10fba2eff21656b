"""How OpenMP's threads wait for each other, which torch reads when it is loaded."""

from __future__ import annotations

import os
import time

# Looks before a thread that waits sleeps, where nothing else is at work: longer than from one operation to the next.
LOOKS = "3000"
SAMPLES, PAUSE = 5, 0.002  # seconds


def choose() -> None:
    """Unless it has been chosen: threads that wait sleep at once if another process is at work, else they look first.

    On a quiet machine of two cores looking made a run 1.2 times as fast in float32 and 1.5 times in bfloat16; beside
    another such run it took twice as long, while sleeping threads lost nothing. No byte depends on it.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ.update({"GOMP_SPINCOUNT": LOOKS} if quiet() else {"OMP_WAIT_POLICY": "PASSIVE"})


def quiet() -> bool:
    """Was this process at some moment the only one that ran? False where the system does not say."""
    for _ in range(SAMPLES):
        try:
            with open("/proc/loadavg") as file:
                running = int(file.read().split()[3].split("/")[0])  # this process among them
        except (OSError, ValueError, IndexError):
            return False
        if running <= 1:
            return True
        time.sleep(PAUSE)
    return False
