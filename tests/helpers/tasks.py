"""Small tasks, a generator with one token a byte, and records as readers give them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from random_routing.settings import Asset, Task, load_settings
from random_routing.tasks.example_ids import Generator
from random_routing.tasks.named_data_sets import READERS
from tests.helpers import ROOT
from tests.helpers.tiny import byte_tokenizer

SETTINGS = load_settings(ROOT / "params.yaml")


GENERATOR = Generator("tiny", byte_tokenizer())  # one token a byte


def task(name: str, **changes: Any) -> Task:
    small = {
        "textgen": {"prompt_tokens": 5, "max_new_tokens": 4},
        "dialogue": {},
        "translation": {"shots": 1},
        "sentiment": {},
    }
    return dataclasses.replace(SETTINGS.tasks[name], **{"examples": 2, **small[name], **changes})


def read(
    folder: Path, name: str, reader: str, task: Task = SETTINGS.tasks["translation"], **fields: str
) -> list[dict[str, Any]]:
    asset = Asset(name, "data", ("file:x",), reader=reader, fields=fields)
    return list(READERS[reader](folder, asset, task))
