"""`hf:` sources against a server that stands in for the hub; its client reads its address at import,
so that all cases run in one process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub_server import hub
from tests.tiny import tiny_model_folder

ROOT = Path(__file__).parent.parent
PROGRAM = """
import json, sys
from pathlib import Path
from pipeline.checks import PipelineError
from pipeline.fetch import finish_model
from pipeline.settings import Asset
from pipeline.sources import SOURCES

answers = {}
for case, (kind, source) in json.loads(sys.argv[1]).items():
    asset = Asset("a", kind, (source,), reader="records" if kind == "data" else "")
    folder = Path(case)
    folder.mkdir()
    try:
        SOURCES["hf"](asset, folder)
        if kind == "model":
            finish_model(asset, folder)
        answers[case] = sorted(str(p) for p in folder.rglob("*") if p.is_file() and ".cache" not in p.parts)
    except PipelineError as error:
        answers[case] = str(error)
print(json.dumps(answers))
"""
CASES = {
    "model": ("model", "hf:o/whole@main"),
    "data": ("data", "hf:o/rows@main"),
    "pickle": ("model", "hf:o/pickle@main"),
    "gated": ("model", "hf:o/gated@main"),
    "gone": ("model", "hf:o/gone@main"),
    "revision": ("model", "hf:o/whole@nowhere"),
    "name": ("model", "hf:not a name@main"),
    "data-gone": ("data", "hf:o/gone@main"),
    "data-revision": ("data", "hf:o/rows@nowhere"),
    "data-split": ("data", "hf:o/train-only@main"),
}


def run(cwd: Path, endpoint: str, cases: dict[str, tuple[str, str]]) -> dict[str, str | list[str]]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cwd / "home"),
        "PYTHONPATH": str(ROOT),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    environment.pop("HF_TOKEN", None)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(cases)],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | list[str]]:
    tmp_path = tmp_path_factory.mktemp("hub")
    folder = tiny_model_folder(tmp_path / "tiny")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    pickle = {name: data for name, data in files.items() if not name.endswith(".safetensors")}
    row = b'{"text": "one"}\n'
    repositories = {
        "models/o/whole": {**files, "model.py": b"x", "pytorch_model.bin": b"x", "onnx/x.json": b"{}"},
        "models/o/pickle": {**pickle, "pytorch_model.bin": b"x"},
        "models/o/gated": files,
        "datasets/o/rows": {"test.jsonl": row},
        "datasets/o/train-only": {"train.jsonl": row},
    }
    with hub(repositories, gated={"models/o/gated"}) as endpoint:
        return run(tmp_path, endpoint, CASES)


def test_a_model_comes_without_pickles_and_code(answers: dict[str, str | list[str]]) -> None:
    names = {Path(path).name for path in answers["model"]}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not names & {"model.py", "pytorch_model.bin", "x.json"}


def test_a_data_set_becomes_records(answers: dict[str, str | list[str]]) -> None:
    assert answers["data"] == ["data/records.jsonl"]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("pickle", ["lacks weights"]),
        ("gated", ["gated", "HF_TOKEN"]),
        ("gone", ["does not exist"]),
        ("revision", ["no revision nowhere"]),
        ("name", ["not a name"]),
        ("data-gone", ["o/gone"]),
        ("data-revision", ["nowhere"]),
        ("data-split", ["test"]),
    ],
)
def test_errors_are_one_clear_line(
    answers: dict[str, str | list[str]], case: str, words: list[str]
) -> None:
    message = answers[case]
    assert isinstance(message, str) and message.startswith("assets.a: "), message
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_no_network(tmp_path: Path) -> None:
    """Port 9 of this machine answers nobody."""
    message = run(tmp_path, "http://127.0.0.1:9", {"offline": ("model", "hf:o/whole@main")})["offline"]
    assert "o/whole could not be downloaded (no network" in message
