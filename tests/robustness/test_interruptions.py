"""Killed at keyed moments, or run twice at once: the same bytes, and nothing finished is computed again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import LONG, ROOT
from tests.helpers.attempts import Counted, Held, Killed, Listed, Prepare, attempt, outputs, start
from tests.helpers.waiting import until
from tests.helpers.workspace import params, write_params

TASK = "textgen"
STAGES = ("generate", "evaluate", "tune")
WAITS = "another run is at work; waiting for it to finish"
UNITS = {"max_rows": 8}  # eight blocks and more
STORE = ("BEGIN", "INSERT", "COMMIT")
# What the kills of one workspace fall on, one after the other. Those after the last of the store meet a run that
# has nothing left to compute.
MOMENTS = {
    "generate": ["write", "BEGIN", "INSERT", "COMMIT", "os.rename", "os.remove", "os.mkdir"],
    "evaluate": ["write", "COMMIT", "os.remove"],
    "tune": ["INSERT", "COMMIT", "os.rename"],
}
if LONG:
    MOMENTS = {
        "generate": ["write", "BEGIN", "INSERT", "COMMIT", "INSERT", "COMMIT", "os.rename", "os.remove", "os.mkdir",
                     "os.rename", "os.rename"],
        "evaluate": ["write", "BEGIN", "INSERT", "COMMIT", "COMMIT", "os.rename", "os.remove"],
        "tune": ["write", "INSERT", "COMMIT", "BEGIN", "INSERT", "COMMIT", "write", "INSERT", "os.rename"],
    }  # fmt: skip


@pytest.fixture(scope="module")
def calm(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stage → a copy of an undisturbed workspace before it runs there, and "end"; the workspace's siblings
    `<stage>.keys` and `<stage>.kinds` say what it stored and how it wrote, `<stage>.again` how it wrote when all was
    there.
    """
    folder = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("calm") / "work"))
    write_params(folder, params() | UNITS)
    before = {}
    for stage in STAGES:
        before[stage] = Path(shutil.copytree(folder, folder.parent / stage / "work"))
        watched: list[Prepare] = [
            Counted(folder.parent / f"{stage}.keys"),
            Listed(folder.parent / f"{stage}.kinds"),
        ]
        assert attempt(folder, stage, TASK, first=watched).status == 0
        again = Listed(folder.parent / f"{stage}.again")
        assert attempt(folder, stage, TASK, first=[again]).status == 0
    return before | {"end": folder}


def check(work: Path, stored: Path, calm: dict[str, Path], stage: str) -> None:
    """As after the undisturbed run, and every value was stored once. stored: what `Counted` wrote."""
    after = calm[[*STAGES, "end"][STAGES.index(stage) + 1]]
    assert keys(stored) == keys(calm["end"].parent / f"{stage}.keys")
    assert set(keys(stored).values()) == {1}
    assert outputs(work) == outputs(after) != outputs(calm[stage])


def keys(path: Path) -> Counter[str]:
    return Counter(path.read_text().split())


def written(calm: dict[str, Path], stage: str, run: str = "kinds") -> list[str]:
    return (calm["end"].parent / f"{stage}.{run}").read_text().split()


def moments(calm: dict[str, Path], stage: str) -> Iterator[Killed]:
    """Keyed numbers of events that come in any case, after whatever the kills before have left undone."""
    first, again, kinds = written(calm, stage), written(calm, stage, "again"), MOMENTS[stage]
    early = first[: first.index("BEGIN")]  # before anything is computed
    left = 1.0  # the share that no run has stored yet
    for number, kind in enumerate(kinds):
        draw = random.Random(f"{stage} {number}").randrange
        if kind in STORE:
            nth = draw(max(1, int(first.count(kind) * left / 2)))
            left -= nth / first.count(kind)
        else:
            more = any(later in STORE for later in kinds[number:])
            nth = draw((early if more else again).count(kind))
        yield Killed(kind, nth)


@pytest.mark.parametrize("stage", [*STAGES[:2], pytest.param("tune", marks=pytest.mark.long)])
def test_killed_again_and_again(calm: dict[str, Path], tmp_path: Path, stage: str) -> None:
    """10 kills in two stages, 27 in all three in the long version: each value enters the store once, and the end is as
    if nothing had happened."""
    work, log = Path(shutil.copytree(calm[stage], tmp_path / "work")), tmp_path / "keys"
    for moment in moments(calm, stage):
        assert attempt(work, stage, TASK, first=[Counted(log), moment]).status == -signal.SIGKILL, moment
    last = attempt(work, stage, TASK, first=[Counted(log)])
    assert (last.status, last.errors) == (0, [])
    check(work, log, calm, stage)


def test_the_moments_are_all_there_are(calm: dict[str, Path]) -> None:
    """No kind of write of these stages is missing above."""
    assert {kind for stage in STAGES for kind in written(calm, stage)} == {
        kind for kinds in MOMENTS.values() for kind in kinds
    }


@pytest.fixture(scope="module")
def fetching(calm: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """How often a fetch writes in which way."""
    work = Path(shutil.copytree(calm["end"], tmp_path_factory.mktemp("fetching") / "work"))
    assert attempt(work, "fetch", "one", first=[Listed(work.parent / "kinds")]).status == 0
    return keys(work.parent / "kinds")


@pytest.mark.parametrize(("kind", "share"), [("os.rename", 0), ("os.rename", 1), ("write", 0.5)])
def test_killed_while_it_fetches(
    calm: dict[str, Path], fetching: Counter[str], tmp_path: Path, kind: str, share: float
) -> None:
    """Before the first file or folder is moved, before the last, and in the midst of its writes: nothing half is taken
    for an asset, and nothing stays beside it."""
    moment = Killed(kind, round(share * (fetching[kind] - 1)))
    work = Path(shutil.copytree(calm["end"], tmp_path / "work"))
    before = sorted(path.relative_to(work) for path in (work / "data/assets").rglob("*"))
    assert attempt(work, "fetch", "one", first=[moment]).status == -signal.SIGKILL
    assert len(list((work / "data/assets").glob(".one.*.tmp"))) == 1
    assert attempt(work, "fetch", "one").status == 0
    assert sorted(path.relative_to(work) for path in (work / "data/assets").rglob("*")) == before


@pytest.mark.parametrize(
    "stage", ["generate", *(pytest.param(stage, marks=pytest.mark.long) for stage in STAGES[1:])]
)
def test_two_at_once(calm: dict[str, Path], tmp_path: Path, stage: str) -> None:
    """The second waits, says so, and has nothing left to do. The first stores nothing before that."""
    work, log = Path(shutil.copytree(calm[stage], tmp_path / "work")), tmp_path / "keys"
    first: list[Prepare] = [Counted(log), Held(tmp_path, WAITS)]
    both = [start(work, stage, TASK, first=first) for _ in range(2)]
    assert [one.end().status for one in both] == [0, 0]
    assert sorted(WAITS in one.out for one in both) == [False, True]
    check(work, log, calm, stage)


SLOW = """\
from pathlib import Path
from pipeline import generate
from random_routing.runs.store import Store
from tests.helpers.attempts import Counted
from tests.helpers.waiting import until

def slow(store, items, put=Store.put):
    put(store, items)
    Path("begun").touch()
    until(Path("go on").exists)

Store.put = slow
Counted(Path("../keys"))()
generate.main(["textgen"])
"""


@pytest.mark.long
def test_two_dvc_and_the_first_is_killed_but_not_its_stage(calm: dict[str, Path], tmp_path: Path) -> None:
    """A second `dvc repro` says whom it would disturb; after the kill a third waits for the orphan's texts."""
    work = Path(shutil.copytree(calm["generate"], tmp_path / "work"))
    (work / "slow.py").write_text(SLOW)
    (work / "dvc.yaml").write_text(
        f"stages:\n  generate:\n    cmd: {sys.executable} slow.py\n    outs: [data/generations/{TASK}]\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def repro() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"], cwd=work, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    first = repro()
    until(lambda: (work / "begun").exists() or first.poll() is not None)
    assert first.poll() is None
    second = repro()
    said = second.communicate()[0]
    assert second.returncode != 0 and first.poll() is None
    assert "is busy, it is being blocked by" in said and "Traceback" not in said, said
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    third = repro()
    assert third.stdout is not None
    waits = next(line for line in third.stdout if line.startswith("generate:"))
    assert WAITS in waits
    (work / "go on").touch()
    said = third.communicate()[0]
    assert third.returncode == 0 and "all of them were there already" in said, said
    check(work, tmp_path / "keys", calm, "generate")
