"""The Ray executor on real Ray, two nodes on this machine: the same bytes, also when workers and nodes are lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline import evaluate, generate
from random_routing.errors import PipelineError, SettingsError
from random_routing.runs import executors, ray_workers
from random_routing.runs.blocks import grouped, units
from random_routing.runs.generation import run_units
from random_routing.runs.processes import in_processes
from random_routing.runs.ray_workers import on_ray
from random_routing.runs.store import Store
from random_routing.scoring import add_scores
from random_routing.settings import Cluster, parse_settings
from tests.helpers import LONG, ROOT
from tests.helpers.faulty_models import judged, load_poisoned
from tests.helpers.plans import plan
from tests.helpers.ray_nodes import at, needs_ray, nodes_of
from tests.helpers.ray_units import deadly, die, load
from tests.helpers.tiny import tiny_model_folder
from tests.helpers.waiting import LAST_RESORT
from tests.helpers.workspace import columns, inside, params, write_params

DEATHS = ray_workers.MOST_DEATHS if LONG else 2  # each is followed by the start of a worker


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    """Of one CPU each."""
    with nodes_of(1, 1) as nodes:
        yield nodes


@needs_ray
@pytest.mark.parametrize("task", ["translation", pytest.param("textgen", marks=pytest.mark.long)])
def test_the_same_bytes_on_two_nodes(finished: Path, work: Path, two_nodes: Any, task: str) -> None:
    """The whole stage, in small blocks, on an empty store; beams too, which translation has."""
    for path in [*(work / ".dvc/cache/rows").glob("rows*"), *(work / "data/generations").glob("*/*")]:
        path.unlink()
    values = params() | {"executor": "ray", "max_rows": 20, "batch_size": 3}
    values["ray"] |= {"address": two_nodes.address, "workers": 2}
    if not LONG:
        values["grid"] = {"q": [0.1], "lambda": [0, 0.1]}
    write_params(work, values)
    with inside(work):
        generate.main([task])
    expected, found = columns(finished), columns(work)
    count = 3 * (6 if LONG else 2) + (5 if task == "translation" else 4)
    assert len(found) == count and found == {name: expected[name] for name in found}
    assert all(name.startswith(f"{task}/") for name in found)


@pytest.mark.long
@needs_ray
def test_the_same_scores_on_two_nodes(work: Path, two_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the judge, in small units."""
    found = [work / f"data/metrics/textgen.{kind}" for kind in ("json", "stats.parquet")]
    with inside(work):
        evaluate.main(["textgen"])
    before = [path.read_bytes() for path in found]
    for path in [*(work / ".dvc/cache/rows").glob("rows*"), *found]:
        path.unlink()
    values = params() | {"executor": "ray", "max_rows": 7, "batch_size": 3}
    values["ray"] |= {"address": two_nodes.address, "workers": 2}
    write_params(work, values)
    for module in (add_scores, executors):  # nothing of it runs here
        monkeypatch.setattr(module, "in_processes", None)
    with inside(work):
        evaluate.main(["textgen"])
    assert [path.read_bytes() for path in found] == before


@pytest.mark.long
@needs_ray
def test_too_little_memory_for_the_judge(
    tmp_path: Path, two_nodes: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, executors = tiny_model_folder(tmp_path / "model"), partial(on_ray, cluster=at(two_nodes))
    whole = judged(folder, Store(tmp_path / "whole.sqlite"), 99, partial(in_processes, workers=1))
    assert judged(folder, Store(tmp_path / "halves.sqlite"), 3, executors) == whole
    assert "warning: not enough memory for batch_size 16; going on with" in capsys.readouterr().out


@needs_ray
@pytest.mark.long
def test_a_poisoned_prompt_is_named_and_all_others_are_made(tmp_path: Path, two_nodes: Any) -> None:
    folder, made = tiny_model_folder(tmp_path / "model"), plan(6, 2)
    texts = [text for job in made.jobs() for text in made.texts_of(job)]
    poisoned, store = made.examples[2], Store(tmp_path / "rows.sqlite")
    with pytest.raises(PipelineError, match=f"1 examples could not be run: {poisoned.id} .*poison"):
        run_units(
            partial(load_poisoned, folder, poisoned.prompt), made, units(grouped(texts), 8), store, 4,
            partial(on_ray, cluster=at(two_nodes)),
        )  # fmt: skip
    there = store.present([text.key for text in texts])
    assert there == {text.key for text in texts if text.example != poisoned}


@needs_ray
def test_a_unit_that_kills_its_workers_ends_the_run(
    two_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "MOST_DEATHS", DEATHS)
    kept = []
    with pytest.raises(PipelineError, match=f"has cost {DEATHS} workers") as error:
        for value in on_ray(load, deadly, [0, 1, 2, 4, 3], lambda n: None, at(two_nodes)):
            kept.append(value)
    assert sorted(kept) == [0, 1, 2, 4] and "\n" not in str(error.value)


@pytest.mark.long
@needs_ray
def test_workers_that_die_while_they_load_end_the_run(
    two_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "MOST_DEATHS", DEATHS)
    said = f"{DEATHS} workers in a row were lost while they loaded the model"
    with pytest.raises(PipelineError, match=said):
        list(on_ray(die, deadly, [1], lambda n: None, at(two_nodes)))


@needs_ray
def test_what_the_cluster_cannot_give(two_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_workers, "PATIENCE", 3.0)
    large = Cluster(two_nodes.address, 1, 7, 0)
    with pytest.raises(
        PipelineError,
        match=r"no worker has answered in 3 s: one needs 7 CPUs and 0 GPUs, the cluster has 2 and 0",
    ):
        list(on_ray(load, deadly, [1], lambda n: None, large))


@pytest.mark.long
@needs_ray
def test_ray_started_on_this_machine(work: Path) -> None:
    """As a user runs it; in a process of its own."""
    for path in (work / ".dvc/cache/rows").glob("rows*"):
        path.unlink()
    before = columns(work)
    write_params(work, params() | {"executor": "ray"})
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.generate", "dialogue"], cwd=work, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"computed 15 decoders, 60 texts", done.stdout) and columns(work) == before


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:9", "no-such-host.invalid:6379"])
def test_no_ray_at_the_address(address: str) -> None:
    with pytest.raises(PipelineError, match=f"ray.address = '{address}': no Ray there") as error:
        list(on_ray(load, deadly, [1], lambda n: None, Cluster(address, 1, 1, 0)))
    assert "\n" not in str(error.value)


@needs_ray
def test_a_node_that_does_not_start_in_time_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def init(**options: Any) -> None:
        raise Exception("The current node timed out during startup.\nSee the logs.")  # its own words

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(PipelineError, match=r"ray.address = 'local': no Ray there \(The current") as error:
        list(on_ray(load, deadly, [1], lambda n: None, Cluster("", 1, 1, 0)))
    assert "\n" not in str(error.value)


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        PipelineError, match=r"Ray is not installed; pip install -r requirements-scale\.txt"
    ):
        list(on_ray(load, deadly, [1], lambda n: None, Cluster("", 1, 1, 0)))


WRONG = [
    ({"address": "here"}, "ray.address = 'here': must be local"),
    ({"address": "host:99999"}, "ray.address = 'host:99999'"),
    ({"workers": 0}, "ray.workers = 0"),
    ({"cpus_per_worker": 0.5}, "ray.cpus_per_worker = 0.5"),
    ({"gpus_per_worker": 1.5}, "ray.gpus_per_worker = 1.5: above 1 it must be a whole number"),
    ({"gpus": 1}, "ray.gpus = 1: unknown key"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=str)
def test_wrong_values_are_named(change: dict[str, Any], message: str) -> None:
    values = params()
    values["ray"] |= change
    with pytest.raises(SettingsError) as error:
        parse_settings(values)
    assert message in str(error.value)


CTRL_C = """\
import sys
from pathlib import Path
from functools import partial
from pipeline import stage
from random_routing import interrupt
from random_routing.runs.ray_workers import on_ray
from random_routing.settings import Cluster
from tests.helpers.ray_units import load, waits

def main(argv):
    for _ in on_ray(load, partial(waits, folder=Path(argv[1])), [1, 2], print_once, Cluster(argv[0], 2, 1, 0)):
        print("went on")

def print_once(steps):
    print("begun", flush=True)

interrupt.listen()
stage.run(main)
"""


@needs_ray
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(15, 143, "stopped"), pytest.param(2, 130, "interrupted", marks=pytest.mark.long)],
)
def test_ended_while_ray_works(tmp_path: Path, two_nodes: Any, number: int, status: int, word: str) -> None:
    """Ray sets handlers of its own; a stage ends with its one line, and the cluster can be used again."""
    (tmp_path / "stage.py").write_text(CTRL_C)
    process = subprocess.Popen(
        [sys.executable, "stage.py", two_nodes.address, str(tmp_path)], cwd=tmp_path, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(number)
    out, errors = process.communicate(timeout=LAST_RESORT)
    assert (process.returncode, errors.splitlines()[-1]) == (status, f"{word}; what is finished is kept")
    assert "went on" not in out and "Traceback" not in errors
    assert list(on_ray(load, deadly, [1], lambda n: None, at(two_nodes, 1))) == [1]
