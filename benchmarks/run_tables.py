"""What README and docs say of the last run, as Markdown: from `reports/` alone, so that no number is typed."""

from __future__ import annotations

import csv
import html
import re
from collections import Counter, defaultdict
from pathlib import Path

from random_routing.files import read_json
from random_routing.metrics import METRICS
from random_routing.metrics.metric import quality_of
from random_routing.report.names import in_number
from random_routing.settings import load_settings

ROOT = Path(__file__).parent.parent
FEWEST = 30  # isolated random tokens, for a line of their own
Record = dict[str, str]


def records(name: str, folder: str = "reports") -> list[Record]:
    """The rows of `<folder>/<name>.csv`, by default of the last run."""
    with (ROOT / folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


STUDY = "studies/cpu/reports"


def newest() -> tuple[str, str]:
    """Whether a study or the last run says what became of the hypotheses, and its folder."""
    return ("study", STUDY) if (ROOT / STUDY / "contrasts.csv").exists() else ("run", "reports")


def by_task(rows: list[Record]) -> dict[str, list[Record]]:
    tasks: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        tasks[row["task"]].append(row)
    return tasks


def table(header: str, lines: list[list[str]]) -> str:
    """header: the names of the columns, with | between them."""
    rule = "|".join("---" for _ in header.split("|"))
    return "\n".join([f"| {header} |", f"|{rule}|", *(f"| {' | '.join(line)} |" for line in lines)])


def number(text: str) -> str:
    return f"{float(text):.3g}" if text else ""


def interval(row: Record, value: str, low: str = "lo", high: str = "hi") -> str:
    if not row[value]:
        return "missing"
    ends = f"{number(row[low])} to {number(row[high])}" if row[low] and row[high] else "no interval"
    return f"{number(row[value])} ({ends})"


def kinds_table() -> str:
    """A line for each task of params.yaml: what it is made of and measured by, and what the last run said."""
    settings = load_settings(ROOT / "params.yaml")
    verdicts = by_task(records("contrasts"))
    lines = []
    for name, task in settings.tasks.items():
        model, data = settings.all_assets[task.model], settings.all_assets[task.data]
        qualities = [METRICS[metric] for metric in settings.comparison.quality[name]]
        quality = quality_of(qualities, task.examples, task.samples)
        counts = Counter(row["verdict"] or "missing" for row in verdicts[name])
        lines.append([
            f"`{name}`", *(f"{asset.name} ({re.split('[,;]', asset.licence)[0]})" for asset in (model, data)),
            quality.name, settings.comparison.diversity[name],
            ", ".join(f"{counts[word]} {word}" for word in (*WORDS, "missing") if counts[word]),
        ])  # fmt: skip
    return table("task | model (licence) | data (licence) | quality | diversity | hypotheses", lines)


WORDS = ("better", "worse", "equivalent", "inconclusive")


def answer() -> str:
    """One sentence on the hypotheses that were named before the run, and one on what it can see."""
    what, folder = newest()
    rows = records("contrasts", folder)
    of = {word: [row for row in rows if row["verdict"] == word] for word in WORDS}
    known = [row for row in rows if row["verdict"]]
    if not known:
        return "**Not known.** None of the hypotheses could be compared at equal diversity."
    prompts = " or ".join(sorted({row["prompts"] for row in known}, key=int))
    texts = " or ".join(sorted({str(int(row["texts"]) // int(row["prompts"])) for row in known}, key=int))
    said = ", ".join(f"{word} in {len(of[word])}" for word in WORDS)
    lead = (
        f"**In this {what}, some random routing was better.**" if of["better"] and not of["worse"]
        else f"**In this {what}, it depends.**" if of["better"]
        else f"**In this {what}, no.**" if of["worse"] or of["equivalent"]
        else "**Not known yet.**"
    )  # fmt: skip
    axes = records("axes", folder)
    named = {word: ", ".join(with_doubt(row, axes) for row in of[word]) for word in ("better", "worse")}
    which = "".join(f" {word.capitalize()}: {names}." for word, names in named.items() if names)
    needed = sorted(int(row["needed"]) for row in of["inconclusive"] if not row["veto"])
    settle = f" {needed[0]:,} to {needed[-1]:,} prompts would settle those." if needed else ""
    whole = in_number(len(rows), "Of one hypothesis", "Of {} hypotheses")
    return (
        f"{lead} {whole} named before it, random routing is {said}, with {prompts} prompts per task, {texts} texts "
        f"of each.{settle}{which}"
    )


def tasks_table(folder: str = "") -> str:
    """A line per task and hypothesis, of the newest folder of reports if none is given."""
    lines, folder = [], folder or newest()[1]
    axes = records("axes", folder)
    for row in records("contrasts", folder):
        settle = f"{int(row['needed']):,} prompts" if row["verdict"] == "inconclusive" else ""
        settle = f"nothing: {row['veto']}" if row["veto"] else settle
        verdict = f"**{row['verdict'] or 'missing'}**"
        found, delta = interval(row, "estimate"), number(row["delta"])
        about = [row["task"], row["contrast"], row["against"]]
        lines.append([*about, verdict, found, delta, row["prompts"], settle, elsewhere(row, axes)])
    return table(
        "task | hypothesis | against | verdict | difference of quality | Δ | prompts | would settle it | other axes",
        lines,
    )


def on_other_axes(row: Record, axes: list[Record]) -> tuple[int, int, int]:
    """On how many other axes of diversity or quality the interval of a hypothesis is above 0, below it, holds it."""
    own = (row["task"], row["contrast"])
    ends = [
        (float(one["lo"]), float(one["hi"]))
        for one in axes
        if (one["task"], one["contrast"]) == own and one["lo"]
    ]
    up, down = sum(low > 0 for low, _ in ends), sum(high < 0 for _, high in ends)
    return up, down, len(ends) - up - down


def elsewhere(row: Record, axes: list[Record]) -> str:
    up, down, neither = on_other_axes(row, axes)
    return f"{up} up, {down} down, {neither} open" if up + down + neither else ""


def with_doubt(row: Record, axes: list[Record]) -> str:
    """A hypothesis with a verdict, whether the difference is below Δ, and how many other axes say the opposite."""
    up, down, _ = on_other_axes(row, axes)
    against = down if row["verdict"] == "better" else up
    measures = "measure" if against == 1 else "measures"
    doubt = f"; the opposite by {against} other {measures}" if against else ""
    small = "; estimated below Δ" if abs(float(row["estimate"])) < float(row["delta"]) else ""
    return f"{row['contrast']} ({row['task']}{small}{doubt})"


def example() -> str:
    """A prompt, what people wrote after it, and what decoders wrote, with random tokens marked (HTML)."""
    shown = read_json(ROOT / "reports/example.json")
    lines = [("prompt", spelt(shown["prompt"])), ("human text", spelt(shown["human"]))]
    for text in shown["texts"]:
        marked = (
            f"<mark><b>{spelt(s)}</b></mark>" if random else spelt(s) for s, random in text["stretches"]
        )
        lines.append((f"<code>{spelt(text['cell'])}</code>", "".join(marked)))
    return "\n".join(
        ["<table>", *(f"<tr><td>{who}</td><td>{text}</td></tr>" for who, text in lines), "</table>"]
    )


def spelt(text: str) -> str:
    """As HTML on one line: a model's text is not trusted."""
    return html.escape(text).replace("\n", "<br>")


def loops_table() -> str:
    """Repeated 4-grams of greedy decoding, of its variants with routes by q alone, and of people."""
    greedy = {name for name, v in load_settings(ROOT / "params.yaml").variants.items() if v.base.greedy}
    lines = [
        [
            row["task"],
            f"`{row['cell']}`",
            number(row["r"]),
            interval(row, "seq_rep_4", "seq_rep_4_lo", "seq_rep_4_hi"),
        ]
        for row in records("cells")
        if row["family"] in ("greedy", "human")
        or (row["variant"] in greedy and row["lambda"] == "0" != row["q"])
    ]
    return table("task | decoder | r | seq-rep-4", lines)


def gates_table() -> str:
    """Entropy gates: the share of random steps that was asked for, and the one that came."""
    rows = [row for row in records("gates") if row["gate"] == "entropy"]
    lines = [
        [row["task"], f"`{row['cell']}`", number(row["expected"]), interval(row, "observed")]
        for row in rows
    ]
    return table("task | decoder | rate asked for | rate observed", lines)


def recovery_table() -> str:
    """How much less likely the judge finds the tokens after an isolated random one, by how many tokens after."""
    after: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for row in records("recovery"):
        if int(row["events"]) >= FEWEST:
            after[row["task"], row["variant"], row["events"]][row["lag"]] = interval(row, "difference")
    lags = sorted({lag for by_lag in after.values() for lag in by_lag}, key=int)
    lines = [[*who, *(by_lag.get(lag, "") for lag in lags)] for who, by_lag in after.items()]
    return table(" | ".join(["task", "variant", "random tokens", *(f"{lag} after" for lag in lags)]), lines)


def likelihood_table() -> str:
    """The rate at which the human texts are likeliest."""
    best: dict[tuple[str, str, str], Record] = {}
    for row in records("likelihood"):
        law = row["task"], row["variant"], row["route"]
        if row["value"] and (law not in best or float(row["value"]) > float(best[law]["value"])):
            best[law] = row
    lines = [
        [*law, number(row["r"]), interval(row, "value"), row.get("unit", "nats / token")]
        for law, row in best.items()
    ]
    return table("task | variant | route | likeliest at r | log P | unit", lines)


def tune_table() -> str:
    """Winners of the loop, measured on the examples that no search saw."""
    lines = [
        [row["task"], row["family"], _setting(row), number(row["quality"]), number(row["diversity"]),
         interval(row, "reward")]
        for row in records("tune") if row["split"] == "test"
    ]  # fmt: skip
    return table("task | family | winner | quality | diversity | reward", lines)


def _setting(row: Record) -> str:
    if row["setting"]:
        return number(row["setting"])
    return f"`{row['variant']}`, q = {number(row['q'])}, λ-weight = {number(row['weight'])}"


def repeat_table() -> str:
    """How often the same texts were scored again, and how many bits differed."""
    if not (ROOT / "reports/repeat.json").exists():
        return "Not measured for the committed reports yet: `python -m benchmarks.repeat`."
    report = read_json(ROOT / "reports/repeat.json")
    lines = [
        [kind, str(kinds["scorings"]), str(kinds["differing_bits"]), f"{kinds['seconds']:.1f}"]
        for kind, kinds in report["kinds"].items()
    ]
    return table("conditions | scorings | bits that differ | seconds per scoring", lines)
