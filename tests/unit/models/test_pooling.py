"""Embedders obey their own files, or are refused in one line that names file and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub.utils import filter_repo_objects
from safetensors.torch import load_file, save_file
from transformers import AutoModel, T5EncoderModel

from random_routing.errors import PipelineError
from random_routing.models.pooling import POOLING, Embedding, read_embedding
from random_routing.models.roles import check_embedder
from random_routing.scoring.embedding import Embedder
from random_routing.settings import Asset
from random_routing.sources.hub import patterns
from tests.helpers.tiny import byte_tokenizer, config, tiny_embedder_folder, tiny_model_folder

STATES = torch.tensor(
    [[[1.0, 8.0], [3.0, -2.0], [99.0, 99.0]], [[1.0, 2.0], [5.0, 4.0], [0.0, 9.0]]]
)  # (2, 3, 2)
MASK = torch.tensor([[1, 1, 0], [1, 1, 1]])
BY_HAND = {
    "pooling_mode_mean_tokens": [[2.0, 3.0], [2.0, 5.0]],
    "pooling_mode_mean_sqrt_len_tokens": [[2.0, 3.0], [2.0, 5.0]],  # of the same direction
    "pooling_mode_cls_token": [[1.0, 8.0], [1.0, 2.0]],
    "pooling_mode_max_tokens": [[3.0, 8.0], [5.0, 9.0]],
    "pooling_mode_lasttoken": [[3.0, -2.0], [0.0, 9.0]],
    "pooling_mode_weightedmean_tokens": [[7 / 3, 4 / 3], [11 / 6, 37 / 6]],  # weights 1, 2, 3; of their sum
}


def test_pooling_by_hand() -> None:
    assert set(BY_HAND) == set(POOLING)
    for name, expected in BY_HAND.items():
        unit = torch.nn.functional.normalize
        found = unit(Embedding(name).pool(STATES, MASK), dim=1)
        assert torch.allclose(found, unit(torch.tensor(expected), dim=1), atol=1e-6), name


def modules(*kinds: str) -> list[dict[str, Any]]:
    return [
        {"path": "" if i == 0 else f"{i}_{kind}", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]  # fmt: skip


def embedder_folder(folder: Path, **files: Any) -> Path:
    """files: of the folder, by name without .json; `pooling` is 1_Pooling/config.json."""
    tiny_embedder_folder(folder)
    (folder / "1_Pooling").mkdir()
    written = {
        "modules": modules("Transformer", "Pooling"),
        "pooling": {"pooling_mode_mean_tokens": True},
        **files,
    }
    for name, value in written.items():
        path = folder / ("1_Pooling/config.json" if name == "pooling" else f"{name}.json")
        path.write_text(json.dumps(value))
    return folder


def plain_states(folder: Path, text: str) -> np.ndarray:
    """(T, D) of the library alone."""
    ids = byte_tokenizer()(text)["input_ids"]
    with torch.inference_mode():
        return AutoModel.from_pretrained(folder)(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, lambda s: s[0]),
        ({"pooling_mode": "cls"}, lambda s: s[0]),
        ({"pooling_mode_max_tokens": True}, lambda s: s.max(0)),
        ({"pooling_mode_lasttoken": True}, lambda s: s[-1]),
        ({"pooling_mode_mean_tokens": True}, lambda s: s.mean(0)),
    ],
)
def test_vectors_follow_the_folders_pooling(tmp_path: Path, pooling: Any, expected: Any) -> None:
    folder = embedder_folder(
        tmp_path, pooling=pooling, modules=modules("Transformer", "Pooling", "Normalize")
    )
    texts = ["abcdefgh", "a much longer text than the others"]
    for text, vector in zip(texts, Embedder(folder)(texts), strict=True):
        own = expected(plain_states(folder, text))
        assert np.allclose(vector, own / np.linalg.norm(own), atol=1e-5)


def test_pooling_counts_where_no_modules_are_listed(tmp_path: Path) -> None:
    folder = embedder_folder(tmp_path, pooling={"pooling_mode_cls_token": True})
    (folder / "modules.json").unlink()
    assert read_embedding(folder).pooling == "pooling_mode_cls_token"
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode": "attention"}')
    with pytest.raises(
        PipelineError, match=r"1_Pooling/config\.json: pooling_mode = 'attention': must be one of"
    ):
        read_embedding(folder)


def test_cut_lower_case_and_prompt(tmp_path: Path) -> None:
    folder = embedder_folder(
        tmp_path,
        sentence_bert_config={"max_seq_length": 21, "do_lower_case": True},
        config_sentence_transformers={
            "prompts": {"query": "Q: ", "document": ""},
            "default_prompt_name": "query",
        },
    )
    text = "Some TEXT, longer than 21 tokens"
    own = plain_states(folder, f"Q: {text.lower()}"[:20]).mean(0)  # and the token that begins every text
    assert np.allclose(Embedder(folder)([text])[0], own / np.linalg.norm(own), atol=1e-5)


def test_a_folder_that_says_nothing_gets_the_mean(tmp_path: Path) -> None:
    assert read_embedding(tiny_embedder_folder(tmp_path)) == Embedding(
        "pooling_mode_mean_tokens", 0, False, ""
    )


def test_an_empty_text_without_any_token_has_a_vector(tmp_path: Path) -> None:
    folder = tiny_embedder_folder(tmp_path)
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.post_processor = None  # adds nothing
    tokenizer.save_pretrained(folder)
    assert np.isfinite(Embedder(folder)(["", "a"])).all()


def test_the_hubs_embedders_come_with_their_modules() -> None:
    """As sentence-transformers' repositories lie on the hub; other models come without folders."""
    files = [
        "modules.json", "config.json", "model.safetensors", "1_Pooling/config.json", "2_Dense/pytorch_model.bin",
        "2_Dense/model.safetensors", "onnx/config.json", "openvino/model.safetensors", "README.md", "train.py",
    ]  # fmt: skip
    found = {}
    for kind in ("embedder", "model"):
        wanted, unwanted = patterns(Asset("a", kind, ("hf:o/r@main",)))
        found[kind] = list(filter_repo_objects(files, allow_patterns=wanted, ignore_patterns=unwanted))
    assert found["model"] == files[:3]
    assert found["embedder"] == [*files[:4], "2_Dense/model.safetensors"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "dense": ({"modules": modules("Transformer", "Pooling", "Dense")}, r"modules\.json: type = Dense"),
    "router": ({"modules": modules("Router")}, r"modules\.json: type = Router"),
    "no pooling": ({"modules": modules("Transformer", "Normalize")}, r"modules\.json: types"),
    "other folder": ({"modules": [{"type": "x.Transformer", "path": "0_Transformer"}]}, "path = '0_Transformer'"),
    "not a list": ({"modules": {"a": 1}}, r"modules\.json: is no list of modules"),
    "two": (
        {"pooling": {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}},
        r"1_Pooling/config\.json: pooling_mode_mean_tokens, pooling_mode_max_tokens: must be one of",
    ),
    "none": ({"pooling": {"word_embedding_dimension": 64}}, r"1_Pooling/config\.json: no pooling"),
    "unknown": ({"pooling": {"pooling_mode": "median"}}, r"1_Pooling/config\.json: pooling_mode = 'median'"),
    "dot": (
        {"config_sentence_transformers": {"similarity_fn_name": "dot"}},
        r"config_sentence_transformers\.json: similarity_fn_name = 'dot'",
    ),
    "prompt": (
        {"config_sentence_transformers": {"default_prompt_name": "q", "prompts": {}}},
        r"config_sentence_transformers\.json: default_prompt_name = 'q'",
    ),
    "length": ({"sentence_bert_config": {"max_seq_length": "long"}}, r"sentence_bert_config\.json: max_seq_length"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_others_are_refused_in_one_line(tmp_path: Path, case: str) -> None:
    files, line = REFUSED[case]
    with pytest.raises(PipelineError, match=line) as error:
        check_embedder(embedder_folder(tmp_path, **files))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_the_files_of_its_pooling_are_missing(tmp_path: Path) -> None:
    folder = embedder_folder(tmp_path)
    (folder / "1_Pooling/config.json").unlink()
    with pytest.raises(PipelineError, match=r"1_Pooling/config\.json: cannot be read"):
        check_embedder(folder)


def test_more_tokens_than_it_can_read(tmp_path: Path) -> None:
    folder = embedder_folder(tmp_path, sentence_bert_config={"max_seq_length": 2000})
    with pytest.raises(
        PipelineError, match=r"gives no vector of a text of 2000 tokens.*max_seq_length"
    ) as error:
        Embedder(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [AutoModel.from_config, T5EncoderModel])
def test_an_encoder_decoder_is_no_embedder(tmp_path: Path, kind: Any) -> None:
    """Nor is the encoder of one: the library would make up the decoder."""
    kind(config("t5")).save_pretrained(tmp_path)
    with pytest.raises(PipelineError, match="model_type = 't5': must be an encoder"):
        check_embedder(tmp_path)


def test_a_decoder_with_its_last_token(tmp_path: Path) -> None:
    """As newer embedders are: a causal model, whose last token has seen the whole text."""
    folder = tiny_model_folder(tmp_path / "llama")
    (folder / "1_Pooling").mkdir()
    (folder / "modules.json").write_text(json.dumps(modules("Transformer", "Pooling")))
    (folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_lasttoken": True}))
    own = plain_states(folder, "some text")[-1]
    assert np.allclose(Embedder(folder)(["some text"])[0], own / np.linalg.norm(own), atol=1e-4)


def test_weights_and_vectors_that_are_not_finite(tmp_path: Path) -> None:
    folder = tiny_embedder_folder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    save_file(
        weights | {name: weights[name] * float("nan")}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(PipelineError, match=f"no usable embedder .{name} holds NaN") as error:
        Embedder(folder)
    assert "\n" not in str(error.value)
    name = "encoder.layer.1.output.LayerNorm.weight"
    save_file(weights | {name: weights[name] * 3e38}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(PipelineError, match="vectors that are not finite"):
        Embedder(folder)


def test_signatures_say_how_a_text_becomes_a_vector() -> None:
    assert Embedding().signature == "pooling:mean_tokens|max:at most 256 tokens"
    other = Embedding("pooling_mode_cls_token", 128, True, "query: ")
    assert other.signature == "pooling:cls_token|max:128 tokens|lower case|prompt:'query: '"
