"""How an embedder's folder says that a text becomes one vector, in the files of sentence-transformers.

Reimers & Gurevych 2019. A folder without `modules.json` and `1_Pooling` gets the mean over its tokens, as that library
gives it.
All vectors are scaled to unit length in the end, since they are compared by cosines. So a Normalize module
changes nothing, and a sum over tokens may be divided by their number or by its root.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from random_routing.errors import PipelineError
from random_routing.files import read_json


def mean(states: Tensor, mask: Tensor) -> Tensor:
    weights = mask[:, :, None].float()
    return (states * weights).sum(1) / weights.sum(1)


def first(states: Tensor, mask: Tensor) -> Tensor:
    return states[:, 0]


def last(states: Tensor, mask: Tensor) -> Tensor:
    return states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]


def largest(states: Tensor, mask: Tensor) -> Tensor:
    return states.masked_fill(mask[:, :, None] == 0, -torch.inf).amax(1)


def weighted_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Later tokens count more, in proportion to their place (Muennighoff 2022)."""
    return mean(states * mask.cumsum(1)[:, :, None].float(), mask)


# Key of a Pooling module's config.json → (B, D) of states (B, T, D) and mask (B, T), right-padded.
POOLING: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "pooling_mode_mean_tokens": mean,
    "pooling_mode_mean_sqrt_len_tokens": mean,
    "pooling_mode_cls_token": first,
    "pooling_mode_max_tokens": largest,
    "pooling_mode_lasttoken": last,
    "pooling_mode_weightedmean_tokens": weighted_mean,
}
NAMES = {  # as newer versions write them, in `pooling_mode`
    "mean": "pooling_mode_mean_tokens", "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens", "lasttoken": "pooling_mode_lasttoken",
    "weightedmean": "pooling_mode_weightedmean_tokens",
}  # fmt: skip
UNSAID = 256  # tokens of a text that are read at most, where the folder names no number
MODULES = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True)
class Embedding:
    """pooling: key of `POOLING`; longest: tokens that are read of a text, 0 where the folder does not say;
    lower: whether texts are lower-cased first; prompt: what is written before each."""

    pooling: str = "pooling_mode_mean_tokens"
    longest: int = 0
    lower: bool = False
    prompt: str = ""

    @property
    def signature(self) -> str:
        read = f"max:{self.longest or f'at most {UNSAID}'} tokens"
        return "|".join([
            f"pooling:{self.pooling.removeprefix('pooling_mode_')}", read, *["lower case"] * self.lower,
            *[f"prompt:{self.prompt!r}"] * bool(self.prompt),
        ])  # fmt: skip

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return POOLING[self.pooling](states, mask)


def read_embedding(folder: Path) -> Embedding:
    """Raises `PipelineError` naming file and key for what is not done here."""
    prompt, pooling, alone = _prompt(folder), Embedding.pooling, folder / "1_Pooling/config.json"
    if (folder / "modules.json").exists():
        pooling = _pooling(_pooling_file(folder), prompt)
    elif alone.exists():
        pooling = _pooling(alone, prompt)
    config = _read(folder / "sentence_bert_config.json")
    longest = config.get("max_seq_length") or 0
    if not isinstance(longest, int) or longest < 0:
        raise PipelineError(
            f"{folder}/sentence_bert_config.json: max_seq_length = {longest!r}: must be a whole number of tokens"
        )
    return Embedding(pooling, longest, bool(config.get("do_lower_case")), prompt)


def _pooling_file(folder: Path) -> Path:
    """Of the modules that the folder lists."""
    where, modules = folder / "modules.json", read_json(folder / "modules.json")
    try:
        kinds = [(str(module["type"]).rpartition(".")[2], str(module["path"])) for module in modules]
    except (TypeError, KeyError):
        raise PipelineError(f"{where}: is no list of modules with type and path") from None
    paths: dict[str, str] = {}
    for kind, path in kinds:
        if kind not in MODULES or kind in paths or (kind == "Transformer" and path not in ("", ".")):
            raise PipelineError(
                f"{where}: type = {kind}, path = {path!r}: must be one Transformer in the folder itself, one Pooling "
                "and perhaps one Normalize; other embedders cannot be used here"
            )
        paths[kind] = path
    if list(paths)[:2] != ["Transformer", "Pooling"]:
        raise PipelineError(f"{where}: types {list(paths)}: must begin with Transformer and Pooling")
    return folder / paths["Pooling"] / "config.json"


def _pooling(config: Path, prompt: str) -> str:
    values = read_json(config)
    named = [key for key, on in values.items() if key.startswith("pooling_mode_") and on is True]
    modes = values.get("pooling_mode")
    for mode in [modes] if isinstance(modes, str) else modes or []:
        named.append(NAMES.get(mode, f"pooling_mode = {mode!r}"))
    if len(named) != 1 or named[0] not in POOLING:
        raise PipelineError(
            f"{config}: {', '.join(named) or 'no pooling'}: must be one of {', '.join(POOLING)}"
        )
    if prompt and values.get("include_prompt") is False:
        raise PipelineError(f"{config}: include_prompt = false: must be true where texts get a prompt")
    return named[0]


def _prompt(folder: Path) -> str:
    where = folder / "config_sentence_transformers.json"
    values = _read(where)
    name, prompts = values.get("default_prompt_name"), values.get("prompts") or {}
    if name is not None and name not in prompts:
        raise PipelineError(f"{where}: default_prompt_name = {name!r}: must be one of {sorted(prompts)}")
    similarity = values.get("similarity_fn_name") or "cosine"
    normalised = any("Normalize" in str(m) for m in _read(folder / "modules.json", list()))
    if similarity != "cosine" and not (similarity == "dot" and normalised):
        raise PipelineError(
            f"{where}: similarity_fn_name = {similarity!r}: must be cosine, by which texts are compared here, or dot "
            "of vectors that are normalised"
        )
    return str(prompts[name]) if name is not None else ""


def _read(path: Path, missing: Any = None) -> Any:
    return read_json(path) if path.exists() else ({} if missing is None else missing)
