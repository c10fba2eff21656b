"""How good the probabilities of labels are over r, in closed form, and over temperature, its rival.

Mixing with the uniform distribution is label smoothing (Szegedy et al. 2016), done at inference; temperature scaling
(Guo et al. 2017) is what people use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from random_routing.law.cells import Decoder
from random_routing.metrics import sentiment
from random_routing.metrics.metric import ratio
from random_routing.resampling.intervals import percentile_interval, resampled_all
from random_routing.resampling.weights import Weights
from random_routing.results.measured import CalibrationBest, CalibrationPoint
from random_routing.scoring.choices import Choices
from random_routing.settings import Base, Route, Settings

# Settings of each family; r = 0 and T = 1 are plain sampling. r = 1 is left out: it knows nothing, for which the
# calibration error is 0.
RATES = np.concatenate([[0.0], np.geomspace(0.001, 0.99, 61)]).round(6)
TEMPERATURES = np.geomspace(0.1, 10, 81).round(6)
METRICS = ("nll", "brier", "error")
PLAIN = {"routing": 0.0, "temperature": 1.0}


@dataclass(frozen=True)
class Calibration:
    curve: list[CalibrationPoint]
    best: list[CalibrationBest]


def calibration_of(
    choices: Choices, rows: Sequence[dict[str, Any]], weights: Weights, settings: Settings
) -> Calibration:
    """rows: of the plan's examples, in their order; weights: (B, E)."""
    number = {label: i for i, label in enumerate(choices.plan.task.labels)}
    true = np.array([number[row["references"][0]] for row in rows])
    uniform = Route("uniform")
    decoders = {
        "routing": [(r, Decoder(Base(), q=float(r), q_route=uniform)) for r in RATES],
        "temperature": [(t, Decoder(Base(temperature=float(t)))) for t in TEMPERATURES],
    }
    curve, values = list[CalibrationPoint](), dict[str, np.ndarray]()
    for family, of_family in decoders.items():
        # Every closed form is there: none of these routes runs the model again.
        laws = [cast(np.ndarray, choices.law(decoder)) for _, decoder in of_family]
        points, values[family] = _curve(laws, true, weights, settings.confidence)
        settings_of = [float(setting) for setting, _ in of_family]
        curve += [
            CalibrationPoint(family, setting, float(law.max(1).mean()), *point)
            for setting, law, point in zip(settings_of, laws, points, strict=True)
        ]
    return Calibration(curve, _best(values, len(true), settings.confidence))


def _curve(
    laws: Sequence[np.ndarray], true: np.ndarray, weights: Weights, confidence: float
) -> tuple[list[list[float]], np.ndarray]:
    """Of each law value, low and high of every metric; and (metrics, 1 + B, laws), the value and its resamples."""
    example = np.arange(len(true))
    items = [
        item
        for law in laws
        for item in (
            (sentiment.nll(law, true), sentiment.mean_nll),
            (sentiment.brier(law, true), ratio),
            (sentiment.calibration(law, true, example), sentiment.calibration_error),
        )
    ]
    drawn = resampled_all(weights, items)
    both = np.array([np.concatenate([[one.value], one.resamples]) for one in drawn])
    whole = both.reshape(len(laws), len(METRICS), -1).transpose(1, 2, 0)
    count = len(METRICS)
    points = [
        [number for one in drawn[i : i + count] for number in (one.value, *one.interval(confidence))]
        for i in range(0, len(drawn), count)
    ]
    return points, whole


def _best(values: dict[str, np.ndarray], examples: int, confidence: float) -> list[CalibrationBest]:
    """values: family → (metrics, 1 + B, settings)."""
    settings_of, found = {"routing": RATES, "temperature": TEMPERATURES}, []
    for number, metric in enumerate(METRICS):
        least = {family: np.nanmin(of[number], axis=1) for family, of in values.items()}
        for family, of in values.items():
            known = np.where(np.isnan(of[number]), np.inf, of[number])
            setting = settings_of[family][known.argmin(1)]
            plain = of[number][:, np.flatnonzero(settings_of[family] == PLAIN[family])[0]]
            ends = [setting, least[family] - plain, least[family] - least["temperature"]]
            of_setting, gain, rival = (
                (float(of[0]), *percentile_interval(of[1:], confidence, examples)) for of in ends
            )
            found.append(
                CalibrationBest(family, metric, *of_setting, float(least[family][0]), *gain, *rival)
            )
    return found
