"""P(label | example) of every decoder, from one model row per example: what calibration is measured by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.forcing import Forced
from random_routing.decode.loop import decode
from random_routing.decode.model_call import Call
from random_routing.decode.prompts import Prompts
from random_routing.files import asset_files
from random_routing.law.cells import Decoder
from random_routing.law.choices import choice_law
from random_routing.metrics.helpers.portions import Lazy, cut
from random_routing.metrics.metric import CellTexts
from random_routing.models.folder import label_ids
from random_routing.models.memory import Warn, within
from random_routing.models.network import LanguageModel
from random_routing.models.numerics import arithmetic
from random_routing.runs.blocks import Ready, make_ready
from random_routing.runs.generation import calibrate, generator_loader
from random_routing.runs.plan import Plan
from random_routing.runs.recheck import Sample
from random_routing.runs.store import Store, content_key
from random_routing.runs.tokenized import Example, by_padded_length
from random_routing.scoring.forced_laws import Law
from random_routing.scoring.judge import Scored
from random_routing.scoring.likelihood import laws_with_tables
from random_routing.settings import Settings

CODE_VERSION = 1  # raise it when a change of code changes what is stored


class _Recorder(Forced):
    """Keeps the logits of the choices at the first step: (texts, K) float32."""

    def __init__(self, texts: int, choices: tuple[int, ...], device: str) -> None:
        super().__init__([choices[:1]] * texts, device)
        self.choices = torch.tensor(choices, device=device)
        self.logits = torch.zeros(texts, len(choices), device=device)

    def record(self, call: Call, token: Tensor) -> None:
        self.logits[call.text] = call.logits[call.row][:, self.choices].float()


@dataclass(frozen=True)
class Choices:
    """The logits of a task's labels after every prompt, computed once, then kept in the store; and laws from them.

    address: what identifies the model; plan: with calibrated gates; choices: the labels' tokens, in their order.
    `of`: p and δ of people's labels, as `likelihood.HumanProbabilities` has them of longer texts.
    """

    load: Callable[[], LanguageModel]
    address: dict[str, Any]
    settings: Settings
    plan: Plan
    choices: tuple[int, ...]
    store: Store
    sample: Sample[Example] = field(default_factory=Sample)  # of those that were computed

    def keys(self, examples: list[Example]) -> dict[Example, bytes]:
        about = content_key({**self.address, "code": CODE_VERSION, "choices": list(self.choices)}).hex()
        return {
            example: content_key(["choices", about, example.prompt, len(self.plan.prefix_of(example))])
            for example in examples
        }

    @cached_property
    def logits(self) -> Tensor:
        """(E, K) float32, of the plan's examples."""
        keys = self.keys(list(self.plan.examples))
        if missing := self.store.absent(keys.items()):
            self.sample.add((keys[example], example) for example in missing)
            ready, batch_size = make_ready(self.load, self.plan.prefix), self.settings.batch_size
            warn = Warn(batch_size)
            units = by_padded_length(missing, lambda example: len(example.prompt))
            for unit in (piece for group in units for piece in cut(group, self.settings.max_rows)):
                for values, rows in within(
                    ready.memory, partial(self._observe, ready), list(unit), batch_size
                ):
                    self.store.put(self._bytes(values))
                    warn(rows)
        stored = self.store.take(list(dict.fromkeys(keys.values())))
        logits = [np.frombuffer(stored[keys[example]], dtype=np.float32) for example in self.plan.examples]
        return torch.from_numpy(np.stack(logits))

    def remade(self, batch_size: int) -> Iterator[dict[bytes, bytes]]:
        """Key → bytes of values that are made again, a lot at a time, beside others than the first time."""
        if self.sample.seen:
            ready = make_ready(self.load, self.plan.prefix)
            for lot in self.sample.lots(lambda example: self.plan.room(example)):
                yield self._bytes(self._observe(ready, lot, batch_size)[0])

    def law(self, decoder: Decoder) -> np.ndarray | None:
        """P (E, K) float64; None where it has no closed form."""
        tables = {
            known: table[list(self.choices)]
            for route, table in self.plan.tables.items()
            for known in (route, replace(route, digest=""))
        }
        steps, width = self.plan.task.max_new_tokens, self.plan.vocabulary.size
        law = choice_law(self.logits, decoder, steps, width, tables)
        return None if law is None else law.numpy()

    @property
    def laws(self) -> list[Law]:
        return laws_with_tables(self.settings, self.plan)

    def of(self, texts: Sequence[Scored], batch_size: int, max_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """p and δ of each text, a label after its prompt: (laws, texts, 1) float64 both. The numbers change nothing."""
        row = {example.prompt: i for i, example in enumerate(self.plan.examples)}
        at = [row[text.context] for text in texts], [self.choices.index(text.text[0]) for text in texts]
        ends = [(Decoder(law.base), Decoder(law.base, q=1.0, q_route=law.route)) for law in self.laws]
        p, mass = (
            np.array([cast(np.ndarray, self.law(decoder))[at] for decoder in side])[..., None]
            for side in zip(*ends, strict=True)
        )
        return p, mass

    def _bytes(self, values: dict[Example, np.ndarray]) -> dict[bytes, bytes]:
        keys = self.keys(list(values))
        return {keys[example]: value.tobytes() for example, value in values.items()}

    def _observe(
        self, ready: Ready, examples: list[Example], rows: int
    ) -> tuple[dict[Example, np.ndarray], int]:
        """Example → (K,) float32; and the rows. All prompts have one padded length."""
        prefix, room = self.plan.prefix_of(examples[0]), self.plan.room(examples[0])
        prompts = Prompts.of(
            [example.prompt[len(prefix) :] for example in examples],
            room - len(prefix),
            ready.prefix if prefix else None,
        )
        recorder = _Recorder(len(examples), self.choices, ready.model.device)
        decode(ready.model, prompts, recorder, 1, rows)
        logits = recorder.logits.cpu().numpy()
        return {example: logits[i] for i, example in enumerate(examples)}, rows


def choices_of(
    settings: Settings,
    plan: Plan,
    folder: Path,
    store: Store,
    load: Callable[[], LanguageModel] | None = None,
) -> Choices:
    """Of a plan whose gates may have to be calibrated. folder: the model's; load: where it is loaded already."""
    plan, _ = calibrate(settings, plan, folder, store, lambda *event: None)
    address = {"model": asset_files(folder), **arithmetic(settings.dtype, settings.device)}
    load = load or generator_loader(settings, plan.task, folder)
    return Choices(load, address, settings, plan, label_ids(folder, plan.task.labels), store)


def add_choices(
    cells: Mapping[str, CellTexts], choices: Choices, examples: np.ndarray | None = None
) -> Lazy:
    """Cells with the probabilities of the labels, where their law has a closed form.

    examples: (N,) which of the plan's examples the cells are about; None: all.
    """
    decoders = {cell.name: cell.decoder for cell in choices.plan.cells}

    def known(name: str) -> CellTexts:
        cell = replace(cells[name], choices=choices.plan.task.labels)
        law = choices.law(decoders[name]) if name in decoders else None
        if law is None:
            return cell
        return replace(cell, choice_probs=(law if examples is None else law[examples])[cell.example])

    return Lazy(cells, known)
