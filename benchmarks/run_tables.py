"""What README and docs say of the last run, as Markdown: from `reports/` alone, so that no number is typed."""

from __future__ import annotations

import csv
import html
from collections import defaultdict
from pathlib import Path

from random_routing.files import read_json
from random_routing.settings import load_settings

ROOT = Path(__file__).parent.parent
FEWEST = 30  # isolated random tokens, for a line of their own
Record = dict[str, str]


def records(name: str) -> list[Record]:
    """The rows of `reports/<name>.csv`."""
    with (ROOT / f"reports/{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


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


def verdicts() -> dict[str, dict[str, list[str]]]:
    """Task → better, worse, neither: the decoders with routes that the temperature curve can be compared with."""
    level = 1 - load_settings(ROOT / "params.yaml").confidence
    sorted_out: dict[str, dict[str, list[str]]] = {}
    for task, rows in by_task(records("matched")).items():
        sorted_out[task] = {"better": [], "worse": [], "neither": []}
        for row in rows:
            if row["curve"] != "temperature" or row["missing"]:
                continue
            sure = row["p_adjusted"] and float(row["p_adjusted"]) < level
            verdict = "neither" if not sure else "better" if float(row["difference"]) > 0 else "worse"
            sorted_out[task][verdict].append(row["cell"])
    return sorted_out


def answer() -> str:
    """One sentence: is any decoder with random routes better than temperature at equal diversity?"""
    tasks = verdicts()
    count = {
        verdict: sum(len(v[verdict]) for v in tasks.values()) for verdict in ("better", "worse", "neither")
    }
    compared = sum(count.values())
    examples = " or ".join(sorted({row["examples"] for row in records("cells")}, key=int))
    seen = f"with {examples} examples per task only large differences can be seen"
    if not compared:
        return f"**Not known.** No decoder with random routes can be compared with temperature ({seen})."
    rest = f"{are(count['worse'], 'worse')} and {count['neither']} show no difference"
    if not count["better"]:
        return (
            "**In this run, no.** No decoder with random routes was shown to be better than temperature at equal "
            f"diversity. Of {compared} comparisons, {rest} ({seen})."
        )
    named = [f"`{cell}` ({task})" for task, cells in tasks.items() for cell in cells["better"]]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    better = (
        f"Of {compared} comparisons with temperature at equal diversity, {are(count['better'], 'better')}"
    )
    counted = f"{better} ({', '.join(named[:3])}{more}), {rest} ({seen})."
    summary = read_json(ROOT / "reports/summary.json")
    if any(cells["better"] and summary[task].get("gain_lo", 0) > 0 for task, cells in tasks.items()):
        return f"**In this run, some random routing was better than temperature.** {counted}"
    again = "the decoder that does best on one half of the examples is not shown to beat temperature on the other half"
    return f"**In this run, random routing was not shown to beat temperature.** {counted} But {again}."


def are(count: int, what: str) -> str:
    return f"{count} {'is' if count == 1 else 'are'} {what}"


def tasks_table() -> str:
    """A line per task: what was compared with the temperature curve, and what came out."""
    labels = {
        (row["task"], row["metric"]): f"{row['label'].split(':')[0]} ({row['unit']})"
        for row in records("metrics")
    }
    quality = {row["task"]: row["quality"] for row in records("matched")}
    areas = {row["task"]: row for row in records("hypervolume") if row["family"] == "routing"}
    summary = read_json(ROOT / "reports/summary.json")
    lines = []
    for task, cells in verdicts().items():
        gain = {name: str(summary[task].get(name, "")) for name in ("gain", "gain_lo", "gain_hi")}
        lines.append([
            task, labels[task, quality[task]], *(str(len(cells[v])) for v in ("better", "worse", "neither")),
            interval(gain, "gain", "gain_lo", "gain_hi"),
            interval(areas[task], "ratio", "ratio_lo", "ratio_hi") if task in areas else "",
        ])  # fmt: skip
    header = "task | quality | better | worse | no difference shown | gain of the best | area against temperature"
    return table(header, lines)


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
    """Repeated 4-grams of greedy decoding, of its variants with routes by λ alone, and of people."""
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
        or (row["variant"] in greedy and row["q"] == "0" != row["lambda"])
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
    lines = [[*law, number(row["r"]), interval(row, "value")] for law, row in best.items()]
    return table("task | variant | route | likeliest at r | log P (nats per token)", lines)


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
