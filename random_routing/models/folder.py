"""Reading a model's folder without its weights: configuration, tokenizer, shape. Nothing in it is ever run as code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from random_routing.errors import PipelineError
from random_routing.files import ENDPOINT, check_asset, read_json
from random_routing.models.generation_config import barred, own_generation, switched_off
from random_routing.models.shape import Shape, experts_of, heads_of, window_of
from random_routing.models.supported import Kind, check_width, kind_of


def read_config(folder: str | Path) -> Any:
    """Raises `PipelineError` when the folder holds no model configuration."""
    check_asset(folder, weights=False)
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(f"{folder}: no usable model configuration ({error})") from None


def check_model(folder: str | Path, attentions: Sequence[str] = ("eager",)) -> Kind:
    """What a language model must be to write or to judge, seen without its weights. Raises `PipelineError`.

    attentions: implementations that it is to run with, the best first.
    """
    kind = kind_of(folder, read_config(folder), attentions)
    check_width(folder, kind.width, load_tokenizer(folder))
    return kind


def is_served(folder: str | Path) -> bool:
    """Does a server run the model, of which the folder has no weights?"""
    return (Path(folder) / ENDPOINT).is_file()


def check_served(folder: str | Path) -> None:
    """What a served model must be to write, from what its server said when it was fetched. Raises `PipelineError`."""
    shape, told = read_shape(folder), read_json(Path(folder) / ENDPOINT)
    if shape.is_encoder_decoder:
        raise PipelineError(
            f"{folder}/config.json: an encoder-decoder model cannot be used behind a server"
        )
    if told["logprobs"] != shape.logits:
        raise PipelineError(
            f"{folder}/{ENDPOINT}: the server returns log-probabilities of {told['logprobs']} of {shape.logits} tokens "
            "(vocab_size in config.json); start it with --max-logprobs -1, and name its own tokenizer"
        )
    check_width(folder, shape.logits, load_tokenizer(folder))


def read_shape(folder: str | Path, target_code: str = "") -> Shape:
    """target_code: the target language of a multilingual translation model, which forces its first token.

    Raises `PipelineError` when the folder holds no model configuration, or no such language.
    """
    config = read_config(folder)
    text = config if config.is_encoder_decoder else config.get_text_config()
    generation = own_generation(Path(folder), config)
    forced = _language_id(folder, target_code) if target_code else generation.forced_bos_token_id
    start = (generation.decoder_start_token_id, forced)
    # T5's and XLNet's relative positions have no end; tests of a length are left to the model.
    positions = getattr(text, "max_position_embeddings", None) or 0
    context = positions if positions > 0 else 2**31
    layers = getattr(text, "decoder_layers", None) or getattr(text, "num_decoder_layers", None)
    shape = Shape(
        context=context,
        logits=getattr(text, "decoder_vocab_size", None) or text.vocab_size,
        layers=layers or text.num_hidden_layers,
        eos=generation.eos_token_id,
        inputs=text.vocab_size,
        heads=heads_of(config),
        experts=experts_of(config),
        window=window_of(text),
        counts_from_the_end="local" in (getattr(text, "attention_layers", None) or ()),
        is_encoder_decoder=bool(config.is_encoder_decoder),
        decoder_start=tuple(i for i in start if i is not None) if config.is_encoder_decoder else (),
        barred=barred(generation),
        switched_off=switched_off(generation),
    )
    if not is_served(folder):
        return shape
    return replace(shape, served=True, context=read_json(Path(folder) / ENDPOINT)["context"] or context)


def _language_id(folder: str | Path, code: str) -> int:
    tokenizer = load_tokenizer(folder)
    if code in tokenizer.get_vocab():  # NLLB: eng_Latn
        return int(tokenizer.convert_tokens_to_ids(code))
    raise PipelineError(
        f"{folder}: its tokenizer has no token {code!r}; correct tasks.translation.target_code"
    )


def load_tokenizer(folder: str | Path, source_code: str = "") -> Any:
    """source_code: the language that a multilingual translation model's tokenizer is told to expect.

    Raises `PipelineError` when the folder is missing or holds no tokenizer.
    """
    check_asset(folder, weights=False)
    files = sorted(path for path in Path(folder).glob("*") if path.suffix != ".safetensors")
    changed = tuple((path.name, path.stat().st_ctime_ns) for path in files)
    try:
        return _tokenizer(Path(folder).resolve(), source_code, changed)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(f"{folder}: no usable tokenizer ({error})") from None


@lru_cache(maxsize=8)
def _tokenizer(folder: Path, source_code: str, changed: tuple[tuple[str, int], ...]) -> Any:
    """Read once as long as the files stay: one of 260,000 tokens takes five seconds."""
    languages = {"src_lang": source_code} if source_code else {}
    return AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, **languages
    )
