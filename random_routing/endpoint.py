"""An OpenAI-compatible endpoint: what it is asked, and what is believed of its answers."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any, TypeVar

import httpx2
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from random_routing.errors import PipelineError, short

TRIES = 4  # of a request whose connection fails, or that a busy server puts off
PAUSE = 0.5  # seconds before the second try; each later one waits twice as long
BUSY = (429, 502, 503, 504)
LARGEST = 2**26  # bytes of an answer; a text of a million tokens with its log-probabilities has fewer
FINISH = {"stop": "eos", "length": "length"}
API_KEY = "RANDOM_ROUTING_API_KEY"  # of the environment: a command line and a file can be read by others
# Sampling that leaves the model's distribution as it is; a server may have other defaults.
NEUTRAL = {
    "temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0,
    "presence_penalty": 0.0, "frequency_penalty": 0.0,
}  # fmt: skip
TOKEN = "token_id:"  # before an id, where tokens are named by it
ALL = "start it with --max-logprobs -1"


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


class _Step(BaseModel):
    top_logprobs: Annotated[list[dict[str, float]], Field(min_length=1, max_length=1)]


class _Next(BaseModel):
    index: int
    logprobs: _Step | None = None


class _Distributions(BaseModel):
    choices: list[_Next]


Form = TypeVar("Form", bound=BaseModel)


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
        self.base = str(address.copy_with(path=f"{path.removesuffix('/v1')}/", query=None))
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
        return str(self._listed("")["id"])

    def about(self, name: str = "") -> dict[str, Any]:
        """What the server says of a model, which may be its only one: its name (id) and what it was loaded from
        (root), how many tokens it gives log-probabilities of (logprobs), the longest text (context; 0: not said), and
        the server's version. What is not said is empty.
        """
        listed = self._listed(name)
        model, context = listed["id"], listed.get("max_model_len")
        return {
            "id": model, "root": str(listed.get("root") or ""), "version": self._version(),
            "context": context if isinstance(context, int) else 0,
            "logprobs": len(self.next_logprobs(model, [[0]])[0]),
        }  # fmt: skip

    def _listed(self, name: str) -> dict[str, Any]:
        """The entry of a model; of the only one, without a name."""
        found = self._ask("GET", "v1/models").get("data")
        models = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        named = {one["id"]: one for one in models if isinstance(one.get("id"), str)}
        names = ", ".join(named)[:200]
        if name and name not in named:
            raise PipelineError(f"{self.name}: has no model {name:.100}; it has {names}")
        if not name and len(named) != 1:
            raise PipelineError(f"{self.name}: has {len(named)} models; name one: {names}")
        return named[name or next(iter(named))]

    def _version(self) -> str:
        """Servers that have none say so in many ways."""
        try:
            return str(self._ask("GET", "version").get("version", ""))[:100]
        except PipelineError:
            return ""

    def next_logprobs(self, model: str, prompts: Sequence[Sequence[int]]) -> list[dict[str, float]]:
        """Of each prompt of token ids: `TOKEN` and id → log-probability (nats) of the next token, of as many as the
        server gives. vLLM writes −9999 for −∞.
        """
        body = {
            "model": model, "prompt": prompts, "max_tokens": 1, "logprobs": -1, "return_tokens_as_token_ids": True,
            "stream": False, "n": 1, **NEUTRAL,
        }  # fmt: skip
        try:
            answer = self._ask("POST", "v1/completions", body)
        except Refused as error:
            hint = f"; {ALL}" if "logprobs" in str(error) else ""
            raise PipelineError(f"{error}{hint}") from None
        choices = sorted(self._read_as(_Distributions, answer).choices, key=lambda choice: choice.index)
        if [choice.index for choice in choices] != [*range(len(prompts))]:
            raise PipelineError(f"{self.name}: gives {len(choices)} answers to {len(prompts)} prompts")
        steps = [choice.logprobs.top_logprobs[0] for choice in choices if choice.logprobs]
        if len(steps) < len(prompts) or not all(steps):
            raise PipelineError(
                f"{self.name}: returns no log-probabilities, which stand for the logits; {ALL}"
            )
        if not all(token.startswith(TOKEN) for token in steps[0]):
            raise PipelineError(
                f"{self.name}: names tokens by their text ({next(iter(steps[0]))!r:.40}), not by their id; vLLM's "
                "server does with return_tokens_as_token_ids"
            )
        return steps

    def complete(self, body: dict[str, Any]) -> Answer:
        """One text for a body of /v1/completions, which asks for log-probabilities."""
        [choice] = self._read_as(_Completion, self._ask("POST", "v1/completions", body)).choices
        if choice.logprobs is None:
            raise PipelineError(
                f"{self.name}: returns no log-probabilities, so that nothing can be checked or scored"
            )
        if choice.finish_reason not in FINISH:
            raise PipelineError(
                f"{self.name}: ended a text by {choice.finish_reason!r:.60}, which is no end of a text"
            )
        return Answer(choice.text, tuple(choice.logprobs.token_logprobs), FINISH[choice.finish_reason])

    def _read_as(self, form: type[Form], raw: dict[str, Any]) -> Form:
        try:
            return form.model_validate(raw)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise PipelineError(
                f"{self.name}: is no completion ({where:.100}: {short(error.errors()[0]['msg'], 100)})"
            ) from None

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
        with self.client.stream(method, f"{self.base}{path}", json=body) as response:
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
