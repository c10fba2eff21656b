"""How likely the human texts are under the law, for every rate r, from one teacher-forced pass.

With p and δ of each human token known, log P(text | r) = Σ log(r·δ(x) + (1−r)·p(x)) is there for all r at
once: the curve over r, and the r that maximises it, which is the smoothing that a language model would
want (Jelinek & Mercer 1980).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from random_routing.decode.loop import decode
from random_routing.decode.prompts import Prompts
from random_routing.files import ENDPOINT
from random_routing.law.schedules import spelt_out
from random_routing.law.vocabulary import Vocabulary
from random_routing.metrics.helpers.portions import cut
from random_routing.metrics.metric import CellTexts, ratio
from random_routing.models.memory import Memory, Warn, within
from random_routing.models.network import LanguageModel
from random_routing.resampling.intervals import percentile_interval, resampled_all
from random_routing.resampling.weights import Weights
from random_routing.results.measured import CurvePoint, Likelihood
from random_routing.runs.plan import Plan
from random_routing.runs.recheck import Sample
from random_routing.runs.store import Store, content_key
from random_routing.runs.tokenized import by_padded_length, padded_length
from random_routing.scoring.forced_laws import SCORE_ROUTES, Law, Recorder
from random_routing.scoring.gate_rates import route_names
from random_routing.scoring.judge import Scored
from random_routing.settings import Route, Settings, Variant
from random_routing.tasks import TASK_KINDS

RATES = np.concatenate([[0.0], np.logspace(-4, 0, 81)])  # r; the last is 1
CHEAP = 0.01  # nats a token, or bits a pixel: a cost that is called cheap
CODE_VERSION = 3  # raise it when a change of code changes what is stored


def laws_of(variants: dict[str, Variant], steps: int) -> dict[tuple[str, str], Law]:
    """(variant, name of the route) → law, for the routes that have a closed form; equal ones of a variant once.

    steps: that a text may have.
    """
    laws: dict[tuple[str, str], Law] = {}
    for name, variant in variants.items():
        routes = (variant.q_route, variant.lambda_route)
        for knob, route in zip(route_names(variant).values(), routes, strict=True):
            law = Law(spelt_out(variant.base, steps), route)
            if route.kind in SCORE_ROUTES and law not in laws.values():
                laws[name, knob] = law
    return laws


@dataclass(frozen=True)
class HumanProbabilities:
    """p and δ of every token of human texts under laws, computed once, then kept in the store.

    address: what identifies the model. Contexts are prompts here, in the generator's tokens.
    """

    load: Callable[[], LanguageModel]
    address: dict[str, Any]
    laws: Sequence[Law]
    vocabulary: Vocabulary
    tables: dict[Route, np.ndarray]
    store: Store
    sample: Sample[Scored] = field(default_factory=Sample)  # of those that were computed

    def keys(self, texts: Iterable[Scored]) -> dict[Scored, bytes]:
        """Distinct text → its key in the store."""
        tables = {
            repr(route): hashlib.sha256(table.tobytes()).hexdigest() for route, table in self.tables.items()
        }
        about = content_key({
            **self.address, "code": CODE_VERSION, "laws": [repr(law) for law in self.laws], "tables": tables,
            "allowed": self.vocabulary.allowed.tolist(),
        }).hex()  # fmt: skip
        return {
            pair: content_key(["likelihood", about, pair.context, pair.text])
            for pair in dict.fromkeys(texts)
        }

    def of(self, texts: Sequence[Scored], batch_size: int, max_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Each (laws, texts, T) float64. Texts have at least one token; at most `max_rows` are run at once."""
        keys = self.keys(texts)
        if missing := self.store.absent(keys.items()):
            self.sample.add((keys[pair], pair) for pair in missing)
            model, warn = self.load(), Warn(batch_size)
            memory = Memory(model.forget)
            units = by_padded_length(missing, lambda pair: len(pair.context))
            for unit in (piece for group in units for piece in cut(group, max_rows)):
                for values, rows in within(memory, partial(self._observe, model), list(unit), batch_size):
                    self.store.put(self._bytes(values))
                    warn(rows)
        both = np.zeros((2, len(self.laws), len(texts), max(len(pair.text) for pair in texts)))
        for piece in cut(range(len(texts))):
            stored = self.store.take([keys[texts[i]] for i in piece])
            for i in piece:
                value = np.frombuffer(stored[keys[texts[i]]])
                both[:, :, i, : len(texts[i].text)] = value.reshape(2, len(self.laws), -1)
        return both[0], both[1]

    def remade(self, batch_size: int) -> Iterator[dict[bytes, bytes]]:
        """Key → bytes of values that are made again, a lot at a time, beside others than the first time.

        The model is loaded once more: judge and embedder had its memory in between. None of a server, which need not
        give the same bits twice.
        """
        if self.sample.seen and ENDPOINT not in self.address.get("model", {}):
            model = self.load()
            for lot in self.sample.lots(lambda pair: padded_length(len(pair.context))):
                yield self._bytes(self._observe(model, lot, batch_size)[0])

    def _bytes(self, values: dict[Scored, np.ndarray]) -> dict[bytes, bytes]:
        keys = self.keys(values)
        return {keys[pair]: value.tobytes() for pair, value in values.items()}

    def _observe(
        self, model: LanguageModel, texts: list[Scored], rows: int
    ) -> tuple[dict[Scored, np.ndarray], int]:
        """Text → (2, laws, T) float64; and the rows. All contexts have one padded length."""
        prompts = Prompts.of([pair.context for pair in texts], padded_length(len(texts[0].context)))
        tokens = [pair.text for pair in texts]
        recorder = Recorder(tokens, self.laws, self.vocabulary, self.tables, model.device)
        decode(model, prompts, recorder, recorder.steps, rows)
        both = torch.stack([recorder.p, recorder.delta]).cpu().numpy()
        return {pair: both[:, :, i, : len(pair.text)] for i, pair in enumerate(texts)}, rows


def likelihood_curve(
    p: np.ndarray,
    mass: np.ndarray,
    lengths: np.ndarray,
    weights: Weights,
    confidence: float,
    base: float = math.e,
) -> Likelihood:
    """Mean log-likelihood of a token at every rate of `RATES`, and the rate that maximises it. base: of the logarithm,
    e for nats and 2 for bits.

    p, mass: (texts, T) of a law, whose variant and route the caller names; lengths: (texts,); weights: (B, texts).
    −inf where a text is impossible.
    """
    real = np.arange(p.shape[1]) < lengths[:, None]
    with np.errstate(divide="ignore"):
        # (texts, rates)
        sums = np.stack([np.where(real, np.log(r * mass + (1 - r) * p), 0.0).sum(1) for r in RATES], axis=1)
        sums /= math.log(base)
    known = np.flatnonzero(np.isfinite(sums).all(0))
    stats = [np.stack([sums[:, i], lengths], axis=1) for i in known]
    means = resampled_all(weights, [(of_rate, ratio) for of_rate in stats])
    plain = means[0] if len(known) and known[0] == 0 else None  # r = 0
    curve = [
        CurvePoint(
            float(RATES[i]), mean.value, *mean.interval(confidence),
            *(((mean - plain).value, *(mean - plain).interval(confidence)) if plain else ()),
        )
        for i, mean in zip(known, means, strict=True)
    ]  # fmt: skip
    if not curve:
        return Likelihood("", "", [], math.nan, math.nan, math.nan)
    values = np.stack(
        [np.concatenate([[mean.value], mean.resamples]) for mean in means], axis=1
    )  # (1 + B, known)
    rates = RATES[known]
    best, cheap = rates[values.argmax(1)], rates[_last_cheap(values)]
    ends = (percentile_interval(of[1:], confidence, len(p)) for of in (best, cheap))
    (low, high), (cheap_low, cheap_high) = ends
    return Likelihood("", "", curve, float(best[0]), low, high, float(cheap[0]), cheap_low, cheap_high)


def _last_cheap(values: np.ndarray) -> np.ndarray:
    """The last rate whose mean (B, rates) is less than `CHEAP` below the greatest: (B,)."""
    near = values > values.max(1, keepdims=True) - CHEAP
    return values.shape[1] - 1 - np.argmax(near[:, ::-1], axis=1)


def human_probabilities(
    load: Callable[[], LanguageModel], address: dict[str, Any], plan: Plan, settings: Settings, store: Store
) -> HumanProbabilities:
    """Under the laws of the variants whose tables the plan has."""
    tables = {replace(route, digest=""): table for route, table in plan.tables.items()}
    known = (
        law
        for law in laws_of(settings.variants_of(plan.task), plan.task.max_new_tokens).values()
        if _known(law, tables)
    )
    laws = list(dict.fromkeys(known))
    return HumanProbabilities(load, address, laws, plan.vocabulary, tables, store)


def _known(law: Law, tables: dict[Route, np.ndarray]) -> bool:
    return law.route.kind != "unigram" or law.route in tables


def human_likelihood(
    probabilities: HumanProbabilities, plan: Plan, human: CellTexts, weights: Weights, settings: Settings
) -> list[Likelihood]:
    """A record for each variant and route with a closed form: its curve over r and the best r.

    human: a text per example of the plan; empty ones have no likelihood and are left out.
    """
    nonempty = [i for i, ids in enumerate(human.token_ids) if ids]
    if not probabilities.laws or not nonempty:
        return []
    texts = [Scored(plan.examples[i].prompt, tuple(human.token_ids[i])) for i in nonempty]
    p, mass = probabilities.of(texts, settings.batch_size, settings.max_rows)
    lengths = np.array([len(human.token_ids[i]) for i in nonempty], dtype=np.float64)
    base, unit = (2.0, "bits / pixel") if TASK_KINDS[plan.task.kind].bits else (math.e, "nats / token")
    curves = {
        law: likelihood_curve(p[n], mass[n], lengths, weights[:, nonempty], settings.confidence, base)
        for n, law in enumerate(probabilities.laws)
    }
    return [
        replace(curves[law], variant=variant, route=knob, unit=unit)
        for (variant, knob), law in laws_of(
            settings.variants_of(plan.task), plan.task.max_new_tokens
        ).items()
        if law in curves
    ]
