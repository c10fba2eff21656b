"""vLLM's own server on loopback, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.helpers.waiting import until


@contextmanager
def server(model: Path, log: Path, *options: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--host", "127.0.0.1",
        "--port", str(port), "--served-model-name", "tiny", "--dtype", "float32", "--enforce-eager",
        "--max-model-len", "256", "--gpu-memory-utilization", "0.05", *options,
    ]  # fmt: skip
    environment = os.environ | {"VLLM_LOGGING_LEVEL": "WARNING"}
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING")
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: answers(url) or process.poll() is not None, "the server")
            assert process.poll() is None, log.read_text()[-2000:]
            yield url
        finally:
            process.terminate()
            process.wait()


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False
