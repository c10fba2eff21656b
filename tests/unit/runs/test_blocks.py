"""Blocks of texts: examples share nothing, so that they can be cut anywhere between them."""

from __future__ import annotations

from pathlib import Path

from random_routing.models.loading import load_model
from random_routing.runs.blocks import grouped, make_ready, run_block, units
from tests.helpers.architectures import same
from tests.helpers.plans import plan
from tests.helpers.tiny import tiny_model_folder


def test_blocks_of_whole_examples_make_the_texts_of_one(tmp_path: Path) -> None:
    asked = plan(5, 2)
    ready = make_ready(lambda: load_model(tiny_model_folder(tmp_path)), asked.prefix)
    texts = [text for job in asked.jobs() for text in asked.texts_of(job)]
    (block,) = units(grouped(texts), len(texts))
    whole, work = run_block(ready, asked, block, 64)
    parts = list(units(grouped(texts), len(texts) // 2))
    assert len(parts) == 3 and [text for part in parts for text in part] == block
    runs = [run_block(ready, asked, part, 64) for part in parts]
    made = {key: text for texts_of_part, _ in runs for key, text in texts_of_part.items()}
    assert whole.keys() == made.keys() and all(same(whole[key], made[key]) for key in made)
    assert sum(part.rows for _, part in runs) == work.rows
