"""What a uniform route does to the probabilities of labels, beside temperature: in closed form over all settings."""

from __future__ import annotations

from matplotlib.figure import Figure

from random_routing.report.figures import style
from random_routing.results.measured import CalibrationPoint, Measured
from random_routing.settings import Settings

SHOWN = {"nll": "NLL (nats)", "brier": "Brier score (0–2)", "error": "calibration error (0–1)"}
LOOKS = {
    "routing": style.Look("uniform route, r from 0 up", "#D55E00", "o"),
    "temperature": style.FAMILY_LOOKS["temperature"],
}
HEADROOM = 1.6  # of the least value, or the worst of routing: where the axis ends


def draw(measured: Measured, settings: Settings, width: float) -> Figure | None:
    """A panel per metric: each family's curve over how sure its laws are, with its least value marked."""
    if not measured.calibration:
        return None
    figure, panels = style.panels(width, len(SHOWN), 2.3)
    for ax, (metric, name) in zip(panels, SHOWN.items(), strict=True):
        lowest = min(getattr(point, metric) for point in measured.calibration)
        for family, look in LOOKS.items():
            points = [point for point in measured.calibration if point.family == family]
            sure = [point.confidence for point in points]
            low, high = ([getattr(point, f"{metric}_{end}") for point in points] for end in ("lo", "hi"))
            ax.fill_between(sure, low, high, color=look.colour, alpha=0.12, linewidth=0)
            ax.plot(sure, [getattr(point, metric) for point in points], color=look.colour, label=look.name)
            best = _best(points, metric)
            ax.plot(best.confidence, getattr(best, metric), look.marker, color=look.colour)
        highest = max(getattr(p, f"{metric}_hi") for p in measured.calibration if p.family == "routing")
        ax.set_ylim(0, max(HEADROOM * lowest, highest))
        ax.set_ylabel(name)
        ax.set_xlabel("mean confidence")
    style.legend(figure, panels[0].get_legend_handles_labels()[0])
    return figure


def _best(points: list[CalibrationPoint], metric: str) -> CalibrationPoint:
    return min(points, key=lambda point: float(getattr(point, metric)))
