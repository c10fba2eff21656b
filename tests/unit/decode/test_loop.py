"""The decode loop: equal to Hugging Face where that has an answer, invariant everywhere else."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import torch

from random_routing.decode.forcing import score
from random_routing.decode.loop import decode
from random_routing.decode.model_call import PIECE
from random_routing.decode.prompts import Prompts
from random_routing.decode.sampler import Sampler
from random_routing.decode.slots import Grow, apart, spans, together
from random_routing.decode.trajectory import Trajectory
from random_routing.law.cells import Decoder, all_cells, representatives
from random_routing.law.noise import Source
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.cache import place
from random_routing.models.loading import load_model
from random_routing.models.network import LanguageModel
from random_routing.runs.calibration import with_scales
from random_routing.settings import Base, load_settings
from tests.helpers import LONG, ROOT
from tests.helpers.tiny import tiny_model_folder

SETTINGS = load_settings(ROOT / "params.yaml")
CELLS = with_scales(  # as if every step had 3 nats of entropy
    all_cells(SETTINGS, SETTINGS.tasks["textgen"]),
    defaultdict(lambda: np.full(9, 3.0)),
    Vocabulary(300, np.arange(300), frozenset()),
)
DECODERS = list(representatives(CELLS))
PROMPT_LENGTH, STEPS, EXAMPLES = 16, *((20, 4) if LONG else (14, 2))
STOP = 12  # token ids below it end a text
PROMPTS = [tuple(range(10 + i, 20 + 2 * i)) for i in range(EXAMPLES)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(tiny_model_folder(tmp_path_factory.mktemp("tiny")))


def run(
    model: LanguageModel, texts: list[tuple[int, int]], batch_size: int, grow: Grow = together
) -> tuple[dict[tuple[int, int], Trajectory], int]:
    size = 300
    vocabulary = Vocabulary(size, np.arange(STOP, size), frozenset(range(STOP)))
    sources = [Source(1, "t", str(e), 0) for e in range(EXAMPLES)]
    sampler = Sampler(
        DECODERS,
        np.array([decoder for _, decoder in texts]),
        np.array([example for example, _ in texts]),
        np.stack([source.steps(STEPS) for source in sources]),
        vocabulary,
        sources=sources,
    )
    prompts = Prompts(PROMPTS, np.array([example for example, _ in texts]), PROMPT_LENGTH)
    work = decode(model, prompts, sampler, STEPS, batch_size, grow)
    return dict(zip(texts, sampler.made.texts(), strict=True)), work.rows


ALL = [(example, decoder) for example in range(EXAMPLES) for decoder in range(len(DECODERS))]


def same(one: Trajectory, other: Trajectory) -> bool:
    return one.ended == other.ended and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("token_ids", "routes", "logprobs", "model_logprobs")
    )


def test_results_do_not_depend_on_batch_order_subset_or_sharing(model: LanguageModel) -> None:
    reference, shared_rows = run(model, ALL, 64)
    shuffled = [ALL[i] for i in np.random.Generator(np.random.Philox(5)).permutation(len(ALL))]
    for texts, batch_size, grow in [
        (ALL if LONG else ALL[::3], 1, together),
        (ALL if LONG else ALL[1::3], 2, together),
        (shuffled, 7, together),
        (shuffled, 256, apart),
        (shuffled[:40], 64, together),
        (shuffled[:1], 64, together),  # a lone row
        (shuffled[40:80], 3, apart),
    ]:
        found, _ = run(model, texts, batch_size, grow)
        assert len(found) == len(texts)
        assert all(same(reference[text], found[text]) for text in texts)
    _, all_rows = run(model, ALL, 64, apart)
    assert shared_rows < all_rows / 2, "cells that decide alike share rows"


@pytest.mark.parametrize("rows", [1, 3])
def test_results_do_not_depend_on_how_many_logits_are_looked_at_together(
    model: LanguageModel, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and distributions of 300 tokens in pieces of a few."""
    reference, _ = run(model, ALL, 64)
    monkeypatch.setitem(PIECE, "cpu", rows * 300)
    found, _ = run(model, ALL, 64)
    assert all(same(reference[text], found[text]) for text in ALL)


def test_every_text_is_as_long_as_its_stop_token_says(model: LanguageModel) -> None:
    found, _ = run(model, ALL, 64)
    assert any(t.ended for t in found.values()) and not all(t.ended for t in found.values())
    for trajectory in found.values():
        assert (trajectory.token_ids[:-1] >= STOP).all()
        assert trajectory.ended == (trajectory.token_ids[-1] < STOP)
        assert trajectory.ended or len(trajectory.token_ids) == STEPS
        assert not (trajectory.routes[trajectory.token_ids < STOP] > 0).any(), "no random route ends a text"


def test_greedy_equals_hugging_face(model: LanguageModel) -> None:
    found, _ = run(model, ALL, 64)
    greedy = DECODERS.index(Decoder(Base(greedy=True)))
    for example, prompt in enumerate(PROMPTS):
        output = model.network.generate(  # type: ignore[operator]
            torch.tensor([prompt]),
            max_new_tokens=STEPS,
            do_sample=False,
            eos_token_id=list(range(STOP)),
            pad_token_id=0,
        )
        assert output[0, len(prompt) :].tolist() == found[example, greedy].token_ids.tolist()


def test_log_probabilities_equal_a_teacher_forced_pass(model: LanguageModel) -> None:
    found, _ = run(model, ALL, 64)
    numbers = list(found)
    texts = [found[number].token_ids.tolist() for number in numbers]
    prompts = Prompts(PROMPTS, np.array([example for example, _ in numbers]), PROMPT_LENGTH)
    scored, work = score(model, prompts, texts, 64)
    assert work.rows < sum(len(text) for text in texts) / 2
    for number, text, values in zip(numbers, texts, scored, strict=True):
        assert np.allclose(values, found[number].model_logprobs, atol=1e-4)
        ids = torch.tensor([[*PROMPTS[number[0]], *text]])
        with torch.inference_mode():
            logits = model.network(ids).logits[0, -len(text) - 1 : -1]
        fresh = torch.log_softmax(logits, -1)[torch.arange(len(text)), torch.tensor(text)]
        assert np.allclose(values, fresh.numpy(), atol=1e-3)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 64, 65, 127, 129])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
def test_spans_cover_all_rows_and_leave_none_alone(rows: int, batch_size: int) -> None:
    pieces = spans(rows, batch_size)
    assert [i for start, stop in pieces for i in range(start, stop)] == list(range(rows))
    assert all(2 <= stop - start <= max(batch_size, 3) for start, stop in pieces) or rows == 1


def test_children_are_placed_without_overwriting_their_parents() -> None:
    generator = np.random.Generator(np.random.Philox(3))
    for _ in range(200):
        parent = generator.integers(0, 12, generator.integers(1, 20))
        placed = place(torch.from_numpy(parent)).numpy()
        assert sorted(placed) == list(range(len(parent)))
        moved = placed != parent
        assert not set(placed[moved]) & set(parent), "a slot that is written to is read by nobody"
