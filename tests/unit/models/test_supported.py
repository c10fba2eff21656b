"""Models are checked for what they are, before any work: each fault is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    XLNetConfig,
)

from random_routing.errors import PipelineError
from random_routing.models import decode_check
from random_routing.models.folder import check_model, load_tokenizer, read_shape
from random_routing.models.loading import ATTENTIONS, load_model
from random_routing.models.network import CausalModel
from tests.helpers.errors import one_line
from tests.helpers.tiny import OTHERS, byte_tokenizer, config, saved, tiny_model_folder

NO_CACHE = {
    "mamba": "MambaForCausalLM keeps LinearAttentionLayer",
    "lfm2": "Lfm2ForCausalLM keeps LinearAttentionLayer",
    "jamba": "JambaForCausalLM keeps LinearAttentionLayer",
    "qwen3_5": "Qwen3_5ForCausalLM keeps LinearAttentionLayer",
    "recurrent_gemma": "RecurrentGemmaForCausalLM keeps LinearAttentionLayer",
    "gpt_oss": "GptOssForCausalLM has attention sinks",
    "falcon_alibi": "alibi = true",
    "bert": r"BertLMHeadModel reads to the right too \(is_decoder = False\)",
}


@pytest.mark.parametrize("arch", NO_CACHE)
def test_what_cannot_be_decoded_is_refused_without_its_weights(tmp_path: Path, arch: str) -> None:
    folder = tiny_model_folder(tmp_path / "model", arch)
    (folder / "model.safetensors").unlink()
    with pytest.raises(PipelineError, match=NO_CACHE[arch]) as error:
        check_model(folder)
    assert one_line(error.value).startswith(f"{folder}/config.json: ")


@pytest.mark.parametrize(
    "arch", ["llama", "mistral", "gemma3", "gemma3n", "gpt2", "t5", "marian", "m2m_100"]
)
def test_what_can_be_decoded_passes(tmp_path: Path, arch: str) -> None:
    kind = check_model(tiny_model_folder(tmp_path, arch), ATTENTIONS)
    assert (kind.attention, kind.width) == ("grouped_eager", 300)


def test_the_librarys_own_attention_where_a_model_takes_no_other(tmp_path: Path) -> None:
    assert check_model(tiny_model_folder(tmp_path, "gptj"), ATTENTIONS).attention == "eager"


REASONS = dict.fromkeys(OTHERS, "architectures = ") | {
    "T5EncoderModel": "model_type = 't5': must be a causal or"
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_writes_no_text_is_refused(tmp_path: Path, name: str) -> None:
    folder = saved(OTHERS[name](), tmp_path)
    with pytest.raises(PipelineError, match=REASONS[name]) as error:
        load_model(folder)
    assert "must be" in one_line(error.value)


def test_a_decoder_saved_without_its_head_is_none_of_them(tmp_path: Path) -> None:
    """GPT-2's output layer is its embedding, so that nothing lacks."""
    saved(AutoModelForCausalLM.from_config(config("gpt2")).transformer, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["GPT2Model"]
    assert load_model(tmp_path).shape.logits == 300


def test_a_tokenizer_larger_than_the_embedding(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path)
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([f"word{i}" for i in range(60)])  # 261 to 320
    tokenizer.save_pretrained(folder)
    with pytest.raises(PipelineError, match=r"ids up to 320 \('word59'\), but vocab_size = 300") as error:
        load_model(folder)
    one_line(error.value)


def test_control_tokens_beyond_the_embedding_are_no_fault(tmp_path: Path) -> None:
    """As Gemma 3's for pictures, with the id 262144 of 262144 rows; no text is read as one."""
    folder = tiny_model_folder(tmp_path)
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([f"<image{i}>" for i in range(60)], special_tokens=True)
    tokenizer.save_pretrained(folder)
    assert len(load_tokenizer(folder)) == 321
    assert load_model(folder).shape.inputs == 300


def edited(folder: Path, change: Any) -> Path:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights["model.layers.1.mlp.up_proj.weight"][3, 4] = value

    folder = edited(tiny_model_folder(tmp_path), change)
    line = (
        r"no usable language model \(model\.layers\.1\.mlp\.up_proj\.weight holds NaN or infinite weights\)"
    )
    with pytest.raises(PipelineError, match=line) as error:
        load_model(folder)
    one_line(error.value)


def test_logits_that_overflow(tmp_path: Path) -> None:
    """Finite weights whose products are not."""

    def change(weights: dict[str, torch.Tensor]) -> None:
        weights["model.norm.weight"] *= 1e38
        weights["lm_head.weight"] *= 1e10

    folder = edited(tiny_model_folder(tmp_path), change)
    with pytest.raises(PipelineError, match="its logits are not finite") as error:
        load_model(folder)
    one_line(error.value)


class Forgetful(CausalModel):
    """A step sees nothing of what was before it, as where a state that is no key or value was lost."""

    def step(self, tokens: Any, padding: Any, step: int, cache: Any, path: Any = None) -> Any:
        return super().step(tokens, torch.zeros_like(padding), step, cache)


def test_the_probe_sees_a_step_that_is_none(tmp_path: Path) -> None:
    model = load_model(tiny_model_folder(tmp_path))
    decode_check.check_decodes(model)
    forgetful = Forgetful(**{name: getattr(model, name) for name in model.__dataclass_fields__})
    with pytest.raises(
        PipelineError, match=r"LlamaForCausalLM cannot be decoded \(a step with the key/value cache"
    ):
        decode_check.check_decodes(forgetful)


def test_the_probe_names_the_model_of_any_error(tmp_path: Path) -> None:
    model = load_model(tiny_model_folder(tmp_path / "mine"))

    def raises(*args: Any, **kwargs: Any) -> Any:
        raise IndexError("out of\nrange")

    object.__setattr__(model, "start", raises)
    with pytest.raises(
        PipelineError, match=r"mine: LlamaForCausalLM cannot be decoded \(IndexError: out of range\)"
    ):
        decode_check.check_decodes(model)


def test_a_context_without_an_end(tmp_path: Path) -> None:
    """XLNet says so by −1 positions, which is no length: examples are not to blame for it."""
    XLNetConfig(d_model=8, n_layer=1, n_head=2, d_inner=8, vocab_size=9).save_pretrained(tmp_path)
    assert read_shape(tmp_path).context == 2**31
