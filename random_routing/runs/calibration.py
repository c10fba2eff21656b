"""What a law takes from the data before it can run: frequencies of `unigram`, scales of entropy gates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from random_routing.errors import PipelineError
from random_routing.law.cells import Cell, Decoder
from random_routing.law.gates import calibrated_scale
from random_routing.law.routes import unigram
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.tokens import encode_as_text
from random_routing.settings import Base, Gate, Route

CALIBRATION_PROMPTS = 32  # the first of a task, which do not change when more examples are asked for


def with_frequencies(
    cells: Sequence[Cell], references: Sequence[str], tokenizer: Any, vocabulary: Vocabulary, task: str
) -> tuple[list[Cell], dict[Route, np.ndarray]]:
    """The cells with known `unigram` routes, and δ (V,) of each of these routes.

    references: the task's human texts, for routes without a file. Raises `PipelineError`.
    """
    known: dict[Route, Route] = {}
    tables: dict[Route, np.ndarray] = {}
    for cell in cells:
        for route in cell.decoder.routes.values():
            if route.kind == "unigram" and route not in known:
                where = f"params.yaml: variants.{cell.variant}: unigram = {route.file!r}"
                if not route.file:
                    where = f"data/prepared/{task}.jsonl: its references, as frequencies for unigram,"
                texts = [_read(where, route.file)] if route.file else list(references)
                try:
                    table = unigram(
                        encode_as_text(tokenizer, texts, add_special_tokens=False)["input_ids"], vocabulary
                    )
                except ValueError as error:
                    raise PipelineError(f"{where}: {error}") from None
                known[route] = replace(route, digest=hashlib.sha256(table.tobytes()).hexdigest())
                tables[known[route]] = table

    def resolve(decoder: Decoder) -> Decoder:
        routes = [known.get(route, route) for route in (decoder.q_route, decoder.lambda_route)]
        return replace(decoder, q_route=routes[0], lambda_route=routes[1])

    return [replace(cell, decoder=resolve(cell.decoder)) for cell in cells], tables


def _read(where: str, file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{where}: cannot be read as UTF-8 text ({error})") from None


def bases_to_calibrate(cells: Sequence[Cell]) -> list[Base]:
    """Bases under laws with an entropy gate."""
    gated = [c.decoder for c in cells if "entropy" in (c.decoder.q_gate.kind, c.decoder.lambda_gate.kind)]
    return list(dict.fromkeys(decoder.base for decoder in gated))


def with_scales(
    cells: Sequence[Cell], entropies: dict[Base, np.ndarray], vocabulary: Vocabulary
) -> list[Cell]:
    """The cells with calibrated entropy gates.

    entropies: base → those of p, in nats, at every step of texts that the base decoder wrote without routes.
    The scale makes the mean gate probability over these steps the rate that is asked for.
    """

    def calibrated(gate: Gate, rate: float, base: Base) -> Gate:
        if gate.kind != "entropy":
            return gate
        return replace(gate, scale=calibrated_scale(rate, entropies[base], vocabulary.size))

    def resolve(decoder: Decoder) -> Decoder:
        return replace(
            decoder,
            q_gate=calibrated(decoder.q_gate, decoder.q, decoder.base),
            lambda_gate=calibrated(decoder.lambda_gate, decoder.lam, decoder.base),
        )

    return [replace(cell, decoder=resolve(cell.decoder)) for cell in cells]
