"""`hf:` sources against a server that stands in for the hub; its client reads its address at import,
so that all cases run in one process of their own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from random_routing.errors import PipelineError
from random_routing.files import read_jsonl
from random_routing.models.loading import load_model
from tests.helpers import ROOT
from tests.helpers.hostile import Marker
from tests.helpers.hub_server import PATIENT, Faults, hub
from tests.helpers.tiny import tiny_model_folder

PROGRAM = """
import json, shutil, sys
from pathlib import Path
from random_routing.errors import PipelineError
from pipeline.fetch import finish_model
from random_routing.settings import Asset
from random_routing.sources import SOURCES

answers = {}
for case, (kind, source, *more) in json.loads(sys.argv[1]).items():
    asset = Asset("a", kind, (source,), reader="records" if kind == "data" else "", **dict(*more))
    folder = Path(case)
    shutil.rmtree(folder, ignore_errors=True)
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
    "csv": ("data", "hf:o/table@main"),
    "broken": ("data", "hf:o/broken@main"),
    "dates": ("data", "hf:o/dates@main"),
    "data": ("data", "hf:o/rows@main"),
    "pickle": ("model", "hf:o/pickle@main"),
    "gated": ("model", "hf:o/gated@main"),
    "gone": ("model", "hf:o/gone@main"),
    "revision": ("model", "hf:o/whole@nowhere"),
    "name": ("model", "hf:not a name@main"),
    "data-gone": ("data", "hf:o/gone@main"),
    "data-revision": ("data", "hf:o/rows@nowhere"),
    "data-split": ("data", "hf:o/train-only@main"),
    "data-gated": ("data", "hf:o/gated-rows@main"),
    "data-config": ("data", "hf:o/two@main", {"config": "b", "split": "train"}),
    "data-config-left-out": ("data", "hf:o/two@main", {"split": "train"}),
    "data-config-gone": ("data", "hf:o/two@main", {"config": "c", "split": "train"}),
    "data-script": ("data", "hf:o/script@main"),
    "code": ("model", "hf:o/code@main"),
    "no-safetensors": ("model", "hf:o/disguised@main"),
    "shard-gone": ("model", "hf:o/shards@main"),
}
Cases = Mapping[str, tuple[Any, ...]]


def run(cwd: Path, endpoint: str, cases: Cases, **variables: str) -> dict[str, str | list[str]]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cwd / "home"),
        "PYTHONPATH": str(ROOT),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **PATIENT,
        **variables,
    }
    environment.pop("HF_TOKEN", None)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(cases)],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stderr == ""  # no bars, no lines of the libraries: what is wrong is our one line
    return json.loads(result.stdout.splitlines()[-1])


def texts_of(folder: Path) -> list[str]:
    return [row["text"] for row in read_jsonl(folder / "records.jsonl")]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | list[str]]:
    tmp_path = tmp_path_factory.mktemp("hub")
    folder = tiny_model_folder(tmp_path / "tiny")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    pickle = {name: data for name, data in files.items() if not name.endswith(".safetensors")}
    row = b'{"text": "one"}\n'
    mark = f"open({str(tmp_path / 'executed')!r}, 'w')\n".encode()
    of_its_own = {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"},
    }
    index = {
        "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    }
    shards = {n: d for n, d in files.items() if n != "model.safetensors"}
    shards["model-00001-of-00002.safetensors"] = files["model.safetensors"]
    two = "configs:\n- {config_name: a, data_files: a.jsonl}\n- {config_name: b, data_files: b.jsonl}"
    repositories = {
        "models/o/whole": {**files, "model.py": b"x", "pytorch_model.bin": b"x", "onnx/x.json": b"{}"},
        "models/o/pickle": {**pickle, "pytorch_model.bin": b"x"},
        "models/o/gated": files,
        "datasets/o/table": {"test.csv": b"text,n\nNone,1\n007,\nn/a,x\n"},
        "datasets/o/broken": {"test.jsonl": row + b'{"te\n'},
        "datasets/o/dates": {"test.jsonl": b'{"text": "a", "at": "2024-05-01T10:00:00Z"}\n'},
        "datasets/o/rows": {"test.jsonl": row},
        "datasets/o/train-only": {"train.jsonl": row},
        "datasets/o/gated-rows": {"test.jsonl": row},
        "datasets/o/two": {"README.md": f"---\n{two}\n---\n".encode(), "a.jsonl": row, "b.jsonl": row * 2},
        "datasets/o/script": {"script.py": mark, "test.jsonl": row},
        "models/o/code": {**files, "config.json": json.dumps(of_its_own).encode(), "own.py": mark},
        "models/o/disguised": {**files, "model.safetensors": Marker.pickled(tmp_path / "executed")},
        "models/o/shards": {**shards, "model.safetensors.index.json": json.dumps(index).encode()},
    }
    with hub(repositories, gated={"models/o/gated", "datasets/o/gated-rows"}) as endpoint:
        found = run(tmp_path, endpoint, CASES)
    assert not (tmp_path / "executed").exists()  # by no pickle, script or model code
    found["records"] = (tmp_path / "data-config/records.jsonl").read_text()
    found |= {f"{case} texts": texts_of(tmp_path / case) for case in ("csv", "dates")}
    if isinstance(found["code"], list):  # the files came without the code, and are of no use without it
        found["files"] = found["code"]
        with pytest.raises(PipelineError) as refused:
            load_model(tmp_path / "code")
        found["code"] = f"assets.a: {refused.value}"
    assert not (tmp_path / "executed").exists()
    return found


def test_a_model_comes_without_pickles_and_code(answers: dict[str, str | list[str]]) -> None:
    names = {Path(path).name for path in answers["model"]}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not names & {"model.py", "pytorch_model.bin", "x.json"}


def test_a_data_set_becomes_records(answers: dict[str, str | list[str]]) -> None:
    assert answers["data"] == ["data/records.jsonl"]


def test_texts_of_a_data_set_stay_texts(answers: dict[str, str | list[str]]) -> None:
    """In CSV, whose reader guesses; a date in another column does not matter."""
    assert answers["csv texts"] == ["None", "007", "n/a"] and answers["dates texts"] == ["a"]


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
        ("data-gated", ["gated", "HF_TOKEN"]),
        ("data-config-left-out", ["a", "b", "config"]),
        ("data-config-gone", ["c", "a", "b"]),
        ("data-script", ["script"]),
        ("broken", ["o/broken", "JSON parse error"]),
        ("code", ["no usable model configuration"]),
        ("no-safetensors", ["model.safetensors is no safetensors file"]),
        ("shard-gone", ["lacks model-00002-of-00002.safetensors"]),
    ],
)
def test_errors_are_one_clear_line(
    answers: dict[str, str | list[str]], case: str, words: list[str]
) -> None:
    message = answers[case]
    assert isinstance(message, str) and message.startswith("assets.a: "), message
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_a_configuration_of_a_data_set_is_chosen(answers: dict[str, str | list[str]]) -> None:
    assert answers["data-config"] == ["data-config/records.jsonl"]
    assert str(answers["records"]).count("\n") == 2  # of b, which has two rows


def test_code_of_a_model_is_not_even_downloaded(answers: dict[str, str | list[str]]) -> None:
    assert "code/own.py" not in answers["files"]


@pytest.fixture
def weights(tmp_path: Path) -> dict[str, bytes]:
    folder = tiny_model_folder(tmp_path / "tiny")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


ONE: Cases = {"one": ("model", "hf:o/whole@main")}
SAFE = "model.safetensors"


def test_a_broken_connection_is_resumed(tmp_path: Path, weights: dict[str, bytes]) -> None:
    """The client asks for what is missing only, in pieces of 10 MiB, and the content is right."""
    large, piece = os.urandom(11_000_000), 10 * 2**20
    faults = Faults(cut={"tokenizer.large": piece + 5000, SAFE: 5000})
    with hub({"models/o/whole": {**weights, "tokenizer.large": large}}, set(), faults) as endpoint:
        assert f"one/{SAFE}" in run(tmp_path, endpoint, ONE)["one"]
    asked = [range_ for path, range_ in faults.asked if path == "tokenizer.large"]
    assert len(asked) == 2 and asked[1].startswith(f"bytes={piece}-")
    assert (tmp_path / "one/tokenizer.large").read_bytes() == large
    assert (tmp_path / "one" / SAFE).read_bytes() == weights[SAFE]


def test_a_rerun_asks_for_no_file_that_is_there(tmp_path: Path, weights: dict[str, bytes]) -> None:
    """Weights of another length are one line; the rerun asks for them, and for what had not come before them."""
    faults = Faults(sent={SAFE: weights[SAFE][:-1]})
    with hub({"models/o/whole": weights}, set(), faults) as endpoint:
        message = run(tmp_path, endpoint, ONE)["one"]
        assert isinstance(message, str) and message.startswith("assets.a: "), message
        # Files come at the same time: which others were there when this one failed is a matter of luck.
        there = {path.name for path in tmp_path.glob("home/hub/*/snapshots/*/*")}
        faults.sent.clear()
        faults.asked.clear()
        assert f"one/{SAFE}" in run(tmp_path, endpoint, ONE)["one"]
    whole = {path.name for path in (tmp_path / "one").iterdir()} & set(weights)
    assert sorted(path for path, _ in faults.asked) == sorted(whole - there) and SAFE in whole - there
    assert (tmp_path / "one" / SAFE).read_bytes() == weights[SAFE]


def test_other_content_than_the_hub_has_the_hash_of(tmp_path: Path, weights: dict[str, bytes]) -> None:
    """Both hashes are named, and the next run gets it right."""
    other = weights[SAFE][:-1] + bytes([weights[SAFE][-1] ^ 1])
    with hub({"models/o/whole": weights}, set(), Faults(sent={SAFE: other})) as endpoint:
        message = run(tmp_path, endpoint, ONE)["one"]
    hashes = [hashlib.sha256(data).hexdigest() for data in (weights[SAFE], other)]
    assert "hash mismatch of model.safetensors" in message and all(one in message for one in hashes)
    with hub({"models/o/whole": weights}, set()) as endpoint:
        assert f"one/{SAFE}" in run(tmp_path, endpoint, ONE)["one"]


@pytest.mark.parametrize("offline", ["0", "1"])
def test_what_is_in_the_cache_needs_no_hub(tmp_path: Path, weights: dict[str, bytes], offline: str) -> None:
    """With HF_HUB_OFFLINE, and without it where the hub is down; what else is in the cache stays there."""
    row = b'{"text": "one"}\n'
    cases = ONE if offline == "0" else {**ONE, "rows": ("data", "hf:o/rows@main")}
    with hub({"models/o/whole": weights, "datasets/o/rows": {"test.jsonl": row}}, set()) as endpoint:
        run(tmp_path, endpoint, cases)
    (snapshot,) = (tmp_path / "home").glob("hub/models--o--whole/snapshots/*")
    (snapshot / "own.py").write_text("1/0")
    again = run(tmp_path, DOWN, {**cases, "gone": ("model", "hf:o/never@main")}, HF_HUB_OFFLINE=offline)
    assert f"one/{SAFE}" in again["one"] and "one/own.py" not in again["one"]
    assert again.get("rows") == (["rows/records.jsonl"] if offline == "1" else None)
    assert "o/never could not be downloaded (no network" in again["gone"]


DOWN = "http://127.0.0.1:9"  # a port that nobody answers


def test_no_network(tmp_path: Path) -> None:
    message = run(tmp_path, DOWN, {"offline": ("model", "hf:o/whole@main")})["offline"]
    assert "o/whole could not be downloaded (no network" in message
