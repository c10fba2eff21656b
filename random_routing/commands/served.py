"""A grid of decoders by a model that vLLM serves, into one table."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import yaml

from random_routing.endpoint import API_KEY
from random_routing.errors import PipelineError, short
from random_routing.files import read_jsonl, replacing
from random_routing.integrations.served import run_served
from random_routing.integrations.served.journal import kept, read
from random_routing.progress import say


def main(arguments: Namespace) -> None:
    out = Path(arguments.out)
    if out.suffix != ".parquet" or out.is_dir():
        raise PipelineError(f"--out {out}: must be a file that ends in .parquet")
    prompts = _prompts(Path(arguments.prompts))
    variants = _variants(Path(arguments.variants)) if arguments.variants else None
    baselines = {"greedy": True} | ({"temperature": arguments.temperature} if arguments.temperature else {})
    journal = out.with_name(f"{out.name}.answers.jsonl")
    finished = read(journal)
    with kept(journal) as keep:
        table = run_served(
            arguments.url, prompts, q=arguments.q, lam=arguments.lam, variants=variants, baselines=baselines,
            samples=arguments.samples, max_new_tokens=arguments.tokens, seed=arguments.seed,
            model=arguments.model or None, api_key=os.environ.get(API_KEY), concurrency=arguments.concurrency,
            finished=finished, on_answer=keep,
        )  # fmt: skip
    with replacing(out) as temporary:
        table.to_parquet(temporary)
    journal.unlink(missing_ok=True)
    about = table.attrs["served"]
    say("served", f"{out}: {len(table)} texts of {table['decoder'].nunique()} decoders by {about['model']}")
    for name, sentence in about["not_guaranteed"].items():
        say("served", f"not guaranteed, {name}: {sentence}")


def _prompts(path: Path) -> list[str] | dict[str, str]:
    """Rows with `prompt` and, in all of them or none, `id`; other keys do not matter."""
    rows = read_jsonl(path)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not is_text(row.get("prompt")):
            raise PipelineError(f"{path}, line {number}: must be a mapping with a text `prompt`")
        if ("id" in row) != ("id" in rows[0]):
            raise PipelineError(f"{path}, line {number}: all lines have an `id`, or none has")
    if not rows:
        raise PipelineError(f"{path}: has no prompts")
    if "id" not in rows[0]:
        return [row["prompt"] for row in rows]
    named = {str(row["id"]): row["prompt"] for row in rows}
    if len(named) < len(rows):
        raise PipelineError(f"{path}: has an `id` twice")
    return named


def is_text(value: object) -> bool:
    """A text without half a character, which no request can hold."""
    return isinstance(value, str) and value.encode(errors="replace").decode() == value


def _variants(path: Path) -> dict[str, object]:
    """A YAML file with what stands under `variants` in params.yaml."""
    try:
        read_values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PipelineError(f"--variants {path}: cannot be read ({short(error)})") from None
    if not isinstance(read_values, dict) or not read_values:
        raise PipelineError(f"--variants {path}: must be a mapping from names to variants")
    return read_values
