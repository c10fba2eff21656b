"""GGUF → safetensors, on a tiny model written by the test."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import pre_tokenizers

from pipeline import fetch
from random_routing.errors import PipelineError
from random_routing.files import read_json, sha256_file
from random_routing.settings import Asset
from random_routing.sources.gguf import convert_gguf

MODEL = Asset("toy", "model", ("pypi:toy==1.0",))


def test_several_gguf_files_are_no_choice(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(PipelineError, match=r"several GGUF files \(a\.gguf, b\.gguf\)"):
        fetch.finish_model(MODEL, tmp_path)


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
    layer = {
        "attn_norm": (32,),
        "ffn_norm": (32,),
        "ffn_gate": (64, 32),
        "ffn_up": (64, 32),
        "ffn_down": (32, 64),
    }
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
        fetch.finish_model(MODEL, folder)
        hashes.append({p.name: sha256_file(p) for p in folder.iterdir()})
    assert hashes[0] == hashes[1] and "m.gguf" not in hashes[0]
    config = read_json(tmp_path / "one/config.json")
    assert "quantization_config" not in config and config["tie_word_embeddings"] is True
    assert str(tmp_path) not in json.dumps(config)
    weights = load_file(tmp_path / "one/model.safetensors")
    assert {str(w.dtype) for w in weights.values()} == {"float32"}
    np.testing.assert_array_equal(weights["model.layers.0.mlp.up_proj.weight"], expected)


@pytest.mark.parametrize("data", [b"", b"no model", b"GGUF\x03\x00\x00\x00", b"GGUF" + b"\xff" * 60])
def test_a_broken_gguf_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(PipelineError, match=r"^m\.gguf: cannot be converted"):
        convert_gguf(tmp_path / "m.gguf", tmp_path)
