"""Blocks of texts, and the halves of one that a GPU runs in turns."""

from __future__ import annotations

from pathlib import Path

from random_routing.decode.turns import Run, finished, in_turns
from random_routing.models.loading import load_model
from random_routing.runs.blocks import grouped, in_halves, make_ready, run_block, units
from random_routing.runs.plan import Plan, Text
from tests.helpers.architectures import same
from tests.helpers.plans import plan
from tests.helpers.tiny import tiny_model_folder


def block_of(asked: Plan) -> list[Text]:
    texts = [text for job in asked.jobs() for text in asked.texts_of(job)]
    (block,) = units(grouped(texts), len(texts))
    return block


def test_halves_are_of_whole_examples() -> None:
    block = block_of(plan(5, 3))
    first, second = in_halves(block)
    assert first + second == block
    assert not {text.example for text in first} & {text.example for text in second}
    assert len({text.example for text in first}) == 2
    (alone,) = in_halves(block_of(plan(1, 3)))
    assert alone == block_of(plan(1, 3))


def test_halves_make_the_texts_of_all(tmp_path: Path) -> None:
    asked = plan(5, 2)
    ready = make_ready(lambda: load_model(tiny_model_folder(tmp_path)), asked.prefix)
    block = block_of(asked)
    whole, work = run_block(ready, asked, block, 64)
    parts = [run_block(ready, asked, half, 64) for half in in_halves(block)]
    made = {key: text for texts, _ in parts for key, text in texts.items()}
    assert whole.keys() == made.keys() and all(same(whole[key], made[key]) for key in made)
    assert sum(part.rows for _, part in parts) == work.rows, "examples share nothing"


def test_a_run_gives_what_it_returns() -> None:
    stops = []

    def run(stop: int) -> Run[int]:
        for number in range(stop):
            stops.append(number)
            yield
        return 10 * stop

    assert finished(run(3)) == 30 and in_turns([run(2)]) == [20]
    assert stops == [0, 1, 2, 0, 1]
