"""Fluency under a judge: log-probabilities of texts after their context, each distinct text once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from random_routing.decode.forcing import score
from random_routing.decode.prompts import Prompts
from random_routing.decode.row_counts import Work
from random_routing.errors import PipelineError
from random_routing.metrics.helpers.portions import cut, portions
from random_routing.models.memory import Warn, within
from random_routing.models.network import LanguageModel
from random_routing.models.tokens import encode_as_text
from random_routing.progress import Tally
from random_routing.runs.blocks import Ready, make_ready
from random_routing.runs.executors import Executor
from random_routing.runs.recheck import Sample
from random_routing.runs.store import Store, content_key
from random_routing.runs.tokenized import by_padded_length, padded_length
from random_routing.scoring.opening import Opening

CODE_VERSION = 5  # raise it when a change of code changes scores


@dataclass(frozen=True)
class Scored:
    """A text after its context, both in a model's tokens.

    unread: UTF-8 bytes of the text's first token, where it stands in the context because nothing else does.
    """

    context: tuple[int, ...]
    text: tuple[int, ...]
    unread: int = 0


def tokenize(
    tokenizer: Any, opening: Opening, contexts: Sequence[str], texts: Sequence[str], context: int, name: str
) -> list[Scored]:
    """Each context begins a document, and its text is tokenized apart from it. Control tokens that either spells are
    text. Where nothing stands before a text, its first token does, and is not scored.

    Raises `PipelineError` when a pair does not fit into the judge's `context` positions.
    """
    before = encode_as_text(tokenizer, contexts, add_special_tokens=False)["input_ids"]
    after = encode_as_text(tokenizer, texts, add_special_tokens=False)["input_ids"]
    pairs = []
    for head, tail, text in zip(before, after, texts, strict=True):
        whole = (*opening.before, *head, *opening.after)
        pairs.append(
            Scored(whole, tuple(tail)) if whole else Scored(*_split(tail), _first_bytes(tokenizer, text))
        )
    for pair in pairs:
        if padded_length(len(pair.context)) + len(pair.text) > context:
            raise PipelineError(
                f"judge {name}: a text of {len(pair.text)} tokens after {len(pair.context)} tokens of context exceeds "
                f"its {context} positions; lower max_new_tokens or name another judge"
            )
    return pairs


def _split(tokens: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(tokens[:1]), tuple(tokens[1:])


def _first_bytes(tokenizer: Any, text: str) -> int:
    """UTF-8 bytes of a text up to the end of its first token, of whose last character all count."""
    offsets = encode_as_text(tokenizer, [text], add_special_tokens=False, return_offsets_mapping=True)
    ends = [end for _, end in offsets["offset_mapping"][0]]
    return len(text[: ends[0]].encode()) if ends else 0


@dataclass(frozen=True)
class Scores:
    """Log-probabilities (nats) of the tokens of texts under a judge, kept in the store.

    address: what identifies the judge. An empty text has no tokens, and is always there.
    """

    address: dict[str, Any]
    store: Store
    sample: Sample[Scored] = field(default_factory=Sample)  # of those that were computed

    def keys(self, pairs: Iterable[Scored]) -> dict[Scored, bytes]:
        """Distinct pair with a text → its key in the store."""
        about = {**self.address, "code": CODE_VERSION}
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
        stored = self.store.take(list(keys.values()))
        return [np.frombuffer(stored[keys[pair]] if pair.text else b"", np.float32) for pair in pairs]

    def compute(
        self,
        execute: Executor,
        load: Callable[[], LanguageModel],
        batches: Iterable[Sequence[Scored]],
        batch_size: int,
        max_rows: int,
        on_tokens: Callable[[int, int], None],
        begin: Callable[[], None] = lambda: None,
    ) -> Work:
        """Put the scores of all `batches` that are absent into the store, each pair's once.

        The model is loaded where there are any, after `begin`. on_tokens(done, total) reports progress; the total
        grows with what was looked at so far.
        """
        waiting = set[Scored]()  # for their results
        total, work = 0, Work()
        tally = Tally(lambda done: on_tokens(done, total))

        def units() -> Iterator[Sequence[Scored]]:
            nonlocal total
            for portion in portions(
                batches, lambda batch: [pair for pair in self.absent(batch) if pair not in waiting]
            ):
                waiting.update(portion)
                self.sample.add((key, pair) for pair, key in self.keys(portion).items())
                total += sum(len(pair.text) for pair in portion)
                for group in by_padded_length(portion, lambda pair: len(pair.context)):
                    yield from cut(sorted(group, key=lambda pair: pair.context), max_rows)

        left = units()
        if (first := next(left, None)) is None:
            return work
        begin()
        warn = Warn(batch_size)
        for scores, of_unit, rows in self._run(execute, load, chain([first], left), batch_size, tally.step):
            self.store.put(self._bytes(scores))
            waiting.difference_update(scores)
            work += of_unit
            work.texts += len(scores)
            warn(rows)
            tally.finish(sum(len(pair.text) for pair in scores))
        return work

    def remade(
        self, execute: Executor, load: Callable[[], LanguageModel], batch_size: int
    ) -> Iterator[dict[bytes, bytes]]:
        """Key → bytes of scores that are made again, a lot at a time, beside others than the first time."""
        lots = self.sample.lots(lambda pair: padded_length(len(pair.context)))
        if self.sample.seen:
            for scores, _, _ in self._run(execute, load, lots, batch_size, lambda count: None):
                yield self._bytes(scores)

    def _run(
        self,
        execute: Executor,
        load: Callable[[], LanguageModel],
        units: Iterable[Sequence[Scored]],
        batch_size: int,
        on_step: Callable[[int], None],
    ) -> Iterator[tuple[dict[Scored, np.ndarray], Work, int]]:
        ready = partial(make_ready, load, wanted=self.address.get("numerics"))
        yield from execute(ready, partial(run_scored, batch_size=batch_size), units, on_step)

    def _bytes(self, scores: dict[Scored, np.ndarray]) -> dict[bytes, bytes]:
        keys = self.keys(scores)
        return {keys[pair]: values.tobytes() for pair, values in scores.items()}


def run_scored(
    ready: Ready, unit: Sequence[Scored], on_step: Callable[[int], None], batch_size: int
) -> tuple[dict[Scored, np.ndarray], Work, int]:
    """As `score_unit`, with as many rows per model call as memory allows, and their number."""
    scores, work, smallest = dict[Scored, np.ndarray](), Work(), batch_size

    def attempt(pairs: list[Scored], rows: int) -> tuple[dict[Scored, np.ndarray], Work, int]:
        return *score_unit(ready.model, pairs, on_step, batch_size=rows), rows

    for part, of_part, rows in within(ready.memory, attempt, list(unit), batch_size):
        scores |= part
        work += of_part
        smallest = min(smallest, rows)
    return scores, work, smallest


def score_unit(
    model: LanguageModel, unit: Sequence[Scored], on_step: Callable[[int], None], batch_size: int
) -> tuple[dict[Scored, np.ndarray], Work]:
    """Pair → (T,) float32. Equal contexts, side by side, share rows; all have one padded length."""
    prompts = Prompts.of([pair.context for pair in unit], padded_length(len(unit[0].context)))
    log_probs, work = score(model, prompts, [pair.text for pair in unit], batch_size, on_step)
    return dict(zip(unit, log_probs, strict=True)), work
