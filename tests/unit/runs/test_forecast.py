"""Before any work: how much it will be, and one line where disk or memory cannot hold it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file

from pipeline import evaluate, generate, tune
from random_routing.errors import PipelineError
from random_routing.law.cells import Decoder
from random_routing.runs import forecast, generation
from random_routing.runs.cost import machine
from random_routing.runs.store import Store
from random_routing.runs.tokenized import Example
from random_routing.settings import Base, Settings, load_settings
from tests.helpers.tiny import tiny_model_folder
from tests.helpers.workspace import inside, params, write_params


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_params(tmp_path, params() | {"device": "cpu", "batch_size": 256, "max_rows": 1024})
    return load_settings(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("bytes_", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 kB"), (2_767_000, "2.8 MB"), (64e9, "64 GB"),
     (3e15, "3,000.0 TB")],
)  # fmt: skip
def test_amounts(bytes_: float, said: str) -> None:
    assert forecast.amount(bytes_) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "5 s"), (119, "119 s"), (120, "2 min"), (7200, "2 hours"), (86_400 * 30, "30 days")],
)
def test_durations(seconds: float, said: str) -> None:
    assert forecast.duration(seconds) == said


# Two arrays of each layer and row: key/value heads × head size × tokens × bytes of a number.
ROWS = {
    "llama": 2 * 3 * 2 * 8 * 100 * 4,
    "gemma3": 2 * 3 * 2 * 8 * 100 * 4,
    "gpt2": 2 * 3 * 4 * 8 * 100 * 4,
    "opt": 2 * 3 * 4 * 8 * 100 * 4,
    "t5": 2 * 3 * 4 * 8 * 100 * 4,
    "marian": 2 * 3 * 4 * 8 * 100 * 4,
    "gemma3n": 2 * 3 * 2 * 8 * 100 * 4,  # of five layers two read the keys and values of others
    "gemma4": 2 * (8 + 16 + 8) * 2 * 100 * 4,  # the same, and heads of 16 in layers that see all
}


@pytest.mark.parametrize("arch", ROWS)
def test_memory_of_a_model(tmp_path: Path, arch: str) -> None:
    folder = tiny_model_folder(tmp_path, arch)
    stored = load_file(folder / "model.safetensors")
    assert forecast.weight_count(folder) == sum(tensor.numel() for tensor in stored.values())
    assert forecast.row_bytes(folder, 100, 4) == ROWS[arch]
    (folder / "model.safetensors").write_bytes(b"damaged" * 100)
    assert forecast.weight_count(folder) == 0, "loading it names it"


def test_a_disk_that_is_too_small(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10⁹ texts of 1,761 bytes or more; the store may also grow into the room that it has already."""
    store, task = Store(tmp_path / "rows.sqlite"), settings.tasks["textgen"]
    there = (tmp_path / "rows.sqlite").stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_761 * 10**9 - there))
    forecast.check_disk(task, 10**9, store)
    line = rf"^params\.yaml: tasks\.textgen: 1,000,000,001 texts need 1\.8 TB of disk or more, {tmp_path} has 1\.8 TB"
    with pytest.raises(PipelineError, match=line):
        forecast.check_disk(task, 10**9 + 1, store)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    forecast.check_disk(task, 1_000, store)  # so few are made until the disk is full, and kept


def test_a_memory_that_is_too_small(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two rows of 384 bytes a token are the least; more of them are a warning, as fewer are tried then."""
    folder = tiny_model_folder(tmp_path)
    weights, task = 4 * forecast.weight_count(folder), settings.tasks["textgen"]  # 8 new tokens
    row = 384 * (92 + 8)
    monkeypatch.setattr(forecast, "free_memory", lambda: weights + 10 * row)
    forecast.check_memory(settings, task, 92, folder, 10)
    assert capsys.readouterr().out == ""
    forecast.check_memory(settings, task, 92, folder, 11)
    said = capsys.readouterr().out
    assert said.startswith("model: warning: max_rows 1024 may take ") and said.endswith(
        "; 10 rows fit for sure\n"
    )
    monkeypatch.setattr(forecast, "free_memory", lambda: weights + 2 * row - 1)
    line = r"^params\.yaml: tasks\.textgen: model one with 1 worker\(s\) and texts of 8 tokens needs .* are free$"
    with pytest.raises(PipelineError, match=line):
        forecast.check_memory(settings, task, 92, folder, 2)
    with pytest.raises(PipelineError, match="2 worker"):
        forecast.check_memory(replace(settings, workers=2), task, 92, folder, 2)
    examples = [Example("a", (1,) * 92)]
    store = Store(tmp_path / "rows.sqlite")
    for elsewhere in ({"device": "cuda"}, {"executor": "ray"}):
        forecast.check_room(replace(settings, **elsewhere), task, examples, folder, 2, store)  # type: ignore[arg-type]


def test_free_memory_is_not_more_than_the_machine_has() -> None:
    assert 0 < forecast.free_memory() < 2**50


@pytest.mark.parametrize("stage", ["generate", "tune"])
def test_a_stage_says_it_before_work(work: Path, capsys: pytest.CaptureFixture[str], stage: str) -> None:
    """15 decoders × 4 examples; of a search at most 3 families × 4 trials × 2 examples; from the last speed on."""
    main = {"generate": generate.main, "tune": tune.main}[stage]
    texts = {"generate": 60, "tune": 24}[stage]
    write_params(work, params() | {"seed": 5})
    cost = {"stage": "generate", "texts": 1, "tokens": 600, "rows": 1, "seconds": 300.0, "peak_gib": 1.0,
            "stored_mib": 1.0, "dtype": "float32", "machine": machine()}  # fmt: skip
    with inside(work):
        Path("data/cost/generate-textgen.json").write_text(json.dumps(cost))
        capsys.readouterr()
        main(["textgen"])
        said = capsys.readouterr().out
        disk = texts * (1_740 + 8 * 39) / 1000
        assert (
            f"{stage}: textgen: to make: up to {texts} texts, {texts * 8} tokens, {disk:.0f} kB; "
            f"about {forecast.duration(texts * 4)} at the 2 tokens/s of the last run\n"
        ) in said
        if stage == "generate":
            main(["textgen"])
            assert "to make" not in capsys.readouterr().out


def test_evaluate_says_what_it_scores(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its cells' and people's texts, at the judge's own last speed."""
    cost = {"stage": "evaluate", "texts": 1, "tokens": 600, "rows": 1, "seconds": 300.0, "peak_gib": 1.0,
            "stored_mib": 1.0, "checked": 8, "dtype": "float32", "machine": machine()}  # fmt: skip
    with inside(work):
        Path("data/cost/evaluate-textgen.json").write_text(json.dumps(cost))
        cells = len(list(Path("data/generations/textgen").glob("*.parquet")))
        capsys.readouterr()
        evaluate.main(["textgen"])
        said = capsys.readouterr().out
        evaluate.main(["textgen"])
        assert "to score" not in capsys.readouterr().out, "all is there"
    texts = (cells + 1) * 4
    assert (
        f"evaluate: textgen: to score: up to {texts} texts, {texts * 8} tokens, "
        f"{forecast.amount(texts * (1_700 + 8 * 4))}; "
        f"about {forecast.duration(texts * 4)} at the 2 tokens/s of the last run\n"
    ) in said


@pytest.mark.parametrize("change", [{"dtype": "bfloat16"}, {"machine": "another"}])
def test_the_speed_of_another_machine_tells_nothing(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    with inside(tmp_path):
        forecast.say_texts("generate", settings, settings.tasks["textgen"], 5)
        Path("data/cost").mkdir(parents=True)
        cost = {"tokens": 10, "seconds": 1.0, "dtype": "float32", "machine": machine(), **change}
        Path("data/cost/generate-textgen.json").write_text(json.dumps(cost))
        forecast.say_texts("generate", settings, settings.tasks["textgen"], 5)
    assert re.findall("of the last run", capsys.readouterr().out) == []


def test_the_texts_that_are_looked_up_at_once_are_bounded() -> None:
    """However many samples and decoders there are: 10 jobs × 10,000 samples leave one example at a time."""
    asked: list[int] = []
    examples = tuple(Example(str(i), (i,)) for i in range(5))

    def texts(job: object, some: tuple[Example, ...], samples: int) -> list[object]:
        asked.append(len(some))
        return []

    jobs = [Decoder(Base(top_k=k)) for k in range(1, 11)]
    for samples, together in ((10_000, 1), (1_000, 6), (1, 64)):
        asked.clear()
        plan = SimpleNamespace(
            jobs=lambda: jobs, examples=examples * 20, texts=texts, task=SimpleNamespace(samples=samples)
        )
        store = SimpleNamespace(absent=lambda pairs: list(pairs))
        assert list(generation.missing_texts(plan, store)) == []  # type: ignore[arg-type]
        assert max(asked) == together
