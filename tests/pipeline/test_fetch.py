"""The stage on local models and data: no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import fetch
from random_routing.errors import PipelineError
from random_routing.files import read_json, read_jsonl, sha256_file
from random_routing.settings import ORIGIN, Asset
from random_routing.sources.local import fetch_local
from tests.helpers import ROOT
from tests.helpers.tiny import tiny_model_folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def local(path: Path, target: Path, kind: str = "model", reader: str = "", *members: str) -> list[str]:
    one = Asset("toy", kind, (f"file:{path}",), reader=reader, members=members)
    fetch_local(one, target)
    if kind == "model":
        fetch.finish_model(one, target)
    return sorted(p.name for p in target.rglob("*") if p.is_file())


def test_local_model_is_copied_without_pickles(tmp_path: Path, target: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    for name in ("pytorch_model.bin", "modeling.py", "also.gguf"):
        (folder / name).write_bytes(b"x")
    names = local(folder, target)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(names)
    assert not {"pytorch_model.bin", "modeling.py", "also.gguf"} & set(names)


def test_a_folder_that_was_fetched_elsewhere(tmp_path: Path, target: Path) -> None:
    """Its list of hashes is not taken along, which would be of other files; nor is what is hidden."""
    folder = tiny_model_folder(tmp_path / "model")
    for name in ("asset.json", ".hidden", "more/asset.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    names = local(folder, target)
    assert "model.safetensors" in names and ".hidden" not in names
    assert [p.relative_to(target).as_posix() for p in target.rglob("asset.json")] == ["more/asset.json"]
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "asset.json"):
        (tmp_path / "texts" / name).write_text("{}")
    shutil.rmtree(target)
    target.mkdir()
    assert local(tmp_path / "texts", target, "data", "sotu") == ["a.txt"]


def test_the_member_of_a_folder_is_obeyed(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two GGUF files, also where safetensors lie beside them."""
    converted: list[str] = []

    def convert(gguf: Path, folder: Path) -> None:
        converted.append(gguf.name)
        shutil.copy(tmp_path / "model/model.safetensors", folder)
        gguf.unlink()

    monkeypatch.setattr(fetch, "convert_gguf", convert)
    folder = tiny_model_folder(tmp_path / "model")
    for name in ("small.gguf", "large.gguf"):
        (folder / name).write_bytes(b"x")
    names = local(folder, target, "model", "", "small.gguf")
    assert converted == ["small.gguf"] and "large.gguf" not in names
    with pytest.raises(
        PipelineError, match=r"^assets\.toy\.member = 'huge\.gguf': .*model holds no such file$"
    ):
        local(folder, target, "model", "", "huge.gguf")
    with pytest.raises(PipelineError, match=r"^assets\.toy\.member = 'x': .*small\.gguf is no folder$"):
        local(folder / "small.gguf", target, "model", "", "x")
    for name in ("one.csv", "two.csv"):
        (folder / name).write_text(f"text\n{name}\n")
    local(folder, target, "data", "records", "two.*")
    assert [row["text"] for row in read_jsonl(target / "records.jsonl")] == ["two.csv"]


@pytest.mark.parametrize(
    ("left_out", "named"),
    [
        ("tokenizer.json", "a tokenizer"),
        ("config.json", "config.json"),
        ("model.safetensors", r"weights \(\*\.safetensors or \*\.gguf\)"),
    ],
)
def test_what_a_model_lacks_is_named(tmp_path: Path, target: Path, left_out: str, named: str) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    (folder / left_out).unlink()
    with pytest.raises(PipelineError, match=rf"assets\.toy: file:.* lacks {named}"):
        local(folder, target)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.jsonl", '{"text": "x"}\n'),
        ("d.json", '[{"text": "x"}]'),
        ("d.csv", "text\nx\n"),
        ("folder/d.csv", "text\nx\n"),
    ],
)
def test_local_data_becomes_records(tmp_path: Path, target: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    source = path.parent if "/" in name else path
    assert local(source, target, "data", "records") == ["records.jsonl"]
    (record,) = read_jsonl(target / "records.jsonl")
    assert record["text"] == "x" and record[ORIGIN].startswith(f"{path.name}, ")


@pytest.mark.parametrize(
    ("names", "message"),
    [(["d.xml"], r"holds \.xml; must be"), (["a.csv", "b.txt"], r"holds \.csv, \.txt; must be")],
)
def test_unknown_or_mixed_data_is_named(
    tmp_path: Path, target: Path, names: list[str], message: str
) -> None:
    for name in names:
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text("a")
    source = tmp_path / "data" if len(names) > 1 else tmp_path / "data" / names[0]
    with pytest.raises(PipelineError, match=message):
        local(source, target, "data", "records")


def test_broken_local_data_is_named(tmp_path: Path, target: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"a": "x"}\n{"a":\n')
    with pytest.raises(PipelineError, match=r"d\.jsonl cannot be read"):
        local(tmp_path / "d.jsonl", target, "data", "records")


def project(tmp_path: Path, source: str, kind: str = "model") -> Path:
    """A folder whose params.yaml has `source` as its model smollm2."""
    text = (ROOT / "params.yaml").read_text()
    start = text.index("  smollm2:                   # SmolLM2")
    end = text.index("  gemma3:                    # Gemma")
    (tmp_path / "params.yaml").write_text(
        f"{text[:start]}  smollm2:\n    kind: {kind}\n    source: {source}\n{text[end:]}"
    )
    return tmp_path


def test_asset_json_covers_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_model_folder(tmp_path / "tiny")
    monkeypatch.chdir(project(tmp_path, "file:tiny"))
    fetch.main(["smollm2"])
    folder = Path("data/assets/smollm2")
    first = (folder / "asset.json").read_bytes()
    (folder / "stale").write_text("of an earlier version")
    fetch.main(["smollm2"])
    assert (folder / "asset.json").read_bytes() == first
    asset_json = read_json(folder / "asset.json")
    assert {k: asset_json[k] for k in ("name", "kind", "sources")} == {
        "name": "smollm2", "kind": "model", "sources": ["file:tiny"],
    }  # fmt: skip
    files = {p.name: sha256_file(p) for p in folder.iterdir() if p.name != "asset.json"}
    assert asset_json["files"] == files and "model.safetensors" in files


def test_a_failed_fetch_keeps_what_was_there(tmp_path: Path) -> None:
    """One line, status 2, the earlier asset untouched and nothing half-written beside it."""
    project(tmp_path, "file:nowhere")
    there = tmp_path / "data/assets/smollm2"
    there.mkdir(parents=True)
    (there / "asset.json").write_text(json.dumps({"earlier": True}))
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.fetch", "smollm2"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr == "error: assets.smollm2.source: nowhere does not exist\n"
    assert [p.name for p in (tmp_path / "data/assets").iterdir()] == ["smollm2"]
    assert read_json(there / "asset.json") == {"earlier": True}
