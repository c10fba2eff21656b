"""The routing law in plain transformers: a logits processor for `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

from random_routing.integrations import law_arguments as check
from random_routing.integrations.texts import Gates, RouteLaw, Steps
from random_routing.law.gates import entropy_weights
from random_routing.law.mixing import mix
from random_routing.law.noise import FROZEN, Source
from random_routing.law.origin import Origin
from random_routing.law.probabilities import entropy, probabilities
from random_routing.law.routes import delta, frozen, open_delta
from random_routing.law.vocabulary import Vocabulary, sampling_vocabulary, stop_tokens
from random_routing.settings import Base, Gate, Route, Schedule, Variant

if TYPE_CHECKING:
    from random_routing.integrations.pipeline_tokens import PipelineTokens


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
            `Gate("span", mean=8)` takes the route in spans of that mean length in tokens, `Gate("sequence")`
            in all steps of a text or in none. Each row has gates of its own, drawn from `seed`, and the
            result is the law given them: of δ where a row's gate is open, without δ where it is shut. Over
            gates it is P. `Gate("entropy", scale=s)` multiplies the weight by min(1, s·H/log V), H the
            entropy of the model's distribution; s > 0 stands in the metadata of a generated cell. Give q or
            lam as 1 then.
        q_schedule, lambda_schedule (`Schedule`, *optional*):
            Multiplies the weight by a factor that changes over the steps: `Schedule("linear", 1.0, 0.0)`
            falls over the whole text, `Schedule("cosine", 1.0, 0.0, length=32)` over 32 tokens.
        frequencies (`Tensor` of shape `(vocabulary size,)`, *optional*):
            Of the tokens, for `unigram`; at least 0, and above 0 for some token of the vocabulary.
        seed (`int`, *optional*, defaults to 0):
            Of what is drawn once for a row: `frozen` distributions, span and sequence gates. Rows differ; a
            second call of `generate` draws the same, so make a new processor with another seed for it.
        max_new_tokens (`int`, *optional*):
            That of `generate`; needed by a schedule without a length and by `sources`.
        sources (list of `Source`, *optional*):
            Whose noise each row has. The processor then draws the token itself, as the pipeline does for
            `Source(seed, task, example id, sample)`, and returns 0 for it and −inf for all others.

    The first step is a call whose `input_ids` do not go on from those of the last one. A `generate` that
    goes on from exactly what the last one returned continues its texts; `reset()` prevents that. With span
    or sequence gates, schedules or `sources`, beam search raises `ValueError`. Assisted decoding, which takes
    tokens back, is not supported with them. Mixing before the base is the pipeline's alone.

    Source: equation 2 of docs/law.md, the law of this project; ε-greedy is Sutton & Barto 2018, 2.2.

    Examples:

    ```python
    >>> import numpy as np, torch
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> from random_routing import Base, RandomRoutingLogitsProcessor, Route, Schedule, Vocabulary

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

    >>> falling = Schedule("linear", 1.0, 0.0, length=2)  # 0.3·1, 0.3·½, 0.3·0
    >>> routing = RandomRoutingLogitsProcessor(three, q=0.3, base=Base(top_k=1), q_schedule=falling)
    >>> [round(routing(torch.zeros(1, length), scores).exp()[0, 1].item(), 3) for length in (5, 6, 7)]
    [0.1, 0.05, 0.0]

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
        q_schedule: Schedule = Schedule(),
        lambda_schedule: Schedule = Schedule(),
        max_new_tokens: int | None = None,
        sources: Sequence[Source] | None = None,
    ) -> None:
        variant = Variant(base, q_route, lambda_route, q_gate, lambda_gate, q_schedule, lambda_schedule)
        _check(vocabulary, q, lam, variant, frequencies is not None, max_new_tokens)
        self.vocabulary, self.base, self.seed = vocabulary, base, seed
        self.frequencies = None if frequencies is None else check.relative(frequencies, vocabulary)
        self.frozen: dict[Route, np.ndarray] = {}  # δ of the rows so far
        of_lambda = (Origin.LAMBDA, lam, lambda_route, lambda_gate, lambda_schedule)
        of_q = (Origin.Q, q, q_route, q_gate, q_schedule)
        laws = [RouteLaw.laid_out(*law, max_new_tokens) for law in (of_lambda, of_q)]  # from the inside out
        self.gates = [Gates(law, self._source) for law in laws if law.rate]
        self.pipeline: PipelineTokens | None = None
        if sources is not None:
            # The decoder loads numba, which vLLM does not stand in its process.
            from random_routing.integrations.pipeline_tokens import PipelineTokens, decoder_of

            if max_new_tokens is None:
                raise ValueError("`sources` need `max_new_tokens`")
            decoder = decoder_of(variant, laws[1], laws[0])
            tables = (
                {} if self.frequencies is None else dict.fromkeys((q_route, lambda_route), self.frequencies)
            )
            self.pipeline = PipelineTokens(decoder, sources, vocabulary, max_new_tokens, tables)
        self.counts = sources is not None or any(law.lasts or law.schedule != Schedule() for law in laws)
        self.reset()

    def reset(self) -> None:
        """The next call begins new texts, whatever their ids."""
        self.steps = Steps()

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """scores: (B, V) logits or log-probabilities. Returns log P: (B, V) float32; the input stays as it is."""
        if scores.shape[1] != self.vocabulary.size:
            raise ValueError(
                f"`vocabulary` is of {self.vocabulary.size} tokens, but the scores are of {scores.shape[1]}"
            )
        scores = scores.float()
        step = self.steps.of(input_ids) if self.counts else 0
        if self.pipeline:
            return self.pipeline(step, scores)
        law = probabilities(scores, self.base)  # (B, V)
        for gates in self.gates:
            mass = self._delta(gates.law.route, scores, law)
            weight = gates.weight(step, len(scores))
            if gates.law.gate.kind == "entropy":
                weight = weight * entropy_weights(
                    gates.law.gate.scale, entropy(scores), self.vocabulary.size
                )
            if isinstance(weight, float):
                law = mix(law, mass, weight)
            else:
                share = torch.as_tensor(weight)[:, None].to(law)  # (B, 1)
                law = share * mass + (1 - share) * law
        return law.log()

    def _source(self, row: int) -> Source:
        return Source(self.seed, "processor", "", row)

    def _delta(self, route: Route, scores: Tensor, law: Tensor) -> Tensor:
        table = self._frozen(route, len(scores)) if route.kind == "frozen" else self.frequencies
        return open_delta(delta(route, scores, self.vocabulary, table), scores, law)

    def _frozen(self, route: Route, rows: int) -> np.ndarray:
        if route not in self.frozen or len(self.frozen[route]) < rows:
            size = len(self.vocabulary.allowed)
            u = [self._source(row).uniforms(FROZEN, size) for row in range(rows)]
            self.frozen[route] = np.stack([frozen(one, route.concentration, self.vocabulary) for one in u])
        return self.frozen[route][:rows]


def _check(
    vocabulary: Vocabulary, q: float, lam: float, variant: Variant, frequencies: bool, max_new_tokens: int | None
) -> None:  # fmt: skip
    """Raises `ValueError` for the first that cannot be."""
    if not len(vocabulary.allowed):
        raise ValueError("`vocabulary` has to allow at least one token")
    check.check_rate("q", q)
    check.check_rate("lam", lam)
    check.check_steps(max_new_tokens)
    for name, route in (("q_route", variant.q_route), ("lambda_route", variant.lambda_route)):
        check.check_route(name, route, vocabulary, frequencies)
    for name, schedule in (
        ("q_schedule", variant.q_schedule),
        ("lambda_schedule", variant.lambda_schedule),
    ):
        check.check_schedule(name, schedule, max_new_tokens)
    check.check_gate("q_gate", variant.q_gate, q, variant.q_schedule)
    check.check_gate("lambda_gate", variant.lambda_gate, lam, variant.lambda_schedule)
    check.check_base(variant.base)
