"""What the routes did: how often gates opened, and whether the law's identity held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from random_routing.errors import PipelineError
from random_routing.law.cells import Cell, Decoder, step_rates
from random_routing.law.origin import Origin
from random_routing.metrics.helpers.ragged import equal
from random_routing.metrics.metric import CellTexts
from random_routing.results.measured import NAN, GateRate, Identity
from random_routing.settings import BY_R, Settings, Variant


def route_names(variant: Variant) -> dict[Origin, str]:
    """What results call the two routes: q and λ, or `BY_R` for the only one where only r counts."""
    return {Origin.Q: BY_R if variant.collapses else "q", Origin.LAMBDA: "λ"}


def gate_rates(
    variants: Mapping[str, Variant],
    cells: Sequence[Cell],
    texts: Mapping[str, CellTexts],
    steps: int,
    confidence: float,
) -> list[GateRate]:
    """A record for each route of each decoder with routes: steps, how many took it, expected share.

    `route`: as in `route_names`.
    The interval is the exact binomial one (Clopper & Pearson 1934); an entropy gate's steps depend on each other, and
    examples are its unit (`between_examples`). Under `span` and `sequence` gates only the first token of each text
    counts: the others are not independent of it, and texts on a random route are longer, because it does not end them.
    `expected` is NaN where the law gives no number.
    """
    records = []
    for cell in _one_each(cells):
        gates = cell.decoder.gates
        lasting = any(gate.kind in ("span", "sequence") for gate in gates.values())
        routes = [values[:1] if lasting else values for values in texts[cell.name].routes]
        total = sum(map(len, routes))
        expected = _expected(cell.decoder, routes, steps)
        for origin, name in route_names(variants[cell.variant]).items():
            if not cell.decoder.rates[origin] or not total:
                continue
            opened = sum(int((values == origin).sum()) for values in routes)
            if gates[origin].kind == "entropy":
                low, high = between_examples(routes, texts[cell.name].example, origin, confidence)
            else:
                low, high = stats.binomtest(opened, total).proportion_ci(confidence, "exact")
            about = (cell.name, cell.variant, name, gates[origin].kind)
            rates = (expected[origin], opened / total, float(low), float(high))
            records.append(GateRate(*about, total, opened, *rates))
    return records


def between_examples(
    routes: Sequence[np.ndarray], example: np.ndarray, origin: Origin, confidence: float
) -> tuple[float, float]:
    """The interval of the share of steps on a route, by Student's t from the spread between examples (Cochran 1977,
    equation 11.12). example: (R,) of each text; NaN for a single one.
    """
    steps = np.bincount(example, [len(values) for values in routes])
    opened = np.bincount(example, [np.count_nonzero(values == origin) for values in routes])
    share, count = opened.sum() / steps.sum(), np.count_nonzero(steps)
    if count < 2:
        return NAN, NAN
    error = np.sqrt(count / (count - 1) * ((opened - share * steps) ** 2).sum()) / steps.sum()
    half = stats.t.ppf((1 + confidence) / 2, count - 1) * error
    return max(0.0, share - half), min(1.0, share + half)


def _one_each(cells: Sequence[Cell]) -> list[Cell]:
    """One cell for each decoder that has a random route."""
    first: dict[Decoder, Cell] = {}
    for cell in cells:
        if cell.decoder.q or cell.decoder.lam:
            first.setdefault(cell.decoder, cell)
    return list(first.values())


def _expected(decoder: Decoder, routes: Sequence[np.ndarray], steps: int) -> dict[Origin, float]:
    """Share of steps on each route by the law, over the steps that were made.

    NaN for mixing before a truncation, which decides how much of δ is left, and for the λ-route where
    both gates follow the same entropy, so that neither is independent of the other. An entropy gate's
    share is the one that it is calibrated for, on texts without routes.
    """
    if decoder.mix == "before":
        return {Origin.Q: NAN, Origin.LAMBDA: NAN}
    reached = np.zeros(steps)  # how many texts have a step t
    for values in routes:
        reached[: len(values)] += 1
    reached /= max(reached.sum(), 1)
    q, lam = step_rates(decoder, decoder.q, decoder.lam, steps).values()
    both = decoder.q_gate.kind == decoder.lambda_gate.kind == "entropy"
    return {Origin.Q: float(reached @ q), Origin.LAMBDA: NAN if both else float(reached @ ((1 - q) * lam))}


def identity(settings: Settings, cells: Sequence[Cell], texts: Mapping[str, CellTexts]) -> list[Identity]:
    """Cells of equal r: under common noise the same bytes, under independent noise the same in law.

    A record for each group of at least two cells of a variant whose law collapses, and one for each
    other variant, with the reason. Under common noise equal laws are computed once, so that this
    checks the files; under independent noise every cell has texts of its own. `p_value`: Kruskal &
    Wallis 1952 on the texts' mean log-probability under the model; it takes texts for independent.
    Raises `PipelineError` where bytes differ under common noise: the law is broken then.
    """
    records = []
    for name, variant in settings.variants.items():
        of_variant = [cell for cell in cells if cell.variant == name]
        if not of_variant:
            continue  # a variant of other tasks
        if not variant.collapses:
            why = f"q and λ are separate knobs: {_why(variant)}"
            records.append(Identity(variant=name, collapses=False, why=why))
            continue
        rates = sorted({cell.r for cell in of_variant if cell.r is not None})
        groups = {rate: [cell.name for cell in of_variant if cell.r == rate] for rate in rates}
        groups = {rate: group for rate, group in groups.items() if len(group) > 1}
        if not groups:
            why = "only r counts; its grid has no two cells of equal r"
            records.append(Identity(variant=name, collapses=True, why=why))
        for rate, group in groups.items():
            record = Identity(variant=name, collapses=True, r=rate, cells=tuple(group))
            if settings.coupling == "common":
                _check_same_bytes(group, texts)
                records.append(replace(record, same_bytes=True))
            else:
                records.append(replace(record, p_value=_same_law(texts[cell] for cell in group)))
    return records


def _why(variant: Variant) -> str:
    reasons = []
    if variant.q_route != variant.lambda_route:
        reasons.append("different routes")
    if variant.q_gate != variant.lambda_gate:
        reasons.append("different gates")
    elif variant.q_gate.kind not in ("token", "sequence"):
        reasons.append(f"{variant.q_gate.kind} gates")
    if variant.q_schedule.kind != "constant" or variant.lambda_schedule.kind != "constant":
        reasons.append("a schedule")
    return ", ".join(reasons)


def _check_same_bytes(group: Sequence[str], texts: Mapping[str, CellTexts]) -> None:
    first = texts[group[0]]
    for name in group[1:]:
        other = texts[name]
        if not (equal(first.token_ids, other.token_ids) and equal(first.routes, other.routes)):
            raise PipelineError(
                f"cells {group[0]} and {name} have the same law and the same noise, but not the same texts: "
                "please report this"
            )


def _same_law(group: Iterable[CellTexts]) -> float:
    means = [
        [
            float(np.asarray(values, dtype=np.float64).mean())
            for values in cell.model_logprobs
            if len(values)
        ]
        for cell in group
    ]
    return float(stats.kruskal(*means).pvalue)
