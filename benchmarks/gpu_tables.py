"""Tables of `reports/gpu.json` for the documents."""

from __future__ import annotations

from typing import Any

from random_routing.runs.machine import PROMPT, SHARE, rows_in

WAYS = {
    "no_sharing": "this decoder, nothing shared",
    "sharing_routing": "this decoder, routing grid",
    "sharing_all": "this decoder, grid and baselines",
}
TEXT, ITEM = 48, 2  # tokens of a text; bytes of a number in bf16
CARDS = (24, 80)  # GiB
MODELS = {  # billions of weights, numbers kept of a position, vocabulary
    "SmolLM2 135M": (0.135, 2 * 30 * 3 * 64, 49_152),
    "SmolLM2 1.7B": (1.71, 2 * 24 * 32 * 64, 49_152),
    "Llama 3.1 8B": (8.03, 2 * 32 * 8 * 128, 128_256),
}


def speeds(report: dict[str, Any]) -> str:
    """Tokens per second of each way, and what else was measured."""
    lines = [
        "| dtype | way | cells | tokens/s | × loop | choosing tokens | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for dtype, ways in report["ours"].items():
        loop = report["loop"][dtype]
        best = f"loop over `generate`, batch {loop['batch']:,}"
        lines.append(f"| {dtype} | {best} | 1 | {loop['tokens_per_second']:,.0f} | 1 | | |")
        for way, name in WAYS.items():
            row = ways[way]
            speed = row["tokens_per_second"]
            lines.append(
                f"| {dtype} | {name} | {row['cells']} | {speed:,.0f} | {speed / loop['tokens_per_second']:.1f} | "
                f"{row['share_choice']:.0%} of its work | {row['peak_memory_gib']:.0f} GiB |"
            )
    return "\n".join([*lines, "", *(f"- {line}" for line in sentences(report))])


def sentences(report: dict[str, Any]) -> list[str]:
    machine, large, judge, inverse = (report[name] for name in ("machine", "large", "judge", "inverse"))
    step, batch = report["step"]["bfloat16"], max(large["loop"]["short"], key=int)
    changed = [sum(counts["other_bits"].values()) for counts in report["same_bits"].values()]
    texts = next(iter(report["same_bits"].values()))["texts"]
    all_cells = large["sharing_all"]["tokens_per_second"]
    ratio = all_cells / large["loop"]["short"][batch]
    return [
        f"SmolLM2, 48 tokens, one text of each prompt, on one {machine['device']} with torch {machine['torch']}.",
        f"{' and '.join(map(str, changed))} of {texts} texts have other bits in {' and '.join(report['same_bits'])} "
        "over batches of 32 to 2,048 rows, without sharing, and for every third text backwards; with the libraries as "
        f"they come {inverse['other_bits']} of {inverse['texts']}.",
        f"The judge scores the {judge['distinct']:,} distinct of {judge['texts']:,} texts in "
        f"{judge['scored_seconds']:.1f} s; they were made in {judge['made_seconds']:.1f} s. An embedder of MiniLM's "
        f"shape takes {judge['embedded_seconds']:.1f} s for them, and the likelihood of people's texts "
        f"{judge['people_seconds']:.1f} s.",
        f"A step of 2,048 rows takes {step['2048']['ms']:.1f} ms, of 8,192 rows {step['8192']['ms']:.1f} ms "
        f"({step['8192']['tflops']:.0f} of {machine['multiply_tflops']['bfloat16']:.0f} TFLOP/s).",
        f"A Llama of {large['weights'] / 1e9:.1f} billion random weights in bf16: {all_cells:,.0f} tokens/s with grid "
        f"and baselines, {ratio:.1f} times the loop at batch {int(batch):,}.",
    ]


def cards(report: dict[str, Any]) -> str:
    """Texts that fit beside a model's weights in bf16, by `runs.machine`, and what was measured."""
    every = report["ours"]["bfloat16"]["sharing_all"]
    best, cells = every["tokens_per_second"], every["cells"]
    times = best / report["loop"]["bfloat16"]["tokens_per_second"]
    lines = [
        f"On an {report['machine']['device']} SmolLM2 runs {cells} cells, baselines among them, at {best:,.0f} "
        f"tokens/s, {times:.1f} times a loop over `generate` at its best batch ([more](docs/performance.md#on-a-gpu)). "
        f"Texts of up to {PROMPT + TEXT} positions that a card holds at once (`max_rows`, if left out):",
        "",
        f"| bf16 | weights | {' | '.join(f'{card} GiB' for card in CARDS)} |",
        "|---|---|" + "---|" * len(CARDS),
    ]
    for name, (billions, kept, width) in MODELS.items():
        weights = ITEM * billions * 1e9
        rooms = (SHARE * card * 2**30 - weights for card in CARDS)
        held = [f"{rows_in(room, width, ITEM * kept * (PROMPT + TEXT))[1]:,}" for room in rooms]
        lines.append(f"| {name} | {weights / 2**30:.1f} GiB | {' | '.join(held)} |")
    return "\n".join(lines)
