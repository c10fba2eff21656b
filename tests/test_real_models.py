"""The decoder on the real models: equal to Hugging Face, and the same bits in any batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.decoding.members import Trajectory
from pipeline.decoding.model import has_bfloat16, load_model
from pipeline.decoding.network import LanguageModel
from pipeline.decoding.plan import Plan, Text
from pipeline.decoding.prepared import plan_task
from pipeline.decoding.runner import Ready, make_ready, run_beam, run_block
from pipeline.routing.cells import all_cells
from pipeline.settings import Task, load_settings

pytestmark = pytest.mark.real
SETTINGS = load_settings()
TASKS = ("textgen", "translation")  # SmolLM2 and Gemma 3
CELLS = (
    "greedy", "temperature-1", "temperature-0.7", "top_k-10", "top_p-0.9", "min_p-0.05",
    "routing-uniform-q0.1-l0", "routing-epsilon-greedy-q0.03-l0.1", "routing-plausible-q0.1-l0.3",
)  # fmt: skip


@pytest.fixture(scope="module", params=TASKS)
def loaded(request: pytest.FixtureRequest) -> tuple[LanguageModel, Plan, list[Text]]:
    """A model with the texts of nine cells on three real prompts, 12 tokens each."""
    task: Task = replace(SETTINGS.tasks[request.param], max_new_tokens=12)
    folder = Path("data/assets") / task.model
    model = load_model(folder)
    cells = [cell for cell in all_cells(SETTINGS, task) if cell.name in CELLS]
    plan = plan_task(SETTINGS, task, cells, folder, model.tokenizer)
    examples = plan.examples[:3]
    texts = [text for job in plan.jobs() for text in plan.texts_of(job) if text.example in examples]
    return model, plan, texts


def ready(model: LanguageModel, plan: Plan) -> Ready:
    return make_ready(lambda: model, plan)


def same(one: Trajectory, other: Trajectory) -> bool:
    names = ("token_ids", "routes", "logprobs", "model_logprobs")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def changed(loaded: Any, model: LanguageModel) -> int:
    """How many texts change between batches of 64, of 2, of shuffled rows, without sharing, and with
    one thread, as each of several worker processes has."""
    _, plan, texts = loaded
    reference, _ = run_block(ready(model, plan), plan, texts, 64)
    order = np.random.Generator(np.random.Philox(1)).permutation(len(texts))
    shuffled = [texts[i] for i in order]
    different = 0
    for some, batch_size, share in [(texts, 2, True), (shuffled, 64, False), (shuffled[:7], 256, True)]:
        found, _ = run_block(ready(model, plan), plan, some, batch_size, share)
        different += sum(not same(reference[key], value) for key, value in found.items())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found, _ = run_block(ready(model, plan), plan, texts[::2], 64)
    torch.set_num_threads(threads)
    return different + sum(not same(reference[key], value) for key, value in found.items())


def test_same_bits_in_any_batch(loaded: Any) -> None:
    assert changed(loaded, loaded[0]) == 0


def test_the_check_sees_a_difference_without_the_invariant_mode(loaded: Any) -> None:
    """fp32 products of the default library change with the batch: the check above is able to fail."""
    folder = Path("data/assets") / loaded[1].task.model
    assert changed(loaded, load_model(folder, invariant=False)) > 0


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bf16 instructions")
def test_same_bits_in_any_batch_in_bfloat16(loaded: Any) -> None:
    folder = Path("data/assets") / loaded[1].task.model
    assert changed(loaded, load_model(folder, "bfloat16")) == 0


def test_greedy_equals_hugging_face(loaded: Any) -> None:
    model, plan, texts = loaded
    greedy = [text for text in texts if text.job.decoder.base.greedy and not text.job.decoder.q]
    found, _ = run_block(ready(model, plan), plan, texts, 64)
    for text in greedy:
        prompt = torch.tensor([text.example.prompt])
        output = model.network.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=sorted(plan.vocabulary.stop),
            pad_token_id=0,
        )
        assert output[0, prompt.shape[1] :].tolist() == found[text.key].token_ids.tolist()


def test_log_probabilities_equal_a_fresh_pass(loaded: Any) -> None:
    model, plan, texts = loaded
    found, _ = run_block(ready(model, plan), plan, texts, 64)
    for text in texts[::3]:
        trajectory = found[text.key]
        ids = torch.tensor([[*text.example.prompt, *trajectory.token_ids.tolist()]])
        with torch.inference_mode():
            logits = model.network(ids).logits[0, len(text.example.prompt) - 1 : -1]
        at = (torch.arange(len(trajectory.token_ids)), torch.from_numpy(trajectory.token_ids).long())
        fresh = torch.log_softmax(logits, -1)[at].numpy()
        assert np.allclose(fresh, trajectory.model_logprobs, atol=1e-3)


def test_beam_equals_hugging_face_one_prompt_at_a_time(loaded: Any) -> None:
    model, plan, _ = loaded
    if plan.task.name != "translation":
        pytest.skip("beam search is a baseline of translation")
    task = plan.task
    cells = [cell for cell in all_cells(SETTINGS, task) if cell.family == "beam"]
    beam_plan = plan_task(SETTINGS, task, cells, Path("data/assets") / task.model, model.tokenizer)
    texts = beam_plan.texts_of(beam_plan.jobs()[0])[:3]
    found, _ = run_beam(model, beam_plan, texts, 64)
    for text in texts:
        prompt = torch.tensor([text.example.prompt])
        output = model.network.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            num_beams=4,
            do_sample=False,
            max_new_tokens=12,
            eos_token_id=sorted(plan.vocabulary.stop),
            pad_token_id=0,
        )[0, prompt.shape[1] :].tolist()
        ids = found[text.key].token_ids.tolist()
        assert output[: len(ids)] == ids and not any(output[len(ids) :])
