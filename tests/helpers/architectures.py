"""Architectures as tiny models, decoders of every kind, and the texts that they make."""

from __future__ import annotations

import numpy as np
import torch

from random_routing.decode.loop import decode
from random_routing.decode.prompts import Prompts
from random_routing.decode.sampler import Sampler
from random_routing.decode.slots import Grow, together
from random_routing.decode.trajectory import Trajectory
from random_routing.law.cells import Decoder
from random_routing.law.noise import Source
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.network import LanguageModel
from random_routing.settings import Annealing, Base, Gate, Route
from tests.helpers import LONG

CAUSAL = (
    "llama", "qwen3", "gpt2", "opt", "mistral", "gemma3", "mixtral", "qwen2_moe", "olmoe", "mpt",
    "gptj", "gpt_neo", "falcon", "falcon_new",  # by the library's own attention
    "gemma3n", "gemma4",  # whose last layers read the keys and values of lower ones
)  # fmt: skip
ENCODER_DECODER = ("t5", "marian", "m2m_100")
DECODERS = [
    Decoder(Base(greedy=True)),
    Decoder(Base()),
    Decoder(Base(top_p=0.9), 0.1, 0.2, Route("uniform"), Route("top_k", 5)),
    Decoder(Base(temperature=0.7)),
    Decoder(Base(temperature=Annealing("linear", 1.3, 0.3))),
    Decoder(Base(), 0.5, 0.3, Route("heads", drop=0.4), Route("layers", drop=0.6)),
    Decoder(Base(), 0.3, 0.5, Route("frozen", concentration=0.1), Route("heads", drop=0.4), mix="before"),
    Decoder(Base(), 0.4, 0.0, Route("uniform"), q_gate=Gate("entropy", scale=0.7)),
    Decoder(Base(top_k=9), 0.4, 0.0, Route("uniform"), q_gate=Gate("span", 3.0), mix="before"),
    Decoder(
        Base(), 0.5, 0.5, Route("experts"), Route("heads", drop=0.4)
    ),  # the last: for mixtures of experts
]
SIZE, STEPS, LENGTH = 300, 14 if LONG else 8, 16
PREFIX = tuple(range(40, 56))
ENDINGS = [tuple(range(10 + 3 * i, 15 + 5 * i)) for i in range(3)]
PROMPTS = [(*PREFIX, *ending) for ending in ENDINGS]
TEXTS = [(prompt, decoder) for prompt in range(3) for decoder in range(len(DECODERS))]


def texts_for(model: LanguageModel) -> list[tuple[int, int]]:
    last = len(DECODERS) - (0 if model.shape.experts else 1)
    return [text for text in TEXTS if text[1] < last]


def run(
    model: LanguageModel,
    texts: list[tuple[int, int]],
    batch_size: int,
    grow: Grow = together,
    prefix: bool = False,
) -> dict[tuple[int, int], Trajectory]:
    sources = [Source(1, "t", str(i), 0) for i in range(3)]
    noise = np.stack([source.steps(STEPS) for source in sources])
    prompt_of, decoder_of = np.array(texts).T
    decoders = DECODERS[: max(decoder_of) + 1]
    sampler = Sampler(
        decoders, decoder_of, prompt_of, noise, Vocabulary(SIZE, np.arange(3, SIZE), frozenset({2})),
        model.device, sources,
    )  # fmt: skip
    prompts = Prompts(PROMPTS, prompt_of, len(PREFIX) + LENGTH)
    if prefix:
        with torch.inference_mode():
            prompts = Prompts(ENDINGS, prompt_of, LENGTH, model.prefix_states(PREFIX))
    decode(model, prompts, sampler, STEPS, batch_size, grow)
    return dict(zip(texts, sampler.made.texts(), strict=True))


def same(one: Trajectory, other: Trajectory) -> bool:
    names = ("token_ids", "routes", "logprobs", "model_logprobs", "ranks", "entropies")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
