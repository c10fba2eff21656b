"""Is a page of a large study usable? `python -m benchmarks.page`: 400 cells x 1,000 examples, made up.

The numbers are made up, the texts are random tokens of a real tokenizer; prints MiB, and seconds to build the page, to
open it from disk in Chromium, to draw another metric and to show another decoder's text.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import yaml

from benchmarks.workload import ASSETS
from random_routing.models.folder import load_tokenizer
from random_routing.report.page.build import page
from random_routing.report.page.samples import shown, task_samples
from random_routing.runs.cell_files import write_cell
from random_routing.settings import parse_settings
from tests.helpers.browser import chromium
from tests.helpers.pages import ABOUT, COSTS
from tests.helpers.reading import choose, ready
from tests.helpers.synthetic import whole

RATES = [0.0, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3]
EXAMPLES, STEPS = 1000, 48


def main() -> None:
    values = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    values["grid"] = {"q": RATES, "lambda": RATES}
    values["tune"]["variants"] = "all"
    values["variants"] = {f"plausible-{k}": {**values["variants"]["plausible"], "lambda_route": {"top_k": k}}
                          for k in (5, 20, 50, 200)}  # fmt: skip
    values["tasks"] = {"textgen": values["tasks"]["textgen"]}
    values["comparison"] |= {"diversity": "ead_2", "quality": {"textgen": "fluency_gap"}, "contrasts": {}}
    settings = parse_settings(values)
    results = whole("textgen", settings)
    cells = results.measured.cells
    decoders = list(dict.fromkeys(c.decoder for c in cells if c.family != "human"))
    tokenizer = load_tokenizer(ASSETS / "smollm2")
    prepared = [{"id": f"e{i}", "source": "a prompt", "references": ["a text"]} for i in range(EXAMPLES)]
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(decoders):
            write_cell(Path(folder) / f"{name}.parquet", [rows(number, len(tokenizer))], {})
        started = time.perf_counter()
        count = shown(settings.page_examples, EXAMPLES, len(decoders), 1)
        scores = {name: {"length": np.full(EXAMPLES, 48.0)} for name in [*decoders, "human"]}
        texts = task_samples(
            Path(folder), decoders, prepared[:count], 1, tokenizer, [[1]] * count, scores=scores
        )
        html = page(settings, {"textgen": results}, {"textgen": texts}, COSTS, ABOUT)
        seconds = time.perf_counter() - started
    Path("data/large.html").write_text(html, encoding="utf-8")
    print(
        f"{len(cells)} cells x {EXAMPLES} examples, texts of {count} on the page: "
        f"{seconds:.0f} s, {len(html.encode()) / 2**20:.1f} MiB, in data/large.html"
    )
    for what, took in in_browser(Path("data/large.html").resolve(), decoders[-1]).items():
        print(f"{what}: {took:.1f} s")


def in_browser(path: Path, decoder: str) -> dict[str, float]:
    """Seconds until what was asked for is drawn. decoder: whose text is shown."""
    found = {}
    with contextmanager(chromium)(path.parent) as driver:

        def timed(what: str, ask: Callable[[], object]) -> None:
            started = time.perf_counter()
            ask()
            found[what] = time.perf_counter() - started

        def opened() -> None:
            driver.get(path.as_uri())
            ready(driver)

        timed("open", opened)
        timed("another metric", lambda: choose(driver, "y", "perplexity"))
        timed("another text", lambda: choose(driver, "right", decoder))
    return found


def rows(number: int, vocabulary: int) -> list[dict[str, object]]:
    draw = np.random.Generator(np.random.Philox(number))
    ids, logs = draw.integers(0, vocabulary, (EXAMPLES, STEPS)), draw.normal(-3, 1, (EXAMPLES, STEPS))
    return [
        {
            "example_id": f"e{i}", "sample": 0, "text": "made up", "token_ids": ids[i], "routes": ids[i] % 3,
            "logprobs": logs[i], "model_logprobs": logs[i], "ranks": ids[i], "entropies": -logs[i], "finish": "length",
        }
        for i in range(EXAMPLES)
    ]  # fmt: skip


if __name__ == "__main__":
    main()
