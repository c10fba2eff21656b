"""A small HTTP server that returns whole distributions of a tiny model, as vLLM's does, with faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from tests.helpers.loopback import Handler, served

Answered = tuple[int, Any]  # the status, and what becomes JSON; bytes are sent as they are


def as_it_is(status: int, value: Any) -> Answered:
    return status, value


@dataclass
class Served:
    """model: a folder. change: of every answer to a prompt; asked: the prompts, in order; left: of requests, which then
    fail."""

    model: Path
    names: tuple[str, ...] = ("tiny",)
    root: str = "org/tiny"
    change: Callable[[int, Any], Answered] = as_it_is
    left: int = 10**9
    asked: list[tuple[int, ...]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.network = AutoModelForCausalLM.from_pretrained(self.model).eval()

    def get(self, path: str) -> Answered:
        if path == "/version":
            return 200, {"version": "1.2"}
        return 200, {"data": [{"id": name, "root": self.root, "max_model_len": 256} for name in self.names]}

    def post(self, body: dict[str, Any]) -> Answered:
        with self.lock, torch.inference_mode():
            self.left -= 1
            if self.left < 0:
                return 500, {"error": {"message": "out of order"}}
            self.bodies.append(body)
            self.asked += [tuple(prompt) for prompt in body["prompt"]]
            choices = [self._choice(i, prompt) for i, prompt in enumerate(body["prompt"])]
        return self.change(200, {"choices": choices})

    def _choice(self, index: int, prompt: list[int]) -> dict[str, Any]:
        logprobs = self.network(torch.tensor([prompt])).logits[0, -1].log_softmax(0).tolist()
        named = {f"token_id:{token}": value for token, value in enumerate(logprobs)}
        return {"index": index, "finish_reason": "length", "logprobs": {"top_logprobs": [named]}}


@contextmanager
def serving(server: Served) -> Iterator[str]:
    handler = type("Told", (_Handler,), {"server_of": server})
    with served(handler) as address:
        yield f"{address}/v1"


class _Handler(Handler):
    server_of: Served

    def do_GET(self) -> None:
        self._answer(*self.server_of.get(self.path))

    def do_POST(self) -> None:
        self._answer(*self.server_of.post(self.body()))

    def _answer(self, status: int, value: Any) -> None:
        self.answer(status, value if isinstance(value, bytes) else json.dumps(value).encode())


def asset_of(url: str, **others: Any) -> dict[str, Any]:
    """Of a served model, as it stands in params.yaml."""
    return {"kind": "model", "source": f"served:{url}", "tokenizer": "file:models/one", **others}
