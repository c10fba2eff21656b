"""The routing law in plain transformers: a logits processor for `generate`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

from random_routing.law.base_decoders import plain, probabilities
from random_routing.law.gates import entropy_weights
from random_routing.law.mixing import mix
from random_routing.law.noise import FROZEN, Source
from random_routing.law.routes import delta, frozen, open_delta
from random_routing.law.vocabulary import Vocabulary, sampling_vocabulary, stop_tokens
from random_routing.settings import Base, Gate, Route
from random_routing.settings.decoders import BASE_RANGES


def vocabulary_of(model: Any, tokenizer: Any, include_eos: bool = False) -> Vocabulary:
    """What a random route may draw with this model: no special tokens, and no end of text unless
    `include_eos`."""
    width = model.get_output_embeddings().weight.shape[0]
    stop = stop_tokens(tokenizer, model.generation_config.eos_token_id, at_newline=False)
    return sampling_vocabulary(tokenizer, width, stop, include_eos)


class RandomRoutingLogitsProcessor(LogitsProcessor):
    r"""
    [`LogitsProcessor`] that mixes the next-token distribution with random ones:

        P(x|y) = q·δ_q(x) + (1−q)·[ λ·δ_λ(x) + (1−λ)·p(x|y) ]

    where p is the model's distribution after `base`. It returns log P, so sampling from its result
    follows the law exactly; what can never be drawn keeps −inf. A token that an earlier processor
    forbade (score −inf) stays forbidden, and δ is renormalised over the others.

    `generate` applies its own temperature and truncations *after* this processor, to the mixture. For a
    truncation before mixing give it as `base`, and leave those of `generate` off: `do_sample=True,
    temperature=1.0, top_k=0, top_p=1.0` (a model's own generation configuration may switch them on).

    Args:
        vocabulary (`Vocabulary`):
            Which tokens random routes may draw, such as `vocabulary_of(model, tokenizer)`.
        q (`float`, *optional*, defaults to 0):
            Weight of δ_q, in [0, 1].
        lam (`float`, *optional*, defaults to 0):
            Weight of δ_λ inside the rest, in [0, 1] (λ weighs exploration).
        q_route, lambda_route (`Route`, *optional*, default to `Route("uniform")`):
            Where δ comes from: `Route("uniform")`; `Route("top_k", k=20)`, uniform over the likeliest;
            `Route("unigram")`, with `frequencies`; `Route("frozen", concentration=1.0)`, a random
            distribution that every row keeps (make a new processor with another seed for each call).
        base (`Base`, *optional*, defaults to plain sampling):
            The decoder that p comes from, such as `Base(top_p=0.9)` or `Base(greedy=True)` (ε-greedy).
        q_gate, lambda_gate (`Gate`, *optional*):
            `Gate("entropy", scale=s)` multiplies the weight by min(1, s·H/log V), H the entropy of the
            model's distribution; s > 0 stands in the metadata of a generated cell. Give q or lam as 1 then.
            Other gates, schedules and mixing before the base are the pipeline's alone.
        frequencies (`Tensor` of shape `(vocabulary size,)`, *optional*):
            Of the tokens, for `unigram`; at least 0, and above 0 for some token of the vocabulary.
        seed (`int`, *optional*, defaults to 0):
            Of the distributions that `frozen` draws, one for each row.

    Source: equation 2 of docs/law.md, the law of this project; ε-greedy is Sutton & Barto 2018, 2.2.

    Examples:

    ```python
    >>> import numpy as np, torch
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> from random_routing import Base, RandomRoutingLogitsProcessor, Route, Vocabulary

    >>> scores = torch.tensor([[0.5, 0.25, 0.25, 0.0]]).log()
    >>> three = Vocabulary(4, allowed=np.array([0, 1, 2]), stop=frozenset({3}))  # 3 ends a text
    >>> routing = RandomRoutingLogitsProcessor(three, q=0.3, base=Base(top_k=1))
    >>> routing(torch.empty(1, 0), scores).exp()  # 0.3 of a third each, 0.7 of the likeliest
    tensor([[0.8000, 0.1000, 0.1000, 0.0000]])

    >>> model = LlamaForCausalLM(LlamaConfig(
    ...     vocab_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8))
    >>> routing = RandomRoutingLogitsProcessor(three, q=0.03, lam=0.1, lambda_route=Route("top_k", k=2))
    >>> prompts = torch.tensor([[0, 1], [1, 2]])
    >>> model.generate(prompts, do_sample=True, top_k=0, max_new_tokens=5, min_new_tokens=5, eos_token_id=3,
    ...     pad_token_id=3, logits_processor=[routing]).shape
    torch.Size([2, 7])

    ```
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        q: float = 0.0,
        lam: float = 0.0,
        q_route: Route = Route("uniform"),
        lambda_route: Route = Route("uniform"),
        base: Base = Base(),
        q_gate: Gate = Gate(),
        lambda_gate: Gate = Gate(),
        frequencies: Tensor | None = None,
        seed: int = 0,
    ) -> None:
        if not len(vocabulary.allowed):
            raise ValueError("`vocabulary` has to allow at least one token")
        for name, weight in (("q", q), ("lam", lam)):
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= 1:
                raise ValueError(f"`{name}` has to be a float in the [0, 1] interval, but is {weight}")
        for name, route in (("q_route", q_route), ("lambda_route", lambda_route)):
            _check_route(name, route, vocabulary, frequencies is not None)
        for name, gate in (("q_gate", q_gate), ("lambda_gate", lambda_gate)):
            _check_gate(name, gate)
        _check_base(base)
        self.vocabulary, self.base, self.seed = vocabulary, base, seed
        self.frequencies = None if frequencies is None else _frequencies(frequencies, vocabulary)
        self.frozen: dict[Route, np.ndarray] = {}  # δ of the rows so far
        self.laws = ((lam, lambda_route, lambda_gate), (q, q_route, q_gate))  # from the inside out

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """scores: (B, V) logits or log-probabilities. Returns log P: (B, V) float32; the input stays as it is."""
        if scores.shape[1] != self.vocabulary.size:
            raise ValueError(
                f"`vocabulary` is of {self.vocabulary.size} tokens, but the scores are of {scores.shape[1]}"
            )
        scores = scores.float()
        law = probabilities(scores, self.base)  # (B, V)
        for weight, route, gate in self.laws:
            if weight == 0:
                continue
            mass = self._delta(route, scores, law)
            if gate.kind == "entropy":
                weights = entropy_weights(gate.scale, plain(scores).entropy(), self.vocabulary.size)
                share = (weight * weights)[:, None].to(law)  # (B, 1)
                law = share * mass + (1 - share) * law
            else:
                law = mix(law, mass, weight)
        return law.log()

    def _delta(self, route: Route, scores: Tensor, law: Tensor) -> Tensor:
        table = self._frozen(route, len(scores)) if route.kind == "frozen" else self.frequencies
        return open_delta(delta(route, scores, self.vocabulary, table), scores, law)

    def _frozen(self, route: Route, rows: int) -> np.ndarray:
        if route not in self.frozen or len(self.frozen[route]) < rows:
            sources = [Source(self.seed, "processor", "", row) for row in range(rows)]
            size = len(self.vocabulary.allowed)
            self.frozen[route] = np.stack(
                [
                    frozen(source.uniforms(FROZEN, size), route.concentration, self.vocabulary)
                    for source in sources
                ]
            )
        return self.frozen[route][:rows]


def _frequencies(frequencies: Any, vocabulary: Vocabulary) -> np.ndarray:
    values = torch.as_tensor(frequencies, dtype=torch.float64).cpu().numpy()
    if values.shape != (vocabulary.size,):
        raise ValueError(f"`frequencies` has to be of shape ({vocabulary.size},), but is of {values.shape}")
    kept = np.zeros(vocabulary.size)
    kept[vocabulary.allowed] = values[vocabulary.allowed]
    if not (kept >= 0).all() or not 0 < kept.sum() < np.inf:
        raise ValueError("`frequencies` has to be at least 0, and above 0 for some token that may be drawn")
    return kept / kept.sum()


def _check_gate(name: str, gate: Gate) -> None:
    if gate.kind not in ("token", "entropy"):
        raise ValueError(f"`{name}` has to be of kind token or entropy, but is {gate.kind}")
    if gate.kind == "entropy" and not gate.scale > 0:
        raise ValueError(
            f"`{name}` needs a scale above 0, which the metadata of a generated cell holds, but has {gate.scale}"
        )


def _check_base(base: Base) -> None:
    for setting, (low, high, open_low) in BASE_RANGES.items():
        value = getattr(base, setting)
        if value != getattr(Base(), setting) and not (
            low <= value <= high and (value > low or not open_low)
        ):
            raise ValueError(f"`base` has to have {setting} in {low:g} to {high:g}, but it is {value}")
    if not isinstance(base.top_k, int) or base.top_k < 0:
        raise ValueError(f"`base` has to have a whole top_k of at least 0 (off), but it is {base.top_k}")


def _check_route(name: str, route: Route, vocabulary: Vocabulary, frequencies: bool) -> None:
    if route.structural:
        raise ValueError(f"`{name}` = {route.kind} runs the model itself: use `random_routing(model, …)`")
    if route.kind == "top_k" and not (isinstance(route.k, int) and 1 <= route.k <= len(vocabulary.allowed)):
        raise ValueError(f"`{name}` has to have k in [1, {len(vocabulary.allowed)}], but it is {route.k}")
    if route.kind == "frozen" and not route.concentration > 0:
        raise ValueError(f"`{name}` has to have a positive concentration, but it is {route.concentration}")
    if route.kind not in ("uniform", "top_k", "frozen", "unigram"):
        raise ValueError(f"`{name}` has to be uniform, top_k, unigram or frozen, but is {route.kind}")
    if route.kind == "unigram" and not frequencies:
        raise ValueError(f"`{name}` = unigram needs `frequencies`, one for each token")
