"""An OpenAI-compatible endpoint: what it is asked, and what is believed of its answers."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any

import httpx2
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from random_routing.errors import PipelineError, short

TRIES = 4  # of a request whose connection fails, or that a busy server puts off
PAUSE = 0.5  # seconds before the second try; each later one waits twice as long
BUSY = (429, 502, 503, 504)
LARGEST = 2**26  # bytes of an answer; a text of a million tokens with its log-probabilities has fewer
FINISH = {"stop": "eos", "length": "length"}


def _whole(text: str) -> str:
    text.encode()  # half a character is in no text, and in no file
    return text


class _Logprobs(BaseModel):
    token_logprobs: list[Annotated[float, Field(le=0, allow_inf_nan=False)]]


class _Choice(BaseModel):
    text: Annotated[str, AfterValidator(_whole)]
    finish_reason: str
    logprobs: _Logprobs | None = None


class _Completion(BaseModel):
    choices: Annotated[list[_Choice], Field(min_length=1, max_length=1)]


@dataclass(frozen=True)
class Answer:
    """A text. logprobs: (tokens,) in nats, of each token under the model itself; finish: eos or length."""

    text: str
    logprobs: tuple[float, ...]
    finish: str


class Refused(PipelineError):
    """A status of 4xx: the server answers, and does not want this request."""


class Endpoint:
    """url: with or without /v1. timeout: seconds without a byte. Raises `PipelineError`, always one line."""

    def __init__(self, url: str, api_key: str | None = None, timeout: float = 300.0) -> None:
        try:
            address = httpx2.URL(url)
        except (httpx2.InvalidURL, TypeError) as error:
            raise PipelineError(f"url {url!s:.200}: is no address ({short(error)})") from None
        if address.scheme not in ("http", "https") or not address.host:
            raise PipelineError(f"url {url:.200}: must be such as http://127.0.0.1:8000")
        path = address.path.rstrip("/")
        self.base = str(address.copy_with(path=path if path.endswith("/v1") else f"{path}/v1", query=None))
        # For messages and metadata: without what may be a password.
        self.name = str(
            address.copy_with(username=None, password=None, path=path or "/", query=None)
        ).rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.client = httpx2.Client(headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def only_model(self) -> str:
        """The name of the model, where there is one alone."""
        listed = self._ask("GET", "models").get("data")
        names = (
            [one.get("id") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        )
        if len(names) != 1 or not isinstance(names[0], str):
            raise PipelineError(
                f"{self.name}: has {len(names)} models; name one: {', '.join(map(str, names))[:200]}"
            )
        return names[0]

    def complete(self, body: dict[str, Any]) -> Answer:
        """One text for a body of /v1/completions, which asks for log-probabilities."""
        raw = self._ask("POST", "completions", body)
        try:
            [choice] = _Completion.model_validate(raw).choices
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise PipelineError(
                f"{self.name}: is no completion ({where:.100}: {short(error.errors()[0]['msg'], 100)})"
            ) from None
        if choice.logprobs is None:
            raise PipelineError(
                f"{self.name}: returns no log-probabilities, so that nothing can be checked or scored"
            )
        if choice.finish_reason not in FINISH:
            raise PipelineError(
                f"{self.name}: ended a text by {choice.finish_reason!r:.60}, which is no end of a text"
            )
        return Answer(choice.text, tuple(choice.logprobs.token_logprobs), FINISH[choice.finish_reason])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                status, content = self._send(method, path, body)
            except httpx2.TimeoutException:
                raise PipelineError(
                    f"{self.name}: sent nothing for {self.client.timeout.read:g} s"
                ) from None
            except httpx2.TransportError as error:
                if last:
                    raise PipelineError(f"{self.name}: cannot be reached ({short(error)})") from None
            else:
                if status not in BUSY or last:
                    return self._read(status, content)
            time.sleep(PAUSE * 2**attempt)
        raise AssertionError  # the last try returns or raises

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        with self.client.stream(method, f"{self.base}/{path}", json=body) as response:
            content = bytearray()
            for part in response.iter_bytes():
                content += part
                if len(content) > LARGEST:
                    raise PipelineError(f"{self.name}: its answer is longer than {LARGEST} bytes")
            return response.status_code, bytes(content)

    def _read(self, status: int, content: bytes) -> dict[str, Any]:
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
        if status >= 300:
            said = (
                value.get("error", value) if isinstance(value, dict) else content.decode(errors="replace")
            )
            said = said.get("message", said) if isinstance(said, dict) else said
            kind = Refused if 400 <= status < 500 else PipelineError
            raise kind(f"{self.name}: status {status} ({short(said)})")
        if not isinstance(value, dict):
            said = content[:200].decode(errors="replace")
            raise PipelineError(f"{self.name}: its answer is not a JSON object ({short(said)})")
        return value
