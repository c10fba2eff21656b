"""A stage makes some of what it has computed again, and stops where the bits differ."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import evaluate, generate, tune
from random_routing.errors import PipelineError
from random_routing.files import read_json
from random_routing.runs import blocks
from random_routing.runs.cost import path
from random_routing.runs.recheck import Sample, recheck
from random_routing.runs.store import Store
from random_routing.scoring import judge
from tests.helpers.workspace import inside


def keyed(*numbers: int) -> list[tuple[bytes, int]]:
    return [(bytes([number]), number) for number in numbers]


def test_the_choice_depends_on_the_keys_alone() -> None:
    one, other = Sample[int](), Sample[int]()
    one.add(keyed(*range(50, 100)))
    one.add(keyed(*range(50)))
    other.add(keyed(*reversed(range(100))))
    assert one.chosen() == other.chosen() == list(range(8))  # at least 8


def test_one_in_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Sample[int]()
    sample.add((number.to_bytes(2, "big"), number) for number in range(2500))
    assert sample.chosen() == list(range(25))
    merged = Sample[int]()
    merged.add([(b"\xff\xff", -1)])
    merged.merge(sample)
    assert merged.seen == 2501 and merged.chosen() == list(range(25))
    monkeypatch.setattr("random_routing.runs.recheck.MOST", 5)
    sample.add([])
    assert sample.chosen() == list(range(5)) and sample.seen == 2500


def test_lots_are_of_one_kind_and_end_in_time() -> None:
    sample = Sample[int]()
    sample.add((number.to_bytes(2, "big"), number) for number in range(1600))
    lots = list(sample.lots(lambda number: number % 2))
    assert lots == [[0, 2, 4, 6, 8, 10, 12, 14], [1, 3, 5, 7, 9, 11, 13, 15]]
    assert list(sample.lots(lambda number: number % 2, seconds=0.0)) == lots[:1], "the first lot always"


def test_values_that_differ_are_taken_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "rows.sqlite")
    store.put({b"a": b"1", b"b": b"2", b"c": b"3"})
    assert recheck("generate", store, [{b"a": b"1"}, {b"b": b"2"}]) == 2
    with pytest.raises(
        PipelineError, match=r"^generate: 1 of 3 values had other bits when they were made again: "
    ):
        recheck("generate", store, [{b"a": b"1", b"b": b"0"}, {b"c": b"3"}])
    assert store.present([b"a", b"b", b"c"]) == {b"a", b"c"}


def test_stages_notice_a_model_that_does_not_compute_alike_twice(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last digit of one log-probability, at the second call for a text."""
    folder, made = Path(shutil.copytree(fresh, tmp_path / "work")), set[Any]()
    real_block, real_unit = blocks.run_block, judge.score_unit

    def block(ready: Any, plan: Any, texts: Any, *more: Any, **options: Any) -> Any:
        found, work = real_block(ready, plan, texts, *more, **options)
        for key, trajectory in found.items():
            if key in made:
                last = trajectory.model_logprobs
                last[0] = np.nextafter(last[0], np.float32(-np.inf))
        made.update(found)
        return found, work

    def unit(model: Any, pairs: Any, *more: Any, **options: Any) -> Any:
        found, work = real_unit(model, pairs, *more, **options)
        for pair in found:
            if pair in made:
                found[pair] = np.nextafter(found[pair], np.float32(0))
        made.update(found)
        return found, work

    with inside(folder):
        with monkeypatch.context() as broken:
            broken.setattr(blocks, "run_block", block)
            with pytest.raises(PipelineError, match=r"^generate textgen: 8 of 8 values had other bits"):
                generate.main(["textgen"])
        generate.main(["textgen"])  # what was taken back is made, and looked at, once more
        assert read_json(path("generate", "textgen"))["texts"] == 8
        assert read_json(path("generate", "textgen"))["checked"] == 8
        made.clear()
        with monkeypatch.context() as broken:
            broken.setattr(judge, "score_unit", unit)
            with pytest.raises(PipelineError, match=r"^evaluate textgen: 8 of 20 values had other bits"):
                evaluate.main(["textgen"])
        evaluate.main(["textgen"])
        assert read_json(path("evaluate", "textgen"))["checked"] >= 8
        tune.main(["textgen"])
        assert read_json(path("tune", "textgen"))["checked"] >= 8
