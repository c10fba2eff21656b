"""What a run consists of: the prefix that prompts share, model settings that bind it, bounded memory."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from random_routing.errors import PipelineError
from random_routing.models import network
from random_routing.models.folder import read_shape
from random_routing.models.loading import load_model
from random_routing.models.shape import Shape
from random_routing.runs.blocks import grouped, units
from random_routing.runs.generation import run_units
from random_routing.runs.processes import in_processes
from random_routing.runs.store import Store
from random_routing.runs.tokenized import Example, shared_prefix
from random_routing.settings import Task
from tests.helpers import LONG
from tests.helpers.plans import SHAPE, examples, plan, plan_of, settings
from tests.helpers.tiny import tiny_model_folder


def task(steps: int = 3) -> Task:
    return settings(steps).tasks["textgen"]


@pytest.mark.parametrize(
    ("common", "own", "expected"),
    [
        (37, (5, 9), 32),  # a multiple of 16
        (32, (5, 9), 32),
        (15, (5, 9), 0),
        (40, (1, 1), 32),
        (48, (0, 3), 32),  # the shorter prompt keeps a token of its own: 47 are shared, 32 are used
    ],
)
def test_the_prefix_that_all_prompts_share(common: int, own: tuple[int, ...], expected: int) -> None:
    rows = examples(common, *own)
    assert shared_prefix(rows, SHAPE) == rows[0].prompt[:expected]


def test_no_prefix_where_it_would_be_wrong() -> None:
    rows = examples(64, 5, 9)
    both = Shape(context=512, logits=300, layers=2, eos=2, is_encoder_decoder=True)
    assert shared_prefix(rows, both) == ()
    for window, expected in ((0, 64), (64, 0), (98, 0), (99, 64)):  # 80 positions, 3 steps, 16 of padding
        one = plan_of(rows, Shape(512, 300, 2, 2, window=window))
        assert [len(one.prefix_of(row)) for row in rows] == [expected, expected]


def test_a_longer_prompt_changes_no_other_texts_key() -> None:
    """One that passes the window too: only its own texts do without the prefix."""
    rows = examples(64, 5, 9)
    longer = Example("longer", (*range(10, 74), *range(100, 230)))
    shape = Shape(512, 300, 2, 2, window=128)
    few, more = plan_of(rows, shape), plan_of([*rows, longer], shape)
    job = few.jobs()[0]
    assert [text.key for text in few.texts_of(job)] == [text.key for text in more.texts_of(job)][:2]
    assert [more.room(example) for example in more.examples] == [80, 80, 208]
    assert [len(more.prefix_of(example)) for example in more.examples] == [64, 64, 0]


def test_prompts_of_a_unit_have_one_padded_length() -> None:
    one = plan_of(examples(20, 3, 13, 4, 30), SHAPE)  # 32, 48, 32 and 64 positions
    texts = [text for job in one.jobs() for text in one.texts_of(job)]
    made = list(units(grouped(texts), 1000))
    assert [sorted({text.example.id for text in unit}) for unit in made] == [["0", "2"], ["1"], ["3"]]
    assert sum(map(len, made)) == len(texts)


def test_memory_is_bounded_by_max_rows_not_by_the_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 cells on 200 examples never hold more rows than 9 cells on 40 do."""
    slots: dict[int, list[int]] = {}
    folder = tiny_model_folder(tmp_path / "model")
    new_cache = network.CausalModel.new_cache

    def record(self: Any, count: int, *sizes: int) -> Any:
        slots.setdefault(side, []).append(count)
        return new_cache(self, count, *sizes)

    monkeypatch.setattr(network.CausalModel, "new_cache", record)
    for side, count in ((3, 40), (20, 200)):
        small = plan(count, side)
        jobs = small.jobs()
        assert len(jobs) == side * side
        # a sample of the jobs of the large plan, all of its examples
        texts = [
            text
            for job in jobs[:: max(1, len(jobs) // (40 if LONG else 10))]
            for text in small.texts_of(job)
        ]
        store = Store(tmp_path / f"{side}.sqlite")
        run_units(
            lambda: load_model(folder), small, units(grouped(texts), 128), store, 64,
            partial(in_processes, workers=1),
        )  # fmt: skip
        assert len(store.present([text.key for text in texts])) == len(texts)
    assert max(slots[20]) <= 128 and max(slots[3]) <= 128


def test_ids_that_the_model_must_not_write(tmp_path: Path) -> None:
    """Marian's generation settings bar the padding token by `bad_words_ids`."""
    folder = tiny_model_folder(tmp_path)
    free = load_model(folder)
    prompt = torch.tensor([[5, 6, 7]])
    likeliest = int(free.network(prompt).logits[0, -1].argmax())
    config = json.loads((folder / "generation_config.json").read_text())
    config |= {"bad_words_ids": [[likeliest], [4, 5]], "suppress_tokens": [9]}
    (folder / "generation_config.json").write_text(json.dumps(config))
    assert read_shape(folder).barred == tuple(sorted({likeliest, 9}))
    barred = load_model(folder)
    cache = barred.new_cache(2, 3, 1)
    cache.cover(0, 2, 0)
    with torch.inference_mode():
        logits = barred.start(prompt.expand(2, -1), torch.ones(2, 3, dtype=torch.long), cache)
    assert logits[0, [likeliest, 9]].isneginf().all() and logits[0].isfinite().sum() == 298


def test_the_target_language_forces_the_first_token(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path, "m2m_100")
    assert read_shape(folder).decoder_start == (2, 77)  # as its own settings say
    assert read_shape(folder, "<|user|>").decoder_start == (2, 3)
    with pytest.raises(PipelineError, match=r"no token 'xx_Latn'.*target_code"):
        read_shape(folder, "xx_Latn")
