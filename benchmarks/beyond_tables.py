"""What docs/beyond/ say of the last run, as Markdown: from `reports/` alone, so that no number is typed."""

from __future__ import annotations

from benchmarks.run_tables import Record, by_task, elsewhere, interval, number, records, table

# Task → metrics of its table of decoders, by what the column is called.
METRICS = {
    "sentiment": {
        "accuracy": "accuracy", "macro-F1": "macro_f1", "vote": "vote_accuracy", "NLL": "label_nll", "Brier": "brier",
        "calibration error": "calibration_error", "disagreement": "disagreement",
    },
    "rl": {
        "return": "return", "success": "success", "steps": "steps", "path spread": "path_spread",
        "states visited": "states_visited",
    },
    "images": {
        "class accuracy": "class_accuracy", "spread": "sample_spread", "kernel": "kernel_distance",
        "Fréchet": "frechet_distance", "precision": "precision", "recall": "recall", "coverage": "coverage",
    },
}  # fmt: skip
DECODERS = {  # that are shown, besides the references and other systems
    "sentiment": ("greedy", "temperature-1", "routing-uniform-q0.1-l0", "routing-likeliest-q0-l0.1"),
    "rl": (
        "greedy", "temperature-1", "routing-epsilon-greedy-q0.1-l0", "routing-greedy-likeliest-q0-l0.1",
        "routing-span-q0.1-l0",
    ),
    "images": (
        "greedy", "temperature-1", "temperature-1.3", "top_p-0.8", "routing-uniform-q0.03-l0",
        "routing-likely-pixels-q0-l0.1",
    ),
}  # fmt: skip
WINDOWS = {"all": "all", "last": "the last", "greedy": "greedy, without exploring"}


def verdicts(task: str) -> str:
    """A line for each hypothesis of a task."""
    axes = records("axes")
    lines = [
        [
            f"`{row['contrast']}`", row["against"], f"**{row['verdict'] or 'missing'}**", interval(row, "estimate"),
            number(row["delta"]), row["prompts"], elsewhere(row, axes),
        ]
        for row in by_task(records("contrasts"))[task]
    ]  # fmt: skip
    return table("hypothesis | against | verdict | difference | Δ | examples | other axes", lines)


def decoders(task: str) -> str:
    """Metrics of a few decoders, of the references, and of another system that there is."""
    metrics, shown = METRICS[task], DECODERS[task]
    lines = [
        [f"`{row['cell']}`", *(interval(row, m, f"{m}_lo", f"{m}_hi") for m in metrics.values())]
        for row in by_task(records("cells"))[task]
        if row["cell"] in shown or row["family"] in ("human", "vader")
    ]
    return table(" | ".join(["decoder", *metrics]), lines)


def calibrated() -> str:
    """The rate of a uniform route, and the temperature, at which the probabilities of labels are best."""
    lines = [
        [
            row["metric"], row["family"], interval(row, "setting", "setting_lo", "setting_hi"), number(row["value"]),
            interval(row, "gain", "gain_lo", "gain_hi"), interval(row, "rival", "rival_lo", "rival_hi"),
        ]
        for row in records("calibrated")
    ]  # fmt: skip
    return table("metric | family | best r, or T | value | minus plain sampling | minus the best T", lines)


def learned() -> str:
    """A line for each agent that learns, the return of each window beside its verdict."""
    rows: dict[tuple[str, str], dict[str, Record]] = {}
    for row in records("learning"):
        rows.setdefault((row["entry"], row["cell"]), {})[row["window"]] = row
    lines = [
        [entry, f"`{cell}`", *(_score(windows.get(window)) for window in WINDOWS)]
        for (entry, cell), windows in rows.items()
    ]
    return table(" | ".join(["entry", "agent", *WINDOWS.values()]), lines)


def _score(row: Record | None) -> str:
    if row is None:
        return ""
    return f"{interval(row, 'iqm')} {row['verdict']}".strip()
