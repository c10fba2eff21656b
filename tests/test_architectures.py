"""Any Hugging Face model: equal to its `generate`, and the same bits in any batch, with or without sharing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from random_routing.decode.loop import decode
from random_routing.decode.members import Trajectory
from random_routing.decode.sampler import Sampler
from random_routing.law.cells import Decoder
from random_routing.law.noise import Source
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.loading import has_bfloat16, load_model
from random_routing.models.network import LanguageModel
from random_routing.settings import Base, Gate, Route
from tests.tiny import tiny_model_folder

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
    Decoder(Base(), 0.5, 0.3, Route("heads", drop=0.4), Route("layers", drop=0.6)),
    Decoder(Base(), 0.3, 0.5, Route("frozen", concentration=0.1), Route("heads", drop=0.4), mix="before"),
    Decoder(Base(), 0.4, 0.0, Route("uniform"), q_gate=Gate("entropy", scale=0.7)),
    Decoder(Base(top_k=9), 0.4, 0.0, Route("uniform"), q_gate=Gate("span", 3.0), mix="before"),
    Decoder(
        Base(), 0.5, 0.5, Route("experts"), Route("heads", drop=0.4)
    ),  # the last: for mixtures of experts
]
SIZE, STEPS, LENGTH = 300, 14, 16
PREFIX = tuple(range(40, 56))
ENDINGS = [tuple(range(10 + 3 * i, 15 + 5 * i)) for i in range(3)]
PROMPTS = [(*PREFIX, *ending) for ending in ENDINGS]
MEMBERS = [(prompt, decoder) for prompt in range(3) for decoder in range(len(DECODERS))]


def members_for(model: LanguageModel) -> list[tuple[int, int]]:
    last = len(DECODERS) - (0 if model.shape.experts else 1)
    return [member for member in MEMBERS if member[1] < last]


@pytest.fixture(scope="module", params=[*CAUSAL, *ENCODER_DECODER])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("arch"), request.param)


@pytest.fixture(scope="module")
def model(folder: Path) -> LanguageModel:
    return load_model(folder)


def run(
    model: LanguageModel,
    members: list[tuple[int, int]],
    batch_size: int,
    share: bool = True,
    prefix: bool = False,
) -> dict[tuple[int, int], Trajectory]:
    sources = [Source(1, "t", str(i), 0) for i in range(3)]
    noise = np.stack([source.steps(STEPS) for source in sources])
    sampler = Sampler(
        DECODERS, np.array([d for _, d in members]), np.array([p for p, _ in members]), noise,
        Vocabulary(SIZE, np.arange(3, SIZE), frozenset({2})), sources=sources,
    )  # fmt: skip
    with torch.inference_mode():
        states = model.prefix_states(PREFIX) if prefix else None
    decode(
        model, ENDINGS if prefix else PROMPTS, np.array([p for p, _ in members]), sampler, STEPS,
        LENGTH if prefix else len(PREFIX) + LENGTH, batch_size, states, share, walks=True,
    )  # fmt: skip
    return {member: sampler.trajectory(i) for i, member in enumerate(members)}


def same(one: Trajectory, other: Trajectory) -> bool:
    names = ("token_ids", "routes", "logprobs", "model_logprobs", "ranks", "entropies")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_greedy_equals_hugging_face(model: LanguageModel) -> None:
    found = run(model, members_for(model), 64)
    for number, prompt in enumerate(PROMPTS):
        output = model.network.generate(  # type: ignore[operator]
            torch.tensor([prompt]),
            max_new_tokens=STEPS + 1,
            do_sample=False,
            eos_token_id=2,
            pad_token_id=0,
        )[0].tolist()
        begin = len(model.shape.decoder_start) or len(prompt)
        if model.shape.decoder_start:
            assert tuple(output[:begin]) == model.shape.decoder_start
        ids = found[number, 0].token_ids.tolist()
        assert ids == output[begin : begin + len(ids)]
        assert len(ids) == STEPS or ids[-1] == 2


def test_same_bits_in_any_batch(model: LanguageModel) -> None:
    every = members_for(model)
    reference = run(model, every, 64)
    shuffled = [every[i] for i in np.random.Generator(np.random.Philox(5)).permutation(len(every))]
    for members, batch_size, share in [
        (every, 2, True), (shuffled, 5, True), (shuffled, 64, False), (shuffled[:1], 64, True),
    ]:  # fmt: skip
        found = run(model, members, batch_size, share)
        assert all(same(reference[member], found[member]) for member in members)


def test_a_shared_prefix_changes_only_the_last_digits(model: LanguageModel) -> None:
    if model.shape.decoder_start:
        with pytest.raises(NotImplementedError, match="only causal models"):
            model.prefix_states(PREFIX)
        return
    if model.shape.window:
        pytest.skip("the plan gives models with a short window no prefix")
    every = members_for(model)
    whole, split = run(model, every, 64), run(model, every, 64, prefix=True)
    for member in every:
        assert np.array_equal(whole[member].token_ids, split[member].token_ids)
        assert np.allclose(whole[member].model_logprobs, split[member].model_logprobs, atol=1e-4)
    for batch_size, share in [(2, True), (64, False)]:
        found = run(model, every, batch_size, share, prefix=True)
        assert all(same(split[member], found[member]) for member in every)


def test_static_shapes_give_the_same_texts(model: LanguageModel) -> None:
    """What runs on a GPU, here on the processor: full batches and full key lengths."""
    if model.shape.counts_from_the_end:
        pytest.skip("refused on a GPU")

    class Static(type(model)):  # type: ignore[misc]
        static = True

    fixed = Static(**{name: getattr(model, name) for name in model.__dataclass_fields__})
    every = members_for(model)
    reference, found = run(model, every, 64), run(fixed, every, 8)
    for member in every:
        assert np.array_equal(reference[member].token_ids, found[member].token_ids)
        assert np.allclose(reference[member].model_logprobs, found[member].model_logprobs, atol=1e-4)


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bf16 instructions")
def test_bfloat16_is_invariant_too(folder: Path) -> None:
    """A mixture of experts may send one row alone to an expert, which is where bits would change."""
    half = load_model(folder, "bfloat16")
    every = members_for(half)
    reference = run(half, every, 64)
    for batch_size, share in [(2, True), (5, False)]:
        found = run(half, every, batch_size, share)
        assert all(same(reference[member], found[member]) for member in every)
