"""A model that a server runs, as one that is here: each distinct prefix is a request for one token.

The server's log-probabilities serve as logits, since the softmax of log p is p. What was read before is the server's
to keep; here are only the token ids of each row.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from random_routing.endpoint import API_KEY, TOKEN, Endpoint
from random_routing.errors import PipelineError
from random_routing.files import ENDPOINT, read_json
from random_routing.models.cache import TokenCache
from random_routing.models.folder import check_served, load_tokenizer, read_shape
from random_routing.models.network import LanguageModel, pad
from random_routing.models.random_paths import Path as RandomPath

# What is promised of a model that is loaded here, and not of one behind a server: name → a sentence.
NOT_GUARANTEED = {
    "bytes": "a server's log-probabilities change with its batch, hardware and version, so that the same run may give "
    "other last digits, and now and then another token",
    "recheck": "its texts and probabilities are not made again at the end of a stage, as they need not have the same "
    "bits",
    "pairing": "decoders share random numbers and, while they agree, the answers of one run; texts of a later run have "
    "answers of their own",
    "model": "weights and dtype are the server's: its names and version are all that is known, and that its vocabulary "
    "is as wide as the tokenizer's model says",
}
ANSWER = 2**19  # log-probabilities of an answer, at most: about 20 MB of JSON
AT_ONCE = 4  # requests


@dataclass(frozen=True)
class ServedModel(LanguageModel):
    """A causal model behind an endpoint; served: the server's name for it. It has no parts, and no `network`."""

    endpoint: Endpoint = field(kw_only=True)
    served: str = field(kw_only=True)

    def pad(self, prompts: Sequence[Sequence[int]], length: int) -> tuple[Tensor, Tensor]:
        return pad(prompts, length, left=True)

    def new_cache(self, slots: int, prompt_length: int, steps: int, prefix_length: int = 0) -> TokenCache:
        return TokenCache(slots)

    def start(self, ids: Tensor, padding: Tensor, cache: TokenCache) -> Tensor:
        prompts = [row[real].tolist() for row, real in zip(ids, padding.bool(), strict=True)]
        return self._logits(cache.begin(prompts))

    def step(
        self, tokens: Tensor, padding: Tensor, step: int, cache: TokenCache, path: RandomPath | None = None
    ) -> Tensor:
        return self._logits(cache.extend(tokens[:, 0].tolist()))

    def _logits(self, rows: Sequence[tuple[int, ...]]) -> Tensor:
        """(B, V) after each row of token ids; equal rows are asked for once."""
        number = {row: i for i, row in enumerate(dict.fromkeys(rows))}
        distinct, size = list(number), max(1, ANSWER // self.shape.logits)
        lots = [distinct[start : start + size] for start in range(0, len(distinct), size)]
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="served")
        try:
            logits = torch.cat(list(pool.map(self._ask, lots)))  # (distinct, V)
        finally:
            pool.shutdown(cancel_futures=True)
        return self.next_logits(logits[[number[row] for row in rows], None])

    def _ask(self, rows: Sequence[tuple[int, ...]]) -> Tensor:
        return torch.stack(
            [self._scores(found) for found in self.endpoint.next_logprobs(self.served, rows)]
        )

    def _scores(self, found: dict[str, float]) -> Tensor:
        """(V,) float32. Raises `PipelineError` where they are not of the whole vocabulary, or no numbers."""
        width, name = self.shape.logits, self.endpoint.name
        if len(found) != width:
            raise PipelineError(
                f"{name}: returns log-probabilities of {len(found)} of {width} tokens; start it with --max-logprobs -1"
            )
        scores = np.full(width, np.nan, dtype=np.float32)
        try:
            scores[[int(token.removeprefix(TOKEN)) for token in found]] = list(found.values())
        except (ValueError, IndexError):
            raise PipelineError(
                f"{name}: names tokens that are no ids below {width}, the vocabulary"
            ) from None
        if np.isnan(scores).any():
            raise PipelineError(f"{name}: returns log-probabilities that are NaN")
        return torch.from_numpy(scores)


def load_served(folder: str | Path, device: str = "cpu", labels: Sequence[str] = ()) -> LanguageModel:
    """The model of a folder with `ENDPOINT`, at the address of its `asset.json`. labels: as of `read_shape`. Raises
    `PipelineError` where the server is down, or is no longer what it was when the asset was fetched.
    """
    folder = Path(folder)
    if device != "cpu":
        raise PipelineError(
            f"params.yaml: device = {device!r}: must be auto or cpu, as a server runs {folder.name}"
        )
    check_served(folder)
    told, [source] = read_json(folder / ENDPOINT), read_json(folder / "asset.json")["sources"]
    endpoint = Endpoint(source.removeprefix("served:"), os.environ.get(API_KEY))
    for key, now in endpoint.about(told["id"]).items():
        if now != told[key]:
            raise PipelineError(
                f"{endpoint.name}: {key} is {now!r:.100} now, and was {told[key]!r:.100} when {folder.name} was "
                f"fetched; run dvc repro --force --single-item fetch@{folder.name}"
            )
    return ServedModel(
        folder.name, nn.Identity(), load_tokenizer(folder), read_shape(folder, labels=labels), device,
        endpoint=endpoint, served=told["id"],
    )  # fmt: skip
