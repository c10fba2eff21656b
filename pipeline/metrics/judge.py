"""Fluency under a judge: log-probabilities of texts after their context, each distinct text once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
    tokenizer: Any, contexts: Sequence[str], texts: Sequence[str], context: int, name: str, longest: int = 0
) -> list[Scored]:
    """Contexts get the tokenizer's own beginning; an empty one becomes the begin (or end) token alone.

    longest: tokens of a context that all are padded for, where it is not among these. Raises `PipelineError`
    when a pair does not fit into the judge's `context` positions.
    """
    opening = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    before = tokenizer(list(contexts))["input_ids"]
    after = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    pairs = [
        Scored(tuple(head) or (opening,), tuple(tail)) for head, tail in zip(before, after, strict=True)
    ]
    longest = max(longest, *(len(pair.context) for pair in pairs))
    for pair in pairs:
        if padded_length(longest) + len(pair.text) > context:
            raise PipelineError(
                f"judge {name}: a text of {len(pair.text)} tokens after {longest} tokens of context exceeds "
                f"its {context} positions; lower max_new_tokens or name another judge"
            )
    return pairs


@dataclass(frozen=True)
class Scores:
    """Log-probabilities (nats) of the tokens of texts under a judge, kept in the store.

    address: what identifies the judge. longest: tokens of the longest context of the task, for which all are
    padded: scores are the same bytes only at equal padding. An empty text has no tokens, and is always there.
    """

    address: dict[str, Any]
    store: Store
    longest: int

    def keys(self, pairs: Iterable[Scored]) -> dict[Scored, bytes]:
        """Distinct pair with a text → its key in the store."""
        about = {**self.address, "code": CODE_VERSION, "prompt_length": padded_length(self.longest)}
        return {
            pair: content_key([about, pair.context, pair.text])
            for pair in dict.fromkeys(pairs)
            if pair.text
        }

    def absent(self, pairs: Iterable[Scored]) -> list[Scored]:
        """Those without a score, distinct."""
        return self.store.absent(self.keys(pairs).items())

    def read(self, pairs: Sequence[Scored]) -> list[np.ndarray]:
        """(T,) float32 each, of pairs of which none is absent."""
        keys = self.keys(pairs)
        there = self.store.take(list(keys.values()))
        return [np.frombuffer(there[keys[pair]] if pair.text else b"", np.float32) for pair in pairs]

    def compute(
        self,
        model: LanguageModel,
        pairs: Sequence[Scored],
        batch_size: int,
        max_rows: int,
        on_tokens: Callable[[int, int], None],
    ) -> Work:
        """Score distinct pairs into the store. on_tokens(done, total) reports progress."""
        ordered = sorted(pairs, key=lambda pair: pair.context)  # equal ones side by side share rows
        total, done, work = sum(len(pair.text) for pair in pairs), 0, Work()

        def on_step(delivered: int) -> None:
            nonlocal done
            done += delivered
            on_tokens(done, total)

        for start in range(0, len(ordered), max_rows):
            block = ordered[start : start + max_rows]
            contexts = list(dict.fromkeys(pair.context for pair in block))
            number = {head: i for i, head in enumerate(contexts)}
            log_probs, of_block = score(
                model,
                contexts,
                np.array([number[pair.context] for pair in block]),
                [pair.text for pair in block],
                padded_length(self.longest),
                batch_size,
                on_step,
            )
            keys = self.keys(block)
            self.store.put(
                {keys[pair]: values.tobytes() for pair, values in zip(block, log_probs, strict=True)}
            )
            work += of_block
            work.texts += len(block)
        return work
