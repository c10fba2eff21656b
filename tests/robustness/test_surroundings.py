"""Other locales, time zones, clocks, paths and encodings: the same bytes, or one clear line."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import fetch, prepare
from random_routing.errors import PipelineError
from random_routing.files import read_jsonl
from tests.helpers import LONG, ROOT
from tests.helpers.attempts import Clock, attempt, outputs
from tests.helpers.workspace import inside, make_workspace, params, write_params

TASK = "textgen"
STAGES = ("prepare", "generate", "evaluate", "tune")
CHAIN = f"""\
import sys
from pathlib import Path
from pipeline import evaluate, generate, plot, prepare, stage, summarize, tune
for module in (prepare, generate, evaluate, tune):
    sys.argv = [module.__name__, {TASK!r}]
    stage.run(module.main)
sys.argv = ["all"]
stage.run(summarize.main)
for cost in Path("data/cost").iterdir():
    cost.write_text("null")  # seconds, which the page names
stage.run(plot.main)
"""


def small(folder: Path) -> Path:
    """A project of one task, whose texts are not all ASCII."""
    make_workspace(folder, fetched=False)
    values = params()
    values["tasks"] = {TASK: values["tasks"][TASK]}
    values["grid"] = {"q": [0, 0.1], "lambda": [0, 0.1] if LONG else [0]}
    values["baselines"] |= {"temperature": [0.7]}
    values["tune"] |= {"trials": 2}
    values["variants"] = {
        name: values["variants"][name] for name in ("uniform", "plausible")[: 2 if LONG else 1]
    }
    write_params(folder, values)
    rows = [{"text": f"{i} Straße, İstanbul ıI, naïve “quotes” — größer " * 4} for i in range(20)]
    write(folder / f"{TASK}.jsonl", jsonl(rows))
    with inside(folder):
        for asset in ("one", "two", "bert", TASK):
            fetch.main([asset])
    return folder


def write(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.write_bytes(text.encode(encoding))


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("project") / "work")


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """All stages in a process of a clean environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", CHAIN], cwd=folder, capture_output=True, text=True, encoding="utf-8", errors="replace",
        env={**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an ordinary run makes."""
    work = Path(shutil.copytree(project, tmp_path_factory.mktemp("plain") / "work"))
    ended = run(work, LC_ALL="C.UTF-8", TZ="UTC")
    assert ended.returncode == 0, ended.stderr
    made = outputs(work)
    assert {"reports/cells.csv", "reports/index.html", f"data/tune/{TASK}.json"} <= set(made)
    return made


@pytest.mark.parametrize("case", ["ascii", pytest.param("turkish", marks=pytest.mark.long)])
def test_locale_and_time_zone(project: Path, plain: dict[str, bytes], tmp_path: Path, case: str) -> None:
    """All stages where Python takes text for ASCII, and where an upper-case i has a dot; another hash seed too."""
    work = Path(shutil.copytree(project, tmp_path / "work"))
    if case == "ascii":
        environment = {
            "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:backslashreplace",
            "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1",
        }  # fmt: skip
    else:
        made = ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(tmp_path / "tr_TR.UTF-8")]
        if not shutil.which("localedef") or subprocess.run(made, capture_output=True).returncode > 1:
            pytest.skip("localedef cannot make the Turkish locale here")
        environment = {
            "LC_ALL": "tr_TR.UTF-8", "LOCPATH": str(tmp_path), "TZ": "America/St_Johns", "PYTHONHASHSEED": "2",
        }  # fmt: skip
    ended = run(work, **environment)
    assert ended.returncode == 0, ended.stderr
    assert_same(outputs(work), plain)


def assert_same(found: dict[str, bytes], plain: dict[str, bytes]) -> None:
    assert sorted(found) == sorted(plain)
    assert [name for name in plain if found[name] != plain[name]] == []


@pytest.mark.long
@pytest.mark.parametrize("clock", [4.1e9, 0.0])
def test_clock(project: Path, plain: dict[str, bytes], tmp_path: Path, clock: float) -> None:
    """The clock stands at 1970, or after 2099."""
    work = Path(shutil.copytree(project, tmp_path / "work"))
    for stage in STAGES:
        assert attempt(work, stage, TASK, first=[Clock(clock)]).status == 0
    found = outputs(work)
    assert_same(found, {name: plain[name] for name in found})
    assert f"data/tune/{TASK}.json" in found


@pytest.mark.parametrize(
    "name", ["with space, ünïcode 漢字", pytest.param("a link", marks=pytest.mark.long)]
)
def test_paths(project: Path, plain: dict[str, bytes], tmp_path: Path, name: str) -> None:
    """A checkout in a folder of any name, and one that is reached through a link."""
    work = Path(shutil.copytree(project, tmp_path / ("real" if name == "a link" else name) / "work"))
    if name == "a link":
        (tmp_path / name).mkdir()
        (tmp_path / name / "work").symlink_to(work)
        work = tmp_path / name / "work"
    for stage in STAGES[:3]:
        ended = attempt(work, stage, TASK)
        assert ended.status == 0, ended.errors
    found = outputs(work)
    assert_same(found, {name: plain[name] for name in found})
    assert f"data/metrics/{TASK}.json" in found


TEXTS = [f"{i} Straße, naïve “quotes” — größer " * 6 for i in range(12)]


def as_csv(end: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end)
    writer.writerows([["text", "n"], *([text, str(i)] for i, text in enumerate(TEXTS))])
    return out.getvalue()


FORMS = {
    "jsonl": lambda end: "".join(json.dumps({"text": t}, ensure_ascii=False) + end for t in TEXTS),
    "csv": as_csv,
    "txt": lambda end: "".join(t + end for t in TEXTS),
}


def prepared(folder: Path, ending: str, data: bytes) -> bytes:
    """The prepared rows of a data set with those bytes."""
    values = params()
    values["tasks"] = {TASK: values["tasks"][TASK]}
    values["assets"][TASK]["source"] = f"file:own data.{ending}"
    values["tasks"][TASK]["examples"] = len(TEXTS)
    write_params(folder, values)
    (folder / f"own data.{ending}").write_bytes(data)
    with inside(folder):
        fetch.main([TASK])
        prepare.main([TASK])
    return (folder / f"data/prepared/{TASK}.jsonl").read_bytes()


@pytest.mark.parametrize("ending", FORMS)
def test_line_ends_and_byte_order_marks(project: Path, tmp_path: Path, ending: str) -> None:
    """Of Windows or not, marked or not: the same prompts and references."""
    work = Path(shutil.copytree(project, tmp_path / "work"))
    form = FORMS[ending]
    expected = prepared(work, ending, form("\n").encode())
    assert len(read_jsonl(work / f"data/prepared/{TASK}.jsonl")) == len(TEXTS)
    assert prepared(work, ending, form("\r\n").encode()) == expected
    assert prepared(work, ending, form("\n").encode("utf-8-sig")) == expected
    assert prepared(work, ending, form("\r\n").encode("utf-8-sig")) == expected


@pytest.mark.parametrize("ending", FORMS)
@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_named(project: Path, tmp_path: Path, ending: str, encoding: str) -> None:
    """One line that names the asset and its file; what was fetched before stays."""
    work = Path(shutil.copytree(project, tmp_path / "work"))
    before = (work / f"data/assets/{TASK}/asset.json").read_bytes()
    data = FORMS[ending]("\n").replace("—", "-").replace("“", "'").replace("”", "'").encode(encoding)
    with pytest.raises(PipelineError, match=rf"assets\.{TASK}: own data\.{ending} cannot be read") as error:
        prepared(work, ending, data)
    assert "\n" not in str(error.value)
    assert (work / f"data/assets/{TASK}/asset.json").read_bytes() == before
