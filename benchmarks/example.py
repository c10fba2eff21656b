"""One prompt, and what a few decoders wrote after it, for the README: `python -m benchmarks.example`.

Reads the cells of the last run (`data/generations`) and writes `reports/example.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from random_routing.files import read_jsonl, write_json
from random_routing.models.loading import load_tokenizer
from random_routing.models.tokens import pieces
from random_routing.report.page.samples import first_rows
from random_routing.runs.make_plan import Prepared
from random_routing.settings import load_settings

TASK = "textgen"  # its first example, whatever was written after it
CELLS = ("temperature-1", "routing-uniform-q0.1-l0", "routing-plausible-q0-l0.1")


def main() -> None:
    settings = load_settings()
    task, row = settings.tasks[TASK], read_jsonl(f"data/prepared/{TASK}.jsonl")[0]
    folder = Path("data/assets") / task.model
    tokenizer = load_tokenizer(folder, task.source_code)
    prompt = Prepared(settings, task, [row], folder, tokenizer).examples[0].prompt
    texts = []
    for cell in CELLS:
        record = next(first_rows(Path("data/generations") / TASK / f"{cell}.parquet", 1))
        tokens = zip(pieces(tokenizer, prompt, record["token_ids"]), record["routes"], strict=True)
        texts.append({"cell": cell, "stretches": stretches(list(tokens))})
    example = {
        "task": TASK,
        "id": row["id"],
        "prompt": row["source"],
        "human": row["references"][0],
        "texts": texts,
    }
    write_json("reports/example.json", example, indent=1)


def stretches(tokens: Sequence[tuple[str, int]]) -> list[tuple[str, bool]]:
    """(text, was it drawn by a random route?); the model's tokens in a row are one stretch, random ones stay apart."""
    parts: list[tuple[str, bool]] = []
    for text, route in tokens:
        if parts and not route and not parts[-1][1]:
            parts[-1] = parts[-1][0] + text, False
        else:
            parts.append((text, route > 0))
    return parts


if __name__ == "__main__":
    main()
