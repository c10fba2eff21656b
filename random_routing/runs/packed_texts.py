"""What the decoder made of a text: as bytes in the store, as a row of its cell's file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from random_routing.decode.trajectory import Trajectory
from random_routing.models.tokens import continuation
from random_routing.runs.plan import Plan, Text
from random_routing.tasks import TASK_KINDS


def pack(trajectory: Trajectory) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **vars(trajectory))
    return buffer.getvalue()


def unpack(value: bytes) -> Trajectory:
    with np.load(io.BytesIO(value), allow_pickle=False) as arrays:
        return Trajectory(**{**arrays, "ended": bool(arrays["ended"])})


def cell_row(text: Text, trajectory: Trajectory, tokenizer: Any, plan: Plan) -> dict[str, Any]:
    """A dictionary with the fields of `cell_files.SCHEMA`."""
    kind, ids = TASK_KINDS[plan.task.kind], trajectory.token_ids.tolist()
    decoded = continuation(tokenizer, plan.before(text.example), ids)
    if kind.stop_at_newline:
        decoded = decoded.split("\n")[0]
    return {
        "example_id": text.example.id,
        "sample": text.sample,
        "text": decoded if kind.goes_on else decoded.strip(),
        "token_ids": ids,
        "routes": trajectory.routes.tolist(),
        "logprobs": trajectory.logprobs.astype(np.float32).tolist(),
        "model_logprobs": trajectory.model_logprobs.astype(np.float32).tolist(),
        "ranks": trajectory.ranks.tolist(),
        "entropies": trajectory.entropies.tolist(),
        "finish": "eos" if trajectory.ended else "length",
    }
