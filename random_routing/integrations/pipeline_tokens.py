"""The pipeline's own tokens in `generate`: its sampler, told whose noise each row has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.model_call import Call
from random_routing.decode.sampler import Sampler
from random_routing.integrations.texts import RouteLaw
from random_routing.law.cells import Decoder, distinct_decoder
from random_routing.law.noise import Source
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Route, Variant


class PipelineTokens:
    """Chooses a row's tokens as `decode` does, with `random_routing.decode.sampler.Sampler`.

    sources: (B,) whose noise a row has; steps: tokens of a text at most; tables: δ (V,) of `unigram` routes.
    """

    def __init__(
        self, decoder: Decoder, sources: Sequence[Source], vocabulary: Vocabulary, steps: int,
        tables: dict[Route, np.ndarray],
    ) -> None:  # fmt: skip
        self.decoder, self.sources, self.vocabulary = decoder, list(sources), vocabulary
        self.steps, self.tables = steps, tables

    def __call__(self, step: int, scores: Tensor) -> Tensor:
        """0 for the token that is chosen, −∞ for the others: (B, V) float32. scores: (B, V) float32.

        Raises ValueError for another number of rows, a step too many, and a token that another processor forbids.
        """
        if len(scores) != len(self.sources):
            raise ValueError(
                f"`sources` has to be one for each of {len(scores)} rows, not {len(self.sources)}"
            )
        if step >= self.steps:
            raise ValueError(f"`max_new_tokens` is {self.steps}, but one more is asked for")
        logits = scores if scores.is_cuda else scores.cpu()
        rows = torch.arange(len(logits), device=logits.device)
        if step == 0:
            self.sampler = self._sampler(str(logits.device))
        token = self.sampler(Call(logits, rows, rows, step, None))[0].to(scores.device)[:, None]  # (B, 1)
        if scores.gather(1, token).isneginf().any():
            raise ValueError("a processor forbids a token that the pipeline draws with these `sources`")
        return torch.full_like(scores, -torch.inf).scatter_(1, token, 0.0)

    def _sampler(self, device: str) -> Sampler:
        rows = len(self.sources)
        noise = np.stack([source.steps(self.steps) for source in self.sources])  # (B, 7, steps)
        return Sampler(
            [self.decoder], np.zeros(rows, np.int64), np.arange(rows), noise, self.vocabulary, device, self.sources,
            self.tables,
        )  # fmt: skip


def decoder_of(variant: Variant, q: RouteLaw, lam: RouteLaw) -> Decoder:
    """What the pipeline would run. q, lam: the laws of the variant's two routes.

    The scale of an entropy gate holds the rate: raises ValueError for one with a rate of its own.
    """
    laws = {"q": q, "lam": lam}
    if all(law.gate.kind != "entropy" for law in laws.values()):
        return distinct_decoder(variant, q.rate, lam.rate)
    for name, law in laws.items():
        if law.gate.kind == "entropy" and law.rate != 1:
            raise ValueError(f"`{name}` has to be 1: with `sources` an entropy gate's scale holds the rate")
    return Decoder(
        variant.base, q.rate, lam.rate, q.route, lam.route, q.gate, lam.gate, q.schedule, lam.schedule
    )
