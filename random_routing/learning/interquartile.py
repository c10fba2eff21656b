"""The interquartile mean and its stratified bootstrap (Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of
the Statistical Precipice").

As in their library `rliable`, which the tests compare with: the mean of the middle half of the runs of all strata
together (an environment is a stratum), and percentiles over resamples of the runs within each stratum. rliable 1.2.0
itself cannot be installed beside pandas 3 (its arch imports what that no longer has), and its resamples come from
numpy's global generator.
"""

from __future__ import annotations

import numpy as np

from random_routing.resampling.weights import resample_weights

CUT = 0.25  # of the runs, at each end
BLOCK = 2**22  # weights that are summed up at once


def interquartile_mean(scores: np.ndarray) -> float:
    """Of all runs, (N,) or (N, strata): what is left when the lowest and the highest quarter, rounded down, are cut."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=None)
    cut = int(CUT * len(ordered))
    return float(ordered[cut : len(ordered) - cut].mean())


def draws(runs: int, strata: int, resamples: int, seed: int) -> np.ndarray:
    """How often each run is drawn in each resample, (B, N·strata) float32: of each stratum as many as it has."""
    drawn = [resample_weights(runs, resamples, seed + i).astype(np.float32) for i in range(strata)]
    return np.concatenate(drawn, axis=1)


def resampled(scores: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The interquartile mean of each resample, (B,). scores: (N,) or (N, strata); drawn: of `draws`, whose strata stand
    one after the other."""
    flat = np.asarray(scores, dtype=np.float64).T.ravel()
    order = np.argsort(flat, kind="stable")
    ordered, total = flat[order], len(flat)
    cut = int(CUT * total)
    found = []
    for some in np.array_split(drawn, max(1, drawn.size // BLOCK)):
        # How many of the middle half are at most as large as each; the mean by summation by parts.
        upto = some[:, order].cumsum(1).clip(cut, total - cut) - cut
        found.append(ordered[-1] - upto[:, :-1] @ np.diff(ordered) / (total - 2 * cut))
    return np.concatenate(found)


def interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Percentiles of resampled values."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
