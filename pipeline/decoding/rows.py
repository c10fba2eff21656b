"""From what the decoder made of a text to a row of its cell's file."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.decoding.members import Trajectory
from pipeline.decoding.plan import Plan, Text
from pipeline.tasks import TASKS


def cell_row(text: Text, trajectory: Trajectory, tokenizer: Any, plan: Plan) -> dict[str, Any]:
    """A dictionary with the fields of `cellfile.SCHEMA`."""
    ids = trajectory.token_ids.tolist()
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    if TASKS[plan.task.name].stop_at_newline:
        decoded = decoded.split("\n")[0]
    return {
        "example_id": text.example.id,
        "sample": text.sample,
        # A continuation goes on where its prompt ends, so its first space belongs to it.
        "text": decoded if plan.task.name == "textgen" else decoded.strip(),
        "token_ids": ids,
        "routes": trajectory.routes.tolist(),
        "logprobs": trajectory.logprobs.astype(np.float32).tolist(),
        "model_logprobs": trajectory.model_logprobs.astype(np.float32).tolist(),
        "ranks": trajectory.ranks.tolist(),
        "entropies": trajectory.entropies.tolist(),
        "finish": "eos" if trajectory.ended else "length",
    }
