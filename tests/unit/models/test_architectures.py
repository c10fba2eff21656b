"""Any Hugging Face model: equal to its `generate`, and the same bits in any batch, with or without sharing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from random_routing.decode.slots import apart, together
from random_routing.errors import PipelineError
from random_routing.models.decode_check import check_decodes
from random_routing.models.loading import has_bfloat16, load_model
from random_routing.models.network import LanguageModel
from tests.helpers import LONG
from tests.helpers.architectures import (
    CAUSAL,
    ENCODER_DECODER,
    PREFIX,
    PROMPTS,
    STEPS,
    run,
    same,
    texts_for,
)
from tests.helpers.tiny import tiny_model_folder

# Each has a nearer relative among the others.
RELATIVES = (
    "qwen3", "opt", "qwen2_moe", "olmoe", "mpt", "falcon_new", "gemma4", "marian", "mistral", "gptj", "m2m_100",
)  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(arch, marks=pytest.mark.long if arch in RELATIVES else [])
        for arch in (*CAUSAL, *ENCODER_DECODER)
    ],
)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("arch"), request.param)


@pytest.fixture(scope="module")
def model(folder: Path) -> LanguageModel:
    return load_model(folder)


def test_greedy_equals_hugging_face(model: LanguageModel) -> None:
    found = run(model, texts_for(model), 64)
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
    every = texts_for(model)
    reference = run(model, every, 64)
    shuffled = [every[i] for i in np.random.Generator(np.random.Philox(5)).permutation(len(every))]
    for texts, batch_size, grow in [
        (every if LONG else shuffled[-9:], 2, together), (shuffled if LONG else shuffled[:14], 5, together),
        (shuffled, 64, apart), (shuffled[:1], 64, together),
    ]:  # fmt: skip
        found = run(model, texts, batch_size, grow)
        assert all(same(reference[text], found[text]) for text in texts)


def test_a_shared_prefix_changes_only_the_last_digits(model: LanguageModel) -> None:
    if model.shape.decoder_start:
        with pytest.raises(NotImplementedError, match="only causal models"):
            model.prefix_states(PREFIX)
        return
    if model.shape.window:
        pytest.skip("the plan gives models with a short window no prefix")
    every = texts_for(model)
    some = every if LONG else every[-9:]
    whole, split = run(model, every, 64), run(model, every, 64, prefix=True)
    for text in every:
        assert np.array_equal(whole[text].token_ids, split[text].token_ids)
        assert np.allclose(whole[text].model_logprobs, split[text].model_logprobs, atol=1e-4)
    for batch_size, grow in [(2, together), (64, apart)]:
        found = run(model, some, batch_size, grow, prefix=True)
        assert all(same(split[text], found[text]) for text in some)


def test_static_shapes_give_the_same_texts(model: LanguageModel) -> None:
    """What runs on a GPU, here on the processor: calls filled up to a few sizes, keys read where they lie."""
    if model.shape.counts_from_the_end:
        pytest.skip("refused on a GPU")

    class Static(type(model)):  # type: ignore[misc]
        static = True

    fixed = Static(**{name: getattr(model, name) for name in model.__dataclass_fields__})
    try:
        check_decodes(fixed)
    except PipelineError as error:
        assert type(model.network).__name__.startswith("Mpt"), (
            error
        )  # its bias counts the positions of the cache
        pytest.skip("refused on a GPU")
    every = texts_for(model)
    reference, found = run(model, every, 64), run(fixed, every, 8)
    again = run(fixed, every, 3, apart)
    for text in every:
        assert same(found[text], again[text])
        assert np.array_equal(reference[text].token_ids, found[text].token_ids)
        assert np.allclose(reference[text].model_logprobs, found[text].model_logprobs, atol=1e-4)


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bf16 instructions")
def test_bfloat16_is_invariant_too(folder: Path) -> None:
    """A mixture of experts may send one row alone to an expert, which is where bits would change."""
    half = load_model(folder, "bfloat16")
    every = texts_for(half)
    reference = run(half, every, 64)
    for batch_size, grow in [(2, together), (5, apart)]:
        found = run(half, every, batch_size, grow)
        assert all(same(reference[text], found[text]) for text in every)
