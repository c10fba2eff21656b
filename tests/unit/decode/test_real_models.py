"""The decoder on the real models: equal to Hugging Face, and the same bits in any batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from random_routing.decode.slots import Grow, apart, together
from random_routing.decode.trajectory import Trajectory
from random_routing.law.cells import all_cells
from random_routing.models.loading import has_bfloat16, load_model
from random_routing.models.network import LanguageModel
from random_routing.runs.blocks import Ready, grouped, make_ready, run_beam, run_block, units
from random_routing.runs.make_plan import plan_task
from random_routing.runs.plan import Plan, Text
from random_routing.settings import Task, load_settings
from tests.helpers import LONG

pytestmark = pytest.mark.real
SETTINGS = replace(load_settings(), device="cpu")
TASKS = ("textgen", "translation")  # SmolLM2 and Gemma 3
CELLS = ["greedy", "temperature-1", "top_p-0.9", "routing-uniform-q0.1-l0", "routing-plausible-q0.1-l0.3"]
if LONG:
    CELLS += ["temperature-0.7", "top_k-10", "min_p-0.05", "routing-epsilon-greedy-q0.03-l0.1"]
TOKENS = 12 if LONG else 6


@dataclass(frozen=True)
class Loaded:
    """A model with the texts of some cells on a few real prompts, and what it writes."""

    folder: Path
    model: LanguageModel
    plan: Plan
    texts: list[Text]
    found: dict[bytes, Trajectory]


@pytest.fixture(
    scope="module", params=[TASKS[0], *(pytest.param(task, marks=pytest.mark.long) for task in TASKS[1:])]
)
def loaded(request: pytest.FixtureRequest) -> Loaded:
    task: Task = replace(SETTINGS.tasks[request.param], max_new_tokens=TOKENS)
    folder = Path("data/assets") / task.model
    model = load_model(folder)
    cells = [cell for cell in all_cells(SETTINGS, task) if cell.name in CELLS]
    plan = plan_task(SETTINGS, task, cells, folder, model.tokenizer)
    examples = plan.examples[: 3 if LONG else 2]
    texts = [text for job in plan.jobs() for text in plan.texts_of(job) if text.example in examples]
    return Loaded(folder, model, plan, texts, made(model, plan, texts, 64))


def ready(model: LanguageModel, plan: Plan) -> Ready:
    return make_ready(lambda: model, plan.prefix)


def made(
    model: LanguageModel, plan: Plan, texts: list[Text], batch_size: int, grow: Grow = together
) -> dict[bytes, Trajectory]:
    """Prompts of one padded length run together."""
    loaded, found = ready(model, plan), dict[bytes, Trajectory]()
    for unit in units(grouped(texts), len(texts)):
        found |= run_block(loaded, plan, unit, batch_size, grow)[0]
    return found


def same(one: Trajectory, other: Trajectory) -> bool:
    names = ("token_ids", "routes", "logprobs", "model_logprobs")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def changes(loaded: Loaded, model: LanguageModel) -> Iterator[int]:
    """How many texts change between batches of 64 and of 256, of shuffled rows, without sharing, of 2, and
    with another number of threads, as each of several worker processes has: one number a comparison.
    """
    plan, texts, reference = loaded.plan, loaded.texts, loaded.found
    if model is not loaded.model:
        reference = made(model, plan, texts, 64)

    def different(some: list[Text], batch_size: int, grow: Grow = together) -> int:
        found = made(model, plan, some, batch_size, grow)
        return sum(not same(reference[key], value) for key, value in found.items())

    order = np.random.Generator(np.random.Philox(1)).permutation(len(texts))
    shuffled = [texts[i] for i in order]
    yield different(shuffled[:7], 256)
    yield different(shuffled, 64, grow=apart)
    yield different(texts, 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if threads == 1 else 1)
    try:
        yield different(texts[::2], 64)
    finally:
        torch.set_num_threads(threads)


def test_same_bits_in_any_batch(loaded: Loaded) -> None:
    assert list(changes(loaded, loaded.model)) == [0, 0, 0, 0]


def test_the_check_sees_a_difference_without_the_invariant_mode(loaded: Loaded) -> None:
    """fp32 products of the default library change with the batch: the check above is able to fail."""
    if loaded.plan.task.name != "textgen" and not LONG:
        pytest.skip("one model is enough; make test-long looks at both")
    assert any(changes(loaded, load_model(loaded.folder, invariant=False)))


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bf16 instructions")
def test_same_bits_in_any_batch_in_bfloat16(loaded: Loaded) -> None:
    assert list(changes(loaded, load_model(loaded.folder, "bfloat16"))) == [0, 0, 0, 0]


def test_greedy_equals_hugging_face(loaded: Loaded) -> None:
    greedy = [text for text in loaded.texts if text.job.decoder.base.greedy and not text.job.decoder.q]
    for text in greedy:
        prompt = torch.tensor([text.example.prompt])
        output = loaded.model.network.generate(  # type: ignore[operator]
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=TOKENS,
            do_sample=False,
            eos_token_id=sorted(loaded.plan.vocabulary.stop),
            pad_token_id=0,
        )
        assert output[0, prompt.shape[1] :].tolist() == loaded.found[text.key].token_ids.tolist()


def test_log_probabilities_equal_a_fresh_pass(loaded: Loaded) -> None:
    for text in loaded.texts[::3]:
        trajectory = loaded.found[text.key]
        ids = torch.tensor([[*text.example.prompt, *trajectory.token_ids.tolist()]])
        with torch.inference_mode():
            logits = loaded.model.network(ids).logits[0, len(text.example.prompt) - 1 : -1]
        at = (torch.arange(len(trajectory.token_ids)), torch.from_numpy(trajectory.token_ids).long())
        fresh = torch.log_softmax(logits, -1)[at].numpy()
        assert np.allclose(fresh, trajectory.model_logprobs, atol=1e-3)


def test_beam_equals_hugging_face_one_prompt_at_a_time(loaded: Loaded) -> None:
    model, plan = loaded.model, loaded.plan
    if plan.task.name != "translation":
        pytest.skip("beam search is a baseline of translation")
    task = plan.task
    cells = [cell for cell in all_cells(SETTINGS, task) if cell.family == "beam"]
    beam_plan = plan_task(SETTINGS, task, cells, loaded.folder, model.tokenizer)
    texts = beam_plan.texts_of(beam_plan.jobs()[0])[: task.samples * (3 if LONG else 2)]
    found, work = run_beam(model, beam_plan, texts, 64)
    assert work.rows == 4 * work.delivered // task.samples  # the samples of an example are one search
    for text in texts[:: task.samples]:
        prompt = torch.tensor([text.example.prompt])
        output = model.network.generate(  # type: ignore[operator]
            prompt,
            attention_mask=torch.ones_like(prompt),
            num_beams=4,
            do_sample=False,
            max_new_tokens=TOKENS,
            eos_token_id=sorted(plan.vocabulary.stop),
            pad_token_id=0,
        )[0, prompt.shape[1] :].tolist()
        ids = found[text.key].token_ids.tolist()
        assert output[: len(ids)] == ids and not any(output[len(ids) :])
