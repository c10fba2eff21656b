"""Fluency under a judge: log-probabilities of texts after their context, each distinct text once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.checks import PipelineError
from pipeline.decoding.examples import padded_length
from pipeline.decoding.forest import Work
from pipeline.decoding.network import LanguageModel
from pipeline.decoding.scorer import score
from pipeline.decoding.store import Store, content_key

CODE_VERSION = 3  # raise it when a change of code changes scores


@dataclass(frozen=True)
class Scored:
    """A text after its context, both in the judge's tokens."""

    context: tuple[int, ...]
    text: tuple[int, ...]


def tokenize(
    tokenizer: Any, contexts: Sequence[str], texts: Sequence[str], context: int, name: str
) -> list[Scored]:
    """Contexts get the tokenizer's own beginning; an empty one becomes the begin (or end) token alone.

    Raises `PipelineError` when a pair does not fit into the judge's `context` positions.
    """
    opening = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    before = tokenizer(list(contexts))["input_ids"]
    after = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    pairs = [
        Scored(tuple(head) or (opening,), tuple(tail)) for head, tail in zip(before, after, strict=True)
    ]
    longest = max(len(pair.context) for pair in pairs)
    for pair in pairs:
        if padded_length(longest) + len(pair.text) > context:
            raise PipelineError(
                f"judge {name}: a text of {len(pair.text)} tokens after {longest} tokens of context exceeds "
                f"its {context} positions; lower max_new_tokens or name another judge"
            )
    return pairs


def score_texts(
    load: Callable[[], LanguageModel],
    address: dict[str, Any],
    pairs: Sequence[Scored],
    store: Store,
    batch_size: int,
    max_rows: int,
    on_tokens: Callable[[int, int], None],
    longest: int = 0,
) -> tuple[list[np.ndarray], Work]:
    """Log-probabilities (nats) of the tokens of every pair's text, (T,) float32 each, and the judge's work.

    address: what identifies the judge. Scores are kept in the store; an empty text has no tokens.
    on_tokens(done, total) reports progress. longest: tokens of the longest context, where the pairs are not
    all of a task's; scores are the same bytes only at equal padding.
    """
    prompt_length = padded_length(max(longest, *(len(pair.context) for pair in pairs)))
    shared = {**address, "code": CODE_VERSION, "prompt_length": prompt_length}
    keys = {
        pair: content_key([shared, pair.context, pair.text]) for pair in dict.fromkeys(pairs) if pair.text
    }
    there = store.get(list(keys.values()))
    missing = [pair for pair, key in keys.items() if key not in there]
    missing.sort(key=lambda pair: pair.context)  # equal contexts side by side, so that they share rows
    total, done = sum(len(pair.text) for pair in missing), 0
    model, work = load() if missing else None, Work()

    def on_step(delivered: int) -> None:
        nonlocal done
        done += delivered
        on_tokens(done, total)

    for start in range(0, len(missing), max_rows):
        block = missing[start : start + max_rows]
        contexts = list(dict.fromkeys(pair.context for pair in block))
        number = {head: i for i, head in enumerate(contexts)}
        assert model is not None
        log_probs, of_block = score(
            model,
            contexts,
            np.array([number[pair.context] for pair in block]),
            [pair.text for pair in block],
            prompt_length,
            batch_size,
            on_step,
        )
        found = {keys[pair]: values.tobytes() for pair, values in zip(block, log_probs, strict=True)}
        store.put(found)
        there |= found
        work += of_block
        work.texts += len(block)
    return [np.frombuffer(there[keys[pair]] if pair.text else b"", np.float32) for pair in pairs], work
