"""A byte that changed on disk: seen before it is used, and only what it was in is made again."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from pipeline import evaluate, generate, prepare, summarize, tune
from random_routing.errors import PipelineError
from random_routing.files import read_json, read_jsonl
from random_routing.law.cells import all_cells
from random_routing.models.folder import load_tokenizer
from random_routing.models.loading import load_model
from random_routing.results.text_scores import read_scores
from random_routing.runs.cell_files import read_cell
from random_routing.runs.machine import on_this_machine
from random_routing.runs.make_plan import plan_task
from random_routing.runs.store import Store
from random_routing.scoring.embedding import Embedder
from random_routing.scoring.statistics_file import read_stats
from random_routing.settings import load_settings
from random_routing.sources.pypi import fetch_pypi
from tests.helpers import ROOT
from tests.helpers.attempts import outputs
from tests.helpers.damage import flipped
from tests.helpers.wheels import asset, wheel
from tests.helpers.workspace import inside, params, write_params

TASK = "textgen"


@pytest.fixture(scope="module")
def measured(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of one task where all stages have run."""
    folder = Path(shutil.copytree(finished, tmp_path_factory.mktemp("measured") / "work"))
    values = params()
    values["tasks"] = {TASK: values["tasks"][TASK]}
    write_params(folder, values)
    with inside(folder):
        evaluate.main([TASK])
        tune.main([TASK])
        summarize.main([])
    return folder


@pytest.fixture
def puts(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Keys that enter the store."""
    found: list[bytes] = []
    put = Store.put

    def watched(store: Store, items: dict[bytes, bytes]) -> None:
        put(store, items)
        found.extend(items)

    monkeypatch.setattr(Store, "put", watched)
    return found


def read_params(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "params.yaml").read_text())


@pytest.fixture
def work(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "work"))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (f"generations/{TASK}/routing-uniform-q0.1-l0.1.parquet", read_cell),
        (f"metrics/{TASK}.stats.parquet", read_stats),
        (f"metrics/{TASK}.texts.parquet", read_scores),
    ],
)
def test_a_damaged_parquet_file_is_named(work: Path, name: str, read: Callable[[Path], object]) -> None:
    """302 flips of a file: without its hash, one in seven of a cell's would change a text or number unseen."""
    path = work / "data" / name
    read(path)
    for place in flipped(path, 300):
        with pytest.raises(PipelineError) as error:
            read(path)
        assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value), place


@pytest.mark.parametrize("name", [f"prepared/{TASK}.jsonl", f"metrics/{TASK}.json", f"tune/{TASK}.json"])
def test_sealed_json_is_read_as_it_was_written_or_named(work: Path, name: str) -> None:
    """102 flips a file: a changed digit leaves JSON well formed, its seal tells."""
    read = read_jsonl if name.endswith("l") else read_json
    path, seen = work / "data" / name, 0
    whole = read(path)
    for place in flipped(path, 100):
        try:
            found = read(path)
        except PipelineError as error:
            seen += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
        else:  # white space, or the seal's own name
            plain = found if isinstance(found, list) else [found]
            for row, before in zip(plain, whole if isinstance(whole, list) else [whole], strict=True):
                assert {k: row[k] for k in before if k != "meta"} == {
                    k: v for k, v in before.items() if k != "meta"
                }, place
                assert before.get("meta", {}).items() <= row.get("meta", {}).items(), place
    assert seen > 90


def load_data(folder: Path) -> None:
    prepare.main([TASK])


@pytest.mark.parametrize(("asset", "load"), [("one", load_model), ("bert", Embedder), (TASK, load_data)])
def test_a_damaged_asset_is_named(work: Path, asset: str, load: Callable[[Path], object]) -> None:
    """12 flips in each file of a model, an embedder and a data set: weights, tokenizer, configuration, records."""
    with inside(work):
        folder = Path("data/assets") / asset
        for path in sorted(folder.iterdir()):
            for place in flipped(path, 10):
                if path.name == "asset.json":  # no more than a name or the source may differ there
                    with contextlib.suppress(PipelineError):
                        load(folder)
                    continue
                with pytest.raises(
                    PipelineError, match=rf"data/assets/{asset}/{path.name}: damaged"
                ) as error:
                    load(folder)
                    pytest.fail(f"{path} at {place}")
                assert "\n" not in str(error.value)
        load(folder)


def test_nothing_is_stored_of_a_damaged_model(work: Path, puts: list[bytes]) -> None:
    """Else its texts would be taken for those of the sound one for ever: keys hold the hashes of `asset.json`."""
    write_params(work, read_params(work) | {"seed": 5})
    with inside(work):
        for _ in flipped(Path("data/assets/one/model.safetensors"), 3):
            with pytest.raises(PipelineError, match=r"model\.safetensors: damaged"):
                generate.main([TASK])
        assert puts == []
        generate.main([TASK])
    assert puts


def test_a_damaged_value_of_the_store_alone_is_made_again(work: Path, puts: list[bytes]) -> None:
    """A bit in 12 of the stored texts (which several keys may hold): those alone are computed, to the same bytes."""
    path, expected = work / ".dvc/cache/rows/rows.sqlite", outputs(work)
    with sqlite3.connect(path) as database:
        values = [value for (value,) in database.execute("SELECT value FROM items ORDER BY key")]
    data, key = bytearray(path.read_bytes()), random.Random(12)
    texts = [value for value in values if value.startswith(b"PK") and value in data]  # of numpy
    with inside(work):
        tokenizer = load_tokenizer("data/assets/one")
        task = load_settings().tasks[TASK]
        settings = on_this_machine(load_settings(), task)
        plan = plan_task(settings, task, all_cells(settings, task), Path("data/assets/one"), tokenizer)
        with contextlib.closing(Store(path)) as store:
            own = store.get([text.key for job in plan.jobs() for text in plan.texts_of(job)])
        texts = sorted(set(own.values()) & set(texts))[:12]
        assert len(texts) == 12
        for (
            value
        ) in texts:  # it may lie in two pieces: damage its end; pages that were split keep old copies
            damaged, place = bytearray(value[-300:]), key.randrange(300)
            damaged[place] ^= 1 << key.randrange(8)
            data = data.replace(value[-300:], damaged)
        path.write_bytes(data)
        generate.main([TASK])
        assert sorted(puts) == sorted(k for k, value in own.items() if value in texts)
        evaluate.main([TASK])
    assert outputs(work) == expected


STAGES = [f"{stage}@{TASK}" for stage in ("fetch", "prepare", "generate", "evaluate", "tune")] + [
    "fetch@one"
]


def test_dvc_makes_again_what_was_damaged_and_that_alone(work: Path) -> None:
    """`dvc status` after a flipped bit: the stage whose file it is, and its readers, which get the same bytes."""
    for name in ("pipeline", "random_routing"):
        shutil.copytree(ROOT / name, work / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", work)
    (work / "data/params.checked").write_text("params.yaml is well formed\n")
    (work / "data/hypotheses.json").write_text("{}")
    owners = {
        "data/assets/one/model.safetensors": "fetch@one",
        f"data/prepared/{TASK}.jsonl": f"prepare@{TASK}",
        f"data/generations/{TASK}/greedy.parquet": f"generate@{TASK}",
        f"data/metrics/{TASK}.json": f"evaluate@{TASK}",
        f"data/tune/{TASK}.json": f"tune@{TASK}",
    }
    with inside(work), Repo() as repo:
        for name in STAGES:
            repo.commit(name, force=True)
        assert repo.status(STAGES) == {}
        for name, owner in owners.items():
            data = Path(name).read_bytes()
            Path(name).write_bytes(data[:90] + bytes([data[90] ^ 1]) + data[91:])
            changes = {
                stage: [c for c in found if isinstance(c, dict)]
                for stage, found in repo.status(STAGES).items()
            }
            assert [s for s, found in changes.items() if any("changed outs" in c for c in found)] == [owner]
            Path(name).write_bytes(data)
        assert repo.status(STAGES) == {}


def test_a_damaged_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four flips: pip compares the hash before anything is unpacked."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    path, digest = wheel(tmp_path / "index", "toy", {"toy/a.txt": os.urandom(5000)})
    for number, _ in enumerate(flipped(path, 2)):
        (target := tmp_path / str(number) / "target").mkdir(parents=True)
        with pytest.raises(PipelineError, match=r"^assets\.toy: ") as error:
            fetch_pypi(asset("toy/*", sha256=(digest,)), target)
        assert "\n" not in str(error.value) and not list(target.iterdir())
