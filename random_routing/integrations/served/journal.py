"""Answers that are there already: a line each, beside the table that they are for, until it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import TextIO

from random_routing.endpoint import Answer
from random_routing.errors import PipelineError
from random_routing.files import sealed, unsealed
from random_routing.integrations.served.run import Done


def read(path: Path) -> Mapping[str, Answer]:
    """By the hash of the request. A line that a crash cut off, or that somebody changed, is not there."""
    found: dict[str, Answer] = {}
    if not path.exists():
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = unsealed(str(path), json.loads(line))
            answer = row["answer"]
            found[row["key"]] = Answer(answer["text"], tuple(answer["logprobs"]), answer["finish"])
        except (ValueError, KeyError, TypeError, PipelineError):
            continue
    return found


@contextmanager
def kept(path: Path) -> Iterator[Done]:
    """Takes answers from any thread, and puts each on the disk. There is no file before the first one."""
    lock = Lock()
    with ExitStack() as stack:
        lines: list[TextIO] = []

        def add(key: str, answer: Answer) -> None:
            line = json.dumps(sealed({"key": key, "answer": asdict(answer)}))
            with lock:
                if not lines:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    lines.append(stack.enter_context(path.open("a", encoding="utf-8")))
                    line = f"\n{line}"  # after a line that was cut off
                lines[0].write(f"{line}\n")
                lines[0].flush()

        yield add
