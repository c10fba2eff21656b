"""A model's own generation settings: the few that all decoders obey, and a neutral configuration for the rest.

Penalties, bans of repetitions, forced ends and least lengths would change the model's distribution from step to
step, by what was written before. The law is about p as the model gives it, so no decoder obeys them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from random_routing.models.shape import Shape

# All decoders obey them: what a text begins with, what ends it, and tokens that are never written.
OBEYED = (
    "decoder_start_token_id",
    "forced_bos_token_id",
    "eos_token_id",
    "suppress_tokens",
    "bad_words_ids",
)
# They name no law: ids that are read elsewhere, how a result is returned, how the library keeps its states.
NO_LAW = (
    "bos_token_id", "pad_token_id", "cache_config", "cache_implementation", "compile_config", "disable_compile",
    "is_assistant", "low_memory", "max_cache_len", "num_return_sequences", "output_attentions",
    "output_hidden_states", "output_logits", "output_scores", "prefill_chunk_size", "return_dict_in_generate",
    "transformers_version", "use_cache", "_from_model_config",
)  # fmt: skip


def own_generation(folder: Path, config: Any) -> GenerationConfig:
    """What the model's folder says; config: its `config.json`, which older models have the settings in."""
    try:
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    except OSError:  # no generation_config.json
        return GenerationConfig.from_model_config(config)


def barred(config: GenerationConfig) -> tuple[int, ...]:
    """Ids that are never written."""
    words = [word[0] for word in config.bad_words_ids or [] if len(word) == 1]
    return tuple(sorted({*words, *(config.suppress_tokens or [])}))


def switched_off(config: GenerationConfig) -> dict[str, Any]:
    """Setting → its value in the folder, of those that no decoder obeys; bans of several tokens among them."""
    off = {name: value for name, value in config.to_diff_dict().items() if name not in (*OBEYED, *NO_LAW)}
    if words := [word for word in config.bad_words_ids or [] if len(word) > 1]:
        off["bad_words_ids"] = words
    return dict(sorted(off.items()))


def neutral(shape: Shape) -> GenerationConfig:
    """For the library's `generate`: p as the model gives it over the tokens that it may write, nothing else.

    Beam search sums log-probabilities, so these are taken after the barred tokens are left out, as everywhere.
    """
    start = shape.decoder_start
    return GenerationConfig(
        decoder_start_token_id=start[0] if start else None,
        forced_bos_token_id=start[1] if len(start) > 1 else None,
        eos_token_id=shape.eos,
        pad_token_id=0,
        suppress_tokens=list(shape.barred) or None,
        renormalize_logits=True if shape.barred else None,
        do_sample=False,
    )
