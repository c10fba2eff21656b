"""Checks a task's models before any work: each fits its role, and the judge is not the generator."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

from transformers import AutoModel

from random_routing.errors import PipelineError
from random_routing.files import asset_files, sha256_file
from random_routing.models.folder import check_model, check_served, is_served, load_tokenizer, read_config
from random_routing.models.pooling import read_embedding
from random_routing.models.supported import class_of
from random_routing.settings import Settings, Task

ASSETS = Path("data/assets")


def check_generator(task: Task) -> None:
    """Raises `PipelineError` for a generator that is missing, or cannot be decoded."""
    _check(f"tasks.{task.name}.model", task.model, _check_writer)


def _check_writer(folder: Path) -> None:
    if is_served(folder):
        check_served(folder)
    else:
        check_model(folder)


def check_roles(settings: Settings, task: Task) -> None:
    """Generator, judge and embedder of a task. Raises `PipelineError` naming the key."""
    check_generator(task)
    _check(f"tasks.{task.name}.judge", task.judge, check_model)
    _check("embedder", settings.embedder, check_embedder)
    if task.judge != task.model and _weights(task.judge) == _weights(
        task.model
    ):  # the same: no metric reads it
        raise PipelineError(
            f"params.yaml: tasks.{task.name}.judge = {task.judge}: has the same weights as the generator "
            f"{task.model}; a model does not judge its own texts"
        )


def check_embedder(folder: Path) -> None:
    """What can be seen without the weights. Raises `PipelineError`."""
    config = read_config(folder)
    kind = class_of(AutoModel, config)
    if kind is None or "decoder_input_ids" in signature(kind.forward).parameters:  # encoder and decoder
        raise PipelineError(
            f"{folder}/config.json: model_type = {config.model_type!r}: must be an encoder, or a decoder alone"
        )
    read_embedding(folder)
    load_tokenizer(folder)


def _check(key: str, name: str, check: Any) -> None:
    folder = ASSETS / name
    if not folder.is_dir():
        raise PipelineError(f"{folder}: missing; run dvc repro fetch@{name}")
    try:
        check(folder)
    except PipelineError as error:
        raise PipelineError(f"params.yaml: {key} = {name}: {error}") from None


def _weights(name: str) -> list[str]:
    """Hashes of the weights' files, in order; as fetch wrote them, where it did."""
    folder = ASSETS / name
    if not (folder / "asset.json").exists():
        return sorted(sha256_file(file) for file in folder.glob("*.safetensors"))
    files = asset_files(folder)
    return sorted(digest for file, digest in files.items() if file.endswith(".safetensors"))
