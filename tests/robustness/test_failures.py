"""Too little memory and examples that raise: all other texts are made, to the same bytes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from random_routing.errors import PipelineError
from random_routing.models.loading import load_model
from random_routing.models.memory import out_of_memory
from random_routing.runs import failures
from random_routing.runs.blocks import Ready, grouped, make_ready, units
from random_routing.runs.failures import run_despite_failures
from random_routing.runs.generation import run_units
from random_routing.runs.plan import Plan, Text
from random_routing.runs.processes import in_processes
from random_routing.runs.store import Store
from random_routing.scoring import judge
from tests.helpers.faulty_models import judged, load_poisoned
from tests.helpers.plans import plan
from tests.helpers.tiny import tiny_model_folder


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Plan, list[Text], Ready]:
    folder = tiny_model_folder(tmp_path / "model")
    made = plan(6, 2)
    texts = [text for job in made.jobs() for text in made.texts_of(job)]
    return folder, made, texts, make_ready(lambda: load_model(folder), made.prefix)


def bytes_of(found: dict[bytes, Any]) -> dict[bytes, tuple[bytes, bytes]]:
    return {key: (t.token_ids.tobytes(), t.logprobs.tobytes()) for key, t in found.items()}


def failing(monkeypatch: pytest.MonkeyPatch, fails: Any) -> list[tuple[int, int]]:
    """run_unit raises what `fails(texts, batch_size)` returns; the list gets the size of every attempt."""
    attempts: list[tuple[int, int]] = []
    real = failures.run_unit

    def run(ready: Any, texts: list[Text], on_step: Any, made: Plan, batch_size: int) -> Any:
        attempts.append((len(texts), batch_size))
        if error := fails(texts, batch_size):
            raise error
        return real(ready, texts, on_step, made, batch_size)

    monkeypatch.setattr(failures, "run_unit", run)
    return attempts


def test_a_batch_too_large_is_halved(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for 5 rows a call: 16 → 8 → 4, the same bytes, and the size that was needed is told."""
    _, made, texts, ready = case
    expected = run_despite_failures(ready, texts, lambda n: None, made, 16)
    lack = RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    )
    attempts = failing(monkeypatch, lambda texts, batch: lack if batch > 5 else None)
    found = run_despite_failures(ready, texts, lambda n: None, made, 16)
    assert bytes_of(found.found) == bytes_of(expected.found) and len(found.found) == len(texts)
    assert (found.batch_size, found.failed) == (4, {}) and {batch for _, batch in attempts} == {16, 8, 4}
    attempts.clear()
    again = run_despite_failures(
        ready, texts, lambda n: None, made, 16
    )  # the next unit begins with what sufficed
    assert attempts == [(len(texts), 4)] and bytes_of(again.found) == bytes_of(expected.found)


def test_the_texts_of_one_example_are_parted(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for the caches of two rows."""
    _, made, texts, ready = case
    one = [text for text in texts if text.example == made.examples[0]]
    expected = run_despite_failures(ready, one, lambda n: None, made, 16)
    attempts = failing(monkeypatch, lambda some, batch: MemoryError() if len(some) > 2 else None)
    found = run_despite_failures(ready, one, lambda n: None, made, 16)
    assert bytes_of(found.found) == bytes_of(expected.found) and not found.failed
    assert max(size for size, _ in attempts) == len(one) > 2


def test_an_example_that_raises_is_found(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, made, texts, ready = case
    poisoned = made.examples[3].id
    expected = run_despite_failures(ready, texts, lambda n: None, made, 16)
    failing(
        monkeypatch,
        lambda some, batch: next((IndexError("token\n7") for t in some if t.example.id == poisoned), None),
    )
    found = run_despite_failures(ready, texts, lambda n: None, made, 16)
    others = {t.key for t in texts if t.example.id != poisoned}
    assert bytes_of(found.found) == {k: v for k, v in bytes_of(expected.found).items() if k in others}
    assert found.failed == {poisoned: "IndexError: token 7"}


def test_bad_settings_are_not_tried_again(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, made, texts, ready = case
    attempts = failing(monkeypatch, lambda texts, batch: PipelineError("no such part"))
    with pytest.raises(PipelineError, match="no such part"):
        run_despite_failures(ready, texts, lambda n: None, made, 16)
    assert len(attempts) == 1


def test_never_fewer_than_two_rows(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two rows are too many, every example is named."""
    _, made, texts, ready = case
    attempts = failing(monkeypatch, lambda texts, batch: MemoryError())
    found = run_despite_failures(ready, texts, lambda n: None, made, 16)
    assert set(found.failed) == {example.id for example in made.examples} and not found.found
    assert min(batch for _, batch in attempts) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_the_run_ends_with_one_line_that_names_the_example(
    case: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """All others are in the store."""
    folder, made, texts, _ = case
    poisoned = made.examples[2].id
    store = Store(tmp_path / "rows.sqlite")
    with pytest.raises(PipelineError, match=f"1 examples could not be run: {poisoned} ") as error:
        run_units(
            partial(load_poisoned, folder, made.examples[2].prompt), made, units(grouped(texts), 8), store, 4,
            partial(in_processes, workers=workers),
        )  # fmt: skip
    assert "\n" not in str(error.value) and "poison" in str(error.value)
    there = store.present([text.key for text in texts])
    assert there == {text.key for text in texts if text.example.id != poisoned}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_an_error_of_the_model_is_not_blamed_on_examples(case: Any, tmp_path: Path, workers: int) -> None:
    """It meets all examples alike; one line names the model, and nothing is stored."""
    folder, made, texts, _ = case
    store = Store(tmp_path / "rows.sqlite")
    with pytest.raises(
        PipelineError, match=r"^data/assets/one: all \d examples that ran together fail alike"
    ) as error:
        run_units(
            partial(load_broken, folder), made, units(grouped(texts), 8), store, 4,
            partial(in_processes, workers=workers),
        )  # fmt: skip
    assert "TypeError: no such state" in str(error.value) and made.examples[0].id not in str(error.value)
    assert not store.present([text.key for text in texts])


def load_broken(folder: Path) -> Any:
    """A model whose steps fail, whatever the example."""
    model = load_model(folder)

    def step(*args: Any) -> Any:
        raise TypeError("no such state")

    object.__setattr__(model, "step", step)
    return model


def test_what_counts_as_too_little_memory() -> None:
    assert out_of_memory(MemoryError()) and out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not out_of_memory(RuntimeError("shape mismatch")) and not out_of_memory(ValueError("memory"))


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_unit_too_large_for_the_judge_is_halved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    folder, execute = tiny_model_folder(tmp_path / "model"), partial(in_processes, workers=workers)
    whole = judged(folder, Store(tmp_path / "whole.sqlite"), 99, partial(in_processes, workers=1))
    assert not capsys.readouterr().out
    assert judged(folder, Store(tmp_path / "halves.sqlite"), 3, execute) == whole
    assert "warning: not enough memory for batch_size 16; going on with" in capsys.readouterr().out


def test_the_judges_next_unit_begins_with_what_sufficed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for 5 rows a call: 16 → 8 → 4."""
    folder, execute = tiny_model_folder(tmp_path / "model"), partial(in_processes, workers=1)
    whole = judged(folder, Store(tmp_path / "whole.sqlite"), 99, execute)
    attempts: list[tuple[int, int]] = []
    real = judge.score_unit

    def score_unit(model: Any, unit: Any, on_step: Any, batch_size: int) -> Any:
        attempts.append((len(unit), batch_size))
        if batch_size > 5:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return real(model, unit, on_step, batch_size)

    monkeypatch.setattr(judge, "score_unit", score_unit)
    assert judged(folder, Store(tmp_path / "halves.sqlite"), 99, execute) == whole
    assert attempts == [(6, 16), (3, 8), (1, 4), (2, 4), (3, 4), (6, 4)]


def test_too_little_memory_for_one_text_of_the_judge(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    line = r"not enough memory for one text and 2 rows \(MemoryError: no room\)"
    with pytest.raises(PipelineError, match=line):
        judged(folder, Store(tmp_path / "rows.sqlite"), 0, partial(in_processes, workers=1))
