"""Event files of TensorBoard, read back with its own reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from random_routing.runs.tensorboard import events
from random_routing.settings import parse_settings
from tests.helpers import synthetic
from tests.helpers.tensorboard import scalars


def test_nothing_is_written_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with events(parse_settings(synthetic.raw_params()), "generate", "textgen") as log:
        log("tokens_per_second", 1.0, 1)
    assert not list(tmp_path.iterdir())


def test_numbers_read_back_and_a_new_run_takes_the_place_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = parse_settings(synthetic.raw_params() | {"tensorboard": True})
    for values in ([5.0, 6.0], [7.0]):
        with events(settings, "generate", "textgen") as log:
            for step, value in enumerate(values):
                log("tokens_per_second", value, step)
    assert scalars(Path("reports/tensorboard/generate-textgen")) == {"tokens_per_second": [(0, 7.0)]}
