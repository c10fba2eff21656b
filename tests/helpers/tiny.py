"""Tiny random models for tests: built on the spot, no download."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    FalconConfig,
    Gemma3nTextConfig,
    Gemma3TextConfig,
    Gemma4TextConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoConfig,
    GptOssConfig,
    JambaConfig,
    Lfm2Config,
    LlamaConfig,
    M2M100Config,
    MambaConfig,
    MarianConfig,
    MistralConfig,
    MixtralConfig,
    MptConfig,
    OlmoeConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2MoeConfig,
    Qwen3_5TextConfig,
    Qwen3Config,
    RecurrentGemmaConfig,
    T5Config,
    T5EncoderModel,
)

SPECIAL = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>"]
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_tokenizer(chat: bool = True) -> PreTrainedTokenizerFast:
    """One token a byte after the special tokens; begins every text with <s>."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    if chat:
        fast.chat_template = CHAT
    return fast


WORDS = ["the", "rain", "fell", "house", "do", "not", "in", "on", ",", "."]


def metaspace_tokenizer(style: str = "llama") -> PreTrainedTokenizerFast:
    """Words that begin with ▁, letters, and bytes for all else. Both styles drop the first space of what they decode.

    style: llama, as Llama 2 and Mistral 0.1 (a normalizer puts ▁ before every text), or metaspace, as T5.
    """
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    spelt = ["▁", *(f"▁{word}" for word in WORDS), *WORDS, *letters]
    made = [*SPECIAL, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *dict.fromkeys(spelt)]
    scores = {token: -1.0 - 3.0 * (len(token) < 2) for token in made}
    tokenizer = Tokenizer(models.Unigram(list(scores.items()), unk_id=len(SPECIAL), byte_fallback=True))
    if style == "llama":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        steps = [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
        tokenizer.decoder = decoders.Sequence(steps)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    return _finished(tokenizer)


def wordpiece_tokenizer() -> PreTrainedTokenizerFast:
    """Lower-case words and letters, ## inside of a word; it takes the space before a full stop away, twice over."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    made = [*SPECIAL, "<unk>", *WORDS, "'", *letters, *(f"##{part}" for part in [*WORDS[:8], *letters])]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(made))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return _finished(tokenizer, clean_up_tokenization_spaces=True)


def _finished(tokenizer: Tokenizer, **options: Any) -> PreTrainedTokenizerFast:
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        **options,
    )


SIZES: dict[str, Any] = {
    "vocab_size": 300,  # a few ids more than the tokenizer has, as in many real models
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
WIDE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,  # one that a random path may skip
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
GROUPED = {**WIDE, "num_key_value_heads": 2}
SHARED_KEYS: dict[str, Any] = {  # the last two of five layers read the keys and values of lower ones
    **GROUPED, "num_hidden_layers": 5, "head_dim": 8, "sliding_window": 8, "num_kv_shared_layers": 2,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "sliding_attention", "full_attention"],
    "vocab_size_per_layer_input": 300, "hidden_size_per_layer_input": 32,
}  # fmt: skip
FALCON: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
BOTH: dict[str, Any] = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
}  # fmt: skip


def config(arch: str, context: int = 512) -> PreTrainedConfig:
    """A tiny configuration of an architecture; three layers, about 30,000 weights."""
    shared = {**SIZES, "max_position_embeddings": context}
    return {
        "llama": lambda: LlamaConfig(**shared, **GROUPED),
        "llama_wide": lambda: LlamaConfig(**shared, **GROUPED, head_dim=32),  # the least that vLLM takes on CPUs
        "qwen3": lambda: Qwen3Config(**shared, **GROUPED, head_dim=8),
        "gpt2": lambda: GPT2Config(**SIZES, n_positions=context, n_embd=32, n_layer=3, n_head=4),  # absolute
        "opt": lambda: OPTConfig(**shared, **WIDE, ffn_dim=64, word_embed_proj_dim=32),  # absolute
        "mistral": lambda: MistralConfig(**shared, **GROUPED, sliding_window=8),
        "gemma3": lambda: Gemma3TextConfig(
            **shared, **GROUPED, head_dim=8, sliding_window=8,
            layer_types=["sliding_attention", "full_attention", "full_attention"], query_pre_attn_scalar=8,
        ),
        "mixtral": lambda: MixtralConfig(**shared, **GROUPED, num_local_experts=4),
        "qwen2_moe": lambda: Qwen2MoeConfig(
            **shared, **GROUPED, num_experts=4, moe_intermediate_size=32,
            shared_expert_intermediate_size=32, num_experts_per_tok=2, decoder_sparse_step=1,
        ),
        "olmoe": lambda: OlmoeConfig(**shared, **GROUPED, num_experts=4, num_experts_per_tok=2),
        "gptj": lambda: GPTJConfig(
            **SIZES, n_positions=context, n_embd=32, n_layer=3, n_head=4, rotary_dim=4
        ),
        "gpt_neo": lambda: GPTNeoConfig(
            **shared, hidden_size=32, num_layers=3, num_heads=4, intermediate_size=64, window_size=8,
            attention_types=[[["global", "local", "global"], 1]],
        ),
        "falcon": lambda: FalconConfig(**shared, **FALCON, multi_query=True, alibi=False),
        "falcon_new": lambda: FalconConfig(
            **shared, **FALCON, new_decoder_architecture=True, num_kv_heads=2, alibi=False
        ),
        "falcon_alibi": lambda: FalconConfig(**shared, **FALCON, multi_query=False, alibi=True),
        "gemma3n": lambda: Gemma3nTextConfig(**shared, **SHARED_KEYS, laurel_rank=4),
        "gemma4": lambda: Gemma4TextConfig(**shared, **(SHARED_KEYS | {"global_head_dim": 16})),
        "mpt": lambda: MptConfig(**SIZES, d_model=32, n_heads=4, n_layers=3, max_seq_len=context),
        "mamba": lambda: MambaConfig(**SIZES, hidden_size=32, num_hidden_layers=3),
        "lfm2": lambda: Lfm2Config(**shared, **GROUPED, layer_types=["conv", "full_attention", "conv"]),
        "jamba": lambda: JambaConfig(
            **shared, **(GROUPED | {"num_hidden_layers": 4}), attn_layer_period=2, attn_layer_offset=1,
            expert_layer_period=2, expert_layer_offset=1, num_experts=2, use_mamba_kernels=False,
        ),
        "qwen3_5": lambda: Qwen3_5TextConfig(
            **shared, **(GROUPED | {"num_hidden_layers": 4}), head_dim=8, linear_num_value_heads=4,
            linear_num_key_heads=2, linear_key_head_dim=8, linear_value_head_dim=8,
        ),
        "recurrent_gemma": lambda: RecurrentGemmaConfig(**shared, **GROUPED, lru_width=32),
        "gpt_oss": lambda: GptOssConfig(
            **shared, **GROUPED, head_dim=8, sliding_window=8, num_local_experts=4, num_experts_per_tok=2
        ),
        "bert": lambda: BertConfig(**shared, **WIDE),
        "t5": lambda: T5Config(
            **SIZES, d_model=32, d_kv=8, d_ff=64, num_layers=3, num_heads=4
        ),
        "marian": lambda: MarianConfig(**shared, **BOTH),
        "m2m_100": lambda: M2M100Config(  # NLLB's
            **shared, **BOTH
        ),
    }[arch]()  # fmt: skip


def tiny_model_folder(
    path: Path, arch: str = "llama", context: int = 512, chat: bool = True, seed: int = 0
) -> Path:
    """A random model with a byte tokenizer, saved as safetensors in `path`; returns `path`."""
    return Path(shutil.copytree(_made(arch, context, chat, seed), path, dirs_exist_ok=True))


@cache
def _made(arch: str, context: int, chat: bool, seed: int) -> Path:
    """Once in a process; removed when it ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"tiny-{arch}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _save(folder, arch, context, chat, seed)
    return folder


def _save(path: Path, arch: str, context: int, chat: bool, seed: int) -> None:
    made = config(arch, context)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        auto = AutoModelForSeq2SeqLM if made.is_encoder_decoder else AutoModelForCausalLM
        model = auto.from_config(made)
        for parameter in model.parameters():  # spread the logits, so that decoders differ
            parameter.data.mul_(3.0) if parameter.dim() > 1 else None
    if made.is_encoder_decoder:
        model.generation_config.decoder_start_token_id = 2 if arch == "m2m_100" else 0
    if arch == "m2m_100":
        model.generation_config.forced_bos_token_id = 77  # a target language
    model.save_pretrained(path)
    byte_tokenizer(chat).save_pretrained(path)


def tiny_embedder_folder(path: Path) -> Path:
    """A random BERT of two layers, saved as safetensors in `path`; returns `path`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes: dict[str, Any] = {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 128,
        }
        BertModel(BertConfig(vocab_size=300, **sizes)).save_pretrained(path)
    byte_tokenizer().save_pretrained(path)
    return path


def saved(model: PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


OTHERS = {
    "BertForMaskedLM": lambda: AutoModelForMaskedLM.from_config(config("bert")),
    "LlamaForSequenceClassification": lambda: AutoModelForSequenceClassification.from_config(
        config("llama")
    ),
    "T5EncoderModel": lambda: T5EncoderModel(cast(T5Config, config("t5"))),
}
