"""A small HTTP server that stands in for vLLM's: /v1/models and /v1/completions, with faults."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.helpers.loopback import Handler, served

Answered = tuple[int, bytes]


@dataclass
class Behaviour:
    """knows: reads the processor's settings; follows: does what they say. change: of a whole answer."""

    knows: bool = True
    follows: bool = True
    models: tuple[str, ...] = ("tiny",)
    busy: int = 0  # how many requests are put off first
    change: Callable[[Answered], Answered] = lambda answered: answered
    asked: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def completions(behaviour: Behaviour) -> Iterator[str]:
    handler = type("Told", (_Handler,), {"behaviour": behaviour})
    with served(handler) as address:
        yield address


class _Handler(Handler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        self.answer(200, json.dumps({"data": [{"id": name} for name in self.behaviour.models]}).encode())

    def do_POST(self) -> None:
        body = self.body()
        self.behaviour.asked.append(body)
        if self.behaviour.busy:
            self.behaviour.busy -= 1
            self.answer(503, b"busy")
        else:
            self.answer(*self.behaviour.change(self._complete(body)))

    def _complete(self, body: dict[str, Any]) -> Answered:
        settings = json.loads((body.get("vllm_xargs") or {}).get("random_routing", "{}"))
        if self.behaviour.knows and settings.get("q", 0) > 1:
            return 400, json.dumps({"error": {"message": "random_routing: q = 2: must be\nless"}}).encode()
        likeliest = self.behaviour.follows and settings.get("q_route") == {"top_k": 1}
        words = ["a", "b", "c", "d", "e", "f", "g", "h"]
        drawn = random.Random(body["seed"])
        text = " a" * 6 if likeliest else "".join(f" {drawn.choice(words)}" for _ in range(6))
        choice = {"text": text, "finish_reason": "length", "logprobs": {"token_logprobs": [-1.5] * 6}}
        return 200, json.dumps({"choices": [choice]}).encode()
