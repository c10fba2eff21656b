"""What stands below the figures in a paper, with what they stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from random_routing.metrics import METRICS
from random_routing.report.names import people
from random_routing.results.measured import Measured
from random_routing.settings import Settings

WHAT = {  # figure → what it shows
    "plane": "{quality} against {diversity}, each decoder a point with {confidence} intervals; up is better, right is "
    "more diverse. Grey band: within Δ = {delta:g} of the temperature curve.",
    "matched": "Difference in {quality} between each decoder with random routes and a curve of today's decoders at the "
    "same {diversity}, with {confidence} intervals; above 0 is better. Filled: p < {alpha:g}, corrected. Grey: "
    "within Δ = {delta:g}.",
    "heatmap": "Metrics over q and λ; a line in the colour bar is the value of human texts.",
    "rate": "Metrics against the share r of random steps; bands are {confidence} intervals.",
    "gates": "Share of steps on a random route over the share by the law, with {confidence} intervals.",
    "recovery": "Log-probability, under the judge, of a token some tokens after an isolated random one, minus that of "
    "the same text without routes (nats); bands are {confidence} intervals. 0: recovered.",
    "likelihood": "Log-likelihood of {people} under the law minus that at r = 0 ({unit}), with {confidence} "
    "intervals; a marker is where they are likeliest. Grey: less than 0.01.",
    "pictures": "Images that decoders write for the same prompts with the same noise, along the share r of random "
    "pixels (in a frame) and along the temperature; on top real images.",
    "tune": "Reward of each trial, and the best so far, of families of decoders tuned with the same budget.",
}
CONTRASTS = (
    "The hypotheses named before the run: difference in quality at equal diversity, intervals that hold together with "
    "{confidence} confidence. Grey: within Δ. Filled: a verdict."
)


def stands_on(settings: Settings, measured: Measured) -> str:
    """Model, judge, data and numbers of a task, in a line."""
    task = settings.tasks[measured.task]
    judged = any(METRICS[name].reads("judge") for name in measured.metrics)
    judge = f", judged by {task.judge}" if judged else ""
    texts = "text" if task.samples == 1 else "texts"
    return (
        f"{task.model}{judge}, on {task.data}: {len(measured.examples):,} prompts × {task.samples} {texts} of up to "
        f"{task.max_new_tokens} tokens, seed {task.seed}"
    )


def caption(figure: str, measured: Measured, settings: Settings) -> str:
    compared = measured.comparison
    what = WHAT[figure].format(
        quality=METRICS[compared.quality].axis, diversity=METRICS[compared.diversity].axis,
        delta=settings.comparison.delta[measured.task], confidence=f"{settings.confidence:.0%}",
        people=people(settings.tasks[measured.task]),
        unit=next((record.unit.replace("/", "per") for record in measured.likelihood), ""),
        alpha=round(1 - settings.confidence, 9),
    )  # fmt: skip
    return f"{what[0].upper()}{what[1:]} {stands_on(settings, measured)}."


def contrasts_caption(measured: Sequence[Measured], settings: Settings) -> str:
    run = "; ".join(f"{of_task.task}: {stands_on(settings, of_task)}" for of_task in measured)
    return f"{CONTRASTS.format(confidence=f'{settings.confidence:.0%}')} {run}."


def as_markdown(captions: Mapping[str, str]) -> str:
    return "".join(f"**{name}**: {text}\n\n" for name, text in captions.items())


def as_latex(captions: Mapping[str, str]) -> str:
    """A figure environment for each, of a column's width."""
    return "\n".join(
        f"\\begin{{figure}}\n  \\centering\n  \\includegraphics{{{name}-column.pdf}}\n"
        f"  \\caption{{{_latex(text)}}}\n  \\label{{fig:{name}}}\n\\end{{figure}}\n"
        for name, text in captions.items()
    )


def _latex(text: str) -> str:
    for character, spelt in LATEX.items():
        text = text.replace(character, spelt)
    return text


LATEX = {
    "\\": r"\textbackslash ", "%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde ", "^": r"\textasciicircum ", "Δ": r"$\Delta$", "λ": r"$\lambda$", "×": r"$\times$",
    "ε": r"$\varepsilon$", "–": "--", "<": "$<$", ">": "$>$",
}  # fmt: skip
