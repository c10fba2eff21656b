"""Texts whose bytes change on a GPU: with this decoder none, with the libraries as they come all."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_device import TASK, Device, one_text_a_prompt
from benchmarks.workload import Workload, without_beam, workload
from random_routing.decode.slots import Grow, apart, together
from random_routing.decode.trajectory import Trajectory
from random_routing.files import read_json
from random_routing.models.loading import load_model
from random_routing.models.network import LanguageModel
from random_routing.runs.blocks import grouped, make_ready, run_block, units

FIELDS = ("token_ids", "routes", "logprobs", "model_logprobs", "ranks", "entropies")


def digest(text: Trajectory) -> str:
    return sha256(
        b"".join(np.ascontiguousarray(getattr(text, name)).tobytes() for name in FIELDS)
    ).hexdigest()


def digests(model: LanguageModel, work: Workload, batch: int, grow: Grow = together) -> dict[bytes, str]:
    ready, made = make_ready(lambda: model, work.plan.prefix), dict[bytes, str]()
    for block in units(grouped(work.texts), 2**20):
        texts, _ = run_block(ready, work.plan, block, batch, grow)
        made |= {key: digest(text) for key, text in texts.items()}
    return made


def same_bits(on: Device) -> dict[str, Any]:
    """Texts whose bytes change with the batch, with sharing, with order and subset of the texts."""
    settings, counts = one_text_a_prompt(), dict[str, Any]()
    work = workload(settings, TASK, without_beam(settings, TASK), on.sizes.few)
    fewer = replace(work, texts=work.texts[::-3])
    for dtype in on.dtypes:
        model = load_model(work.folder, dtype, on.name)
        reference = digests(model, work, on.sizes.checked[0])
        compared = {str(batch): digests(model, work, batch) for batch in on.sizes.checked[2:]}
        compared["nothing shared"] = digests(model, work, on.sizes.checked[0], apart)
        compared["every third, backwards"] = digests(model, fewer, on.sizes.checked[1])
        counts[dtype] = {
            "texts": len(reference),
            "other_bits": {
                name: sum(made[key] != reference[key] for key in made) for name, made in compared.items()
            },
        }
        del model
        on.empty()
    return counts


def inverse(on: Device) -> dict[str, Any]:
    """The same in fp32 with the libraries as they come: there must be a difference. In a process of its own, because
    CUDA reads what `models.invariant` sets only when it starts."""
    default = {"CUBLAS_WORKSPACE_CONFIG": ":4096:2:16:8:32768:1", "CUBLASLT_WORKSPACE_SIZE": "32768"}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "inverse.json"
        command = [sys.executable, "-m", "benchmarks.gpu", "--device", on.name, "--parts", "as_they_come"]
        subprocess.run([*command, "--output", output], check=True, env={**os.environ, **default})
        return read_json(output)["as_they_come"]


def as_they_come(on: Device) -> dict[str, Any]:
    settings = one_text_a_prompt()
    work = workload(settings, TASK, without_beam(settings, TASK), max(1, on.sizes.few // 3))
    model = load_model(work.folder, "float32", on.name, invariant=False)
    one, other = (digests(model, work, batch) for batch in (on.sizes.checked[0], on.sizes.checked[2]))
    return {"texts": len(one), "other_bits": sum(one[key] != other[key] for key in one)}
