"""Metrics files as `evaluate` writes them, from a made-up but plausible model of three tasks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from random_routing.files import write_json
from random_routing.law.cells import Cell, all_cells, representatives
from random_routing.report.input import Results
from random_routing.results.json_form import from_json
from random_routing.results.measured import Measured
from random_routing.results.tuned import Tuned
from random_routing.settings import BY_R, Annealing, Base, Settings, parse_settings
from random_routing.settings.tasks import TEXT_KINDS
from tests.helpers import ROOT

EVERYWHERE = (
    "distinct_1", "distinct_2", "distinct_3", "self_bleu", "seq_rep_4", "perplexity",
    "generator_perplexity", "reference_similarity", "length", "empty", "ead_2", "fluency_gap",
)  # fmt: skip
METRICS = {
    "textgen": (*EVERYWHERE, "context_similarity"),
    "dialogue": (*EVERYWHERE, "context_similarity"),
    "translation": (*EVERYWHERE, "bleu", "chrf", "ter"),
}
# distinct-2 and perplexity of greedy, of plain sampling, of people
LEVELS = {
    "textgen": ((0.52, 4.0), (0.90, 24.0), (0.93, 29.0)),
    "dialogue": ((0.60, 6.0), (0.86, 22.0), (0.91, 48.0)),
    "translation": ((0.82, 30.0), (0.88, 62.0), (0.83, 36.0)),
}
FIGURES = (
    "gates",
    "heatmap",
    "likelihood",
    "matched",
    "plane",
    "rate",
    "recovery",
    "tune",
)  # of a task that has all


def raw_params() -> dict[str, Any]:
    """The file, with a full grid of each variant, metrics that one text an example is enough for, the plots alone of
    all figures, and no hypotheses, which name variants.
    """
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["report"]["formats"] = []
    rates = [0, 0.01, 0.03, 0.1, 0.3]
    values["grid"] = {"q": rates, "lambda": rates}
    del values["variants"]["explore-first"]
    for name in ("uniform", "epsilon-greedy"):
        del values["variants"][name]["grid"]
    entropy = values["variants"].pop("entropy")
    heads = {"base": "sample", "q_route": {"heads": 0.3}, "lambda_route": {"heads": 0.3}}
    values["variants"] |= {
        "heads": heads | {"grid": {"q": [0, 0.3, 1], "lambda": [0]}},
        "entropy": entropy | {"grid": {"q": [0, 0.1, 0.3], "lambda": [0]}},
    }
    values["baselines"] = {
        "greedy": True, "temperature": [0.5, 0.7, 0.85, 1.0, 1.15, 1.3], "top_k": [10, 50],
        "top_p": [0.5, 0.8, 0.9, 0.95], "min_p": [0.05, 0.1],
        "annealing": [
            {"shape": "linear", "start": 1.3, "end": 0.7},
            {"shape": "exploratory", "start": 1.5, "end": 0.3, "length": 20},
        ],
    }  # fmt: skip
    values["tasks"] = {name: values["tasks"][name] for name in TEXT_KINDS}
    for task in values["tasks"].values():
        task["samples"] = 1
    values["comparison"] |= {"diversity": "ead_2", "contrasts": {}, "vetoes": {}}
    values["comparison"]["quality"]["textgen"] = ["mauve", "fluency_gap"]
    values["tune"]["target"] = "human"
    return values


def warmth(base: Base) -> float:
    """0 greedy, 1 plain sampling."""
    if base.greedy:
        return 0.0
    cut = 0.45 * (1 - base.top_p) ** 0.6 + 1.5 * base.min_p + (0.9 / base.top_k**0.5 if base.top_k else 0)
    heat = base.temperature
    return ((heat.start + heat.end) / 2 if isinstance(heat, Annealing) else heat) ** 1.4 - cut


def values(task: str, cell: Cell) -> dict[str, float]:
    decoder = cell.decoder
    (d0, p0), (d1, p1), _ = LEVELS[task]
    heat = warmth(decoder.base) - (0.03 if decoder.beams else 0)
    milder = 0.25 if decoder.lambda_route.kind == "top_k" else 1.0
    q, lam = decoder.q, (1 - decoder.q) * decoder.lam
    noise = q + milder * lam
    diverse = 1 - (1 - d0) * ((1 - d1) / (1 - d0)) ** heat
    diverse = 1 - (1 - diverse) * (1 - q - 0.7 * lam) ** 2.2
    perplexity = math.exp(math.log(p0) + math.log(p1 / p0) * heat + 7.5 * noise)
    good = math.exp(-0.25 * max(heat, 0) ** 2 - 3.5 * noise)
    return dict(zip(METRICS[task], quality(diverse, perplexity, good), strict=False)) | {
        "ead_2": diverse,
        "fluency_gap": abs(math.log(perplexity / LEVELS[task][2][1])),
        "context_similarity": 0.55 * good,
        "reference_similarity": 0.3 * good + 0.03,
        "bleu": 36 * good**1.5,
        "chrf": 58 * good,
        "ter": 100 - 50 * good,
    }


def quality(diverse: float, perplexity: float, good: float) -> list[float]:
    return [
        diverse * 0.5, diverse, diverse**0.4, 60 * (1 - diverse), 0.3 * (1 - diverse),
        perplexity, perplexity * 0.7, good, 45.0, 0.0,
    ]  # fmt: skip


def metrics_of(task: str, found: dict[str, float], address: str) -> dict[str, Any]:
    random = np.random.default_rng(list(address.encode()))
    few = {"value": None, "lo": None, "hi": None, "missing": "needs 200 examples; there are 64"}
    out: dict[str, Any] = {"mauve": few}
    for name in METRICS[task]:
        value = found[name]
        wobble = 0.0 if name == "empty" else 0.01 if name.startswith("distinct") else 0.03
        value *= 1 + wobble * random.uniform(-0.7, 0.7)
        if name.startswith("distinct"):
            value = min(value, 0.999)
        spread = abs(value) * wobble * random.uniform(1.2, 2)
        out[name] = {"value": value, "lo": value - spread, "hi": value + spread}
    return out


def measured(task: str, settings: Settings) -> dict[str, Any]:
    cells = all_cells(settings, settings.tasks[task])
    first = representatives(cells)
    records: list[dict[str, Any]] = [
        {
            "cell": cell.name, "family": cell.family, "variant": cell.variant, "q": cell.q,
            "lambda": cell.lam, "r": cell.r, "setting": cell.setting, "decoder": first[cell.decoder],
            "examples": 64, "samples": 1,
            "metrics": metrics_of(task, values(task, cell), task + first[cell.decoder]),
        }
        for cell in cells
    ]  # fmt: skip
    _, _, (diverse, perplexity) = LEVELS[task]
    human = dict(zip(METRICS[task], quality(diverse, perplexity, 1.0), strict=False)) | {
        "ead_2": diverse, "fluency_gap": 0.0,
        "context_similarity": 0.5, "reference_similarity": 1.0, "bleu": 100.0, "chrf": 100.0, "ter": 0.0,
    }  # fmt: skip
    empty = dict.fromkeys(("q", "lambda", "r", "setting"))
    about = {"cell": "human", "family": "human", "variant": "", "decoder": "human"}
    counts = {"examples": 64, "samples": 1}
    records.append({**empty, **about, **counts, "metrics": metrics_of(task, human, "human")})
    for record in records:
        record["metrics"] = {k: v for k, v in record["metrics"].items() if k in settings.metrics}
    about = {"label": "", "unit": "", "better": "", "needs": "", "source": "", "signature": ""}
    labels = {m: about for m in (*METRICS[task], "mauve")}
    return {
        "task": task, "examples": ["a"], "metrics": labels, "cells": records,
        "identity": [], "gates": gates(settings, cells), "recovery": recovery(settings),
        "likelihood": likelihood(settings), "comparison": comparison(settings, task, cells),
    }  # fmt: skip


def comparison(settings: Settings, task: str, cells: list[Cell]) -> dict[str, Any]:
    """As `random_routing.comparison.task_comparison` writes it; every second decoder lies outside the curves."""
    first = {c.decoder: c for c in reversed(cells) if c.decoder.q or c.decoder.lam}
    matched: list[dict[str, Any]] = []
    for curve in ("temperature", "top_p"):
        for i, cell in enumerate(first.values()):
            record: dict[str, Any] = {"cell": cell.name, "curve": curve}
            if i % 2:
                record["missing"] = "its diversity lies outside the curve"
            else:
                middle = 0.1 - 0.02 * i
                record |= {"difference": middle, "lo": middle - 0.05, "hi": middle + 0.05, "p": 0.01 * i,
                           "p_adjusted": min(1.0, 0.02 * i)}  # fmt: skip
            matched.append(record)
    best = next((r for r in matched if "missing" not in r), None)
    return {
        "diversity": settings.comparison.diversity[task], "quality": settings.comparison.quality[task][-1],
        "correction": settings.comparison.correction, "contrasts": contrasts(settings, task),
        "matched": matched, "against_base": [], "front": [],
        "axes": [],
        "best": best and {"cells": [best["cell"]]} | {name: best[name] for name in ("difference", "lo", "hi", "p")},
    }  # fmt: skip


def contrasts(settings: Settings, task: str) -> list[dict[str, Any]]:
    return [
        {
            "contrast": name, "variant": contrast.variant, "against": contrast.against,
            "delta": settings.comparison.delta[task], "of": 4, "cells": 3, "estimate": -0.5, "lo": -0.9, "hi": -0.1,
            "p": 0.001, "p_adjusted": 0.009, "verdict": "worse", "detectable": 0.6, "needed": 900, "prompts": 30,
            "texts": 120,
        }
        for name, contrast in settings.comparison.contrasts.items()
    ]  # fmt: skip


def likelihood(settings: Settings) -> list[dict[str, Any]]:
    curve = [
        {
            "r": r, "value": -3 - r, "lo": -3.2 - r, "hi": -2.8 - r,
            "difference": -r, "difference_lo": -2 * r, "difference_hi": 0.0,
        }
        for r in (0.0, 0.01, 1.0)
    ]  # fmt: skip
    return [
        {
            "variant": name, "route": BY_R if variant.collapses else "q", "curve": curve, "best_r": 0.001,
            "best_lo": 0.0, "best_hi": 0.01,
        }
        for name, variant in settings.variants.items()
        if variant.q_route.kind == "uniform"
    ]  # fmt: skip


def gates(settings: Settings, cells: list[Cell]) -> list[dict[str, Any]]:
    first = {c.decoder: c for c in reversed(cells) if c.decoder.q or c.decoder.lam}
    return [
        {
            "cell": cell.name, "variant": cell.variant, "route": route, "gate": "token", "steps": 3000,
            "opened": round(3000 * rate), "expected": rate, "observed": rate * 1.02, "lo": rate * 0.9,
            "hi": rate * 1.15,
        }
        for decoder, cell in first.items()
        for route, rate in (
            (BY_R if settings.variants[cell.variant].collapses else "q", decoder.q),
            ("λ", (1 - decoder.q) * decoder.lam),
        )
        if rate
    ]  # fmt: skip


def recovery(settings: Settings) -> list[dict[str, Any]]:
    return [
        {
            "variant": name, "lag": lag, "places": 9, "events": 500, "after": -5 - 3 / lag, "control": -4.5,
            "difference": -0.5 - 3 / lag, "lo": -0.8 - 3 / lag, "hi": -0.2 - 3 / lag,
        }
        for name in settings.variants
        for lag in (1, 2, 4, 8)
    ]  # fmt: skip


def tuned(task: str, settings: Settings) -> dict[str, Any]:
    """As the stage tune writes it."""

    def trial(number: int, family: str) -> dict[str, Any]:
        rate = 0.003 * 1.5**number
        about = {"variant": "uniform", "q": rate, "weight": 0.0, "r": rate, "setting": None}
        rival = {"variant": "", "q": None, "weight": None, "r": None, "setting": 0.5 + 0.05 * number}
        numbers = {
            "reward": -abs(number - 7) / 5,
            "quality": 1 - number / 20,
            "diversity": number / 12,
            "examples": 16,
        }
        state = "complete" if number % 2 else "pruned"
        return {
            "number": number, "state": state, "params": {"x": number}, "batch": number // 4, "examples": 16,
            **(about if family == "routing" else rival), **numbers,
        }  # fmt: skip

    families: dict[str, Any] = {}
    for family in ("routing", "temperature", "top_p"):
        score = {"quality": 0.4, "diversity": 0.9, "reward": 0.3, "lo": 0.2, "hi": 0.4}
        routing = family == "routing"
        about: dict[str, Any] = {"variant": "uniform" if routing else "", "q": 0.1 if routing else None,
                 "weight": 0.0 if routing else None, "r": 0.1 if routing else None,
                 "setting": None if routing else 0.8, "decoder": {}}  # fmt: skip
        families[family] = {
            "ended": "all 12 trials", "trials": [trial(i, family) for i in range(12)],
            "importance": {"q is 0": 0.7, "λ is 0": 0.3} if routing else {},
            "winner": {**about, "tune": score, "test": score},
        }  # fmt: skip
    grid = [
        {"cell": f"g{i}", "family": "routing", "variant": "uniform", "q": q, "weight": lam, "r": q + lam,
         "setting": None, "reward": -q - lam, "quality": 0.5, "diversity": 0.5, "lo": -1.0, "hi": 1.0}
        for i, (q, lam) in enumerate((q, lam) for q in (0.0, 0.1, 0.3) for lam in (0.0, 0.1))
    ]  # fmt: skip
    difference = {
        "family": "routing",
        "rival": "temperature",
        "difference": 0.01,
        "lo": -0.1,
        "hi": 0.1,
        "p": 0.8,
    }
    return {
        "task": task, "split": {"tune": ["a"] * 16, "test": ["b"] * 16},
        "quality": settings.comparison.quality[task][-1],
        "diversity": settings.comparison.diversity[task], "texts": 500, "families": families,
        "differences": [difference],
        "grid": {"texts": 96, "cells": grid},
    }  # fmt: skip


def whole(task: str, settings: Settings) -> Results:
    """Both files, as the report reads them."""
    return Results(from_json(Measured, measured(task, settings)), from_json(Tuned, tuned(task, settings)))


def project(folder: Path, raw: dict[str, Any]) -> None:
    """params.yaml and data/metrics/ in `folder`."""
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    settings = parse_settings(raw)
    for task in settings.tasks:
        write_json(folder / f"data/metrics/{task}.json", measured(task, settings))
        write_json(folder / f"data/tune/{task}.json", tuned(task, settings))
