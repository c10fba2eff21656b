"""A grid of decoders by a served model: `run_served` gives the table of `run_grid`, as far as a server tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from random_routing.endpoint import Answer, Endpoint, Refused
from random_routing.errors import PipelineError
from random_routing.files import sha256_json
from random_routing.integrations.asked import PLAUSIBLE, checked, listed
from random_routing.integrations.served.cells import TASK, Asked, ServedCell, cells, probes
from random_routing.integrations.vllm.settings import KEY
from random_routing.law.noise import Source
from random_routing.tasks.example_ids import with_ids

# What `run_grid` promises and a server does not, in the table's metadata.
NOT_GUARANTEED = {
    "bytes": "a text depends on the server's batch, hardware and version: the same call may give other texts",
    "pairing": "decoders share seeds, not the numbers that draw their tokens: differences are not paired as in a grid",
    "random_tokens": "a server does not say which tokens a random route took: the column is missing",
    "r": "the rate that was asked for; the observed share of random steps is not known",
    "model": "weights, dtype and tokenizer are the server's: its name for the model is all that is known",
    "logprob": "of the server's own arithmetic, whatever it is set to return (vLLM: --logprobs-mode raw_logprobs)",
    "law": "that the processor follows the law is tested with vLLM 0.32; here only that it is at work was checked",
}
Done = Callable[[str, Answer], None]


def run_served(
    url: str,
    prompts: Sequence[str] | Mapping[str, str],
    *,
    q: float | Sequence[float] = (0,),
    lam: float | Sequence[float] = (0,),
    variants: Mapping[str, Any] | None = None,
    baselines: Mapping[str, Any] | None = None,
    samples: int = 1,
    max_new_tokens: int = 48,
    seed: int = 0,
    model: str | None = None,
    api_key: str | None = None,
    concurrency: int = 8,
    timeout: float = 300.0,
    finished: Mapping[str, Answer] | None = None,
    on_answer: Done | None = None,
) -> pd.DataFrame:
    """A row per decoder, prompt and sample, by vLLM's server with this package installed beside it.

    url: such as http://127.0.0.1:8000. prompts, q, lam, baselines, samples, max_new_tokens, seed: as of `run_grid`.
    variants: as in params.yaml, but {entropy: scale} for an entropy gate, and without routes through the model.
    model: the server's name for it; left out: the only one. concurrency: requests at a time. timeout: seconds
    without a byte. finished, on_answer: answers that are there already and those to keep, by the hash of the request.

    Columns: those of `run_grid`; random_tokens is missing, r too with entropy gates. `attrs["served"]` has the
    endpoint, the model, and `not_guaranteed`: what a server does not promise, by name.

    Raises `PipelineError`, one line: an endpoint that is down, has no processor, or returns no log-probabilities.
    """
    asked = checked(
        Asked, q=listed(q), lam=listed(lam), variants=dict(variants or {"plausible": PLAUSIBLE}),
        baselines=dict(baselines or {}), samples=samples, max_new_tokens=max_new_tokens, seed=seed,
        concurrency=concurrency,
    )  # fmt: skip
    wanted, texts = cells(asked), with_ids(prompts)
    with Endpoint(url, api_key, timeout) as endpoint:
        name = model or endpoint.only_model()
        if any(cell.settings for cell in wanted):
            check_processor(endpoint, name, next(iter(texts.values())))
        rows = _rows(asked, wanted, texts, name)
        answers = _answers(endpoint, [body for _, body in rows], concurrency, finished or {}, on_answer)
    table = pd.DataFrame(
        [about | _columns(answer) for (about, _), answer in zip(rows, answers, strict=True)]
    )
    table = table.astype(
        {"random_tokens": "Int64", **dict.fromkeys(("q", "lambda", "r", "setting"), "float64")}
    )
    table.attrs["served"] = {"url": endpoint.name, "model": name, "not_guaranteed": NOT_GUARANTEED}
    return table


def check_processor(endpoint: Endpoint, model: str, prompt: str) -> None:
    """Raises `PipelineError` where routes would be ignored: plain samples must never bear the name of routing.

    The server has to refuse q = 2; to write one text for four seeds where the likeliest token is all that may be
    drawn; and four different ones where any token may be. Without the processor neither sampling nor a model that
    always says the same does all three.
    """
    wrong, all_one, all_different = probes(model, prompt, range(4))
    missing = f"{endpoint.name}: does not know the processor; install random-routing beside its vLLM"
    endpoint.complete({**wrong, "vllm_xargs": None})  # whatever else is wrong is said of a plain request
    try:
        endpoint.complete(wrong)
    except Refused as error:
        if KEY not in str(error):
            raise PipelineError(f"{missing} ({error})") from None
    else:
        raise PipelineError(f"{missing} (it takes q = 2)")
    one, different = (
        {endpoint.complete(body).text for body in bodies} for bodies in (all_one, all_different)
    )
    if len(one) > 1 or len(different) < len(all_different):
        raise PipelineError(
            f"{endpoint.name}: reads the processor's settings but does not follow them (with speculative decoding vLLM "
            "leaves processors out)"
        )


def _rows(
    asked: Asked, wanted: Sequence[ServedCell], texts: Mapping[str, str], model: str
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The known columns of each row, and its request."""
    rows = []
    for cell, (name, prompt), sample in product(wanted, texts.items(), range(asked.samples)):
        body = cell.body(model, prompt, asked.max_new_tokens, Source(asked.seed, TASK, name, sample))
        rows.append(({**cell.about, "prompt": prompt, "sample": sample}, body))
    return rows


def _answers(
    endpoint: Endpoint, bodies: Sequence[dict[str, Any]], concurrency: int, finished: Mapping[str, Answer],
    on_answer: Done | None,
) -> list[Answer]:  # fmt: skip
    """In order. The first error ends it; requests that wait are not sent any more."""

    def one(body: dict[str, Any]) -> Answer:
        key = request_key(endpoint, body)
        if key in finished:
            return finished[key]
        answer = endpoint.complete(body)
        if not bool(answer.text) <= len(answer.logprobs) <= body["max_tokens"]:
            raise PipelineError(
                f"{endpoint.name}: gives {len(answer.logprobs)} log-probabilities for a text of at most "
                f"{body['max_tokens']} tokens"
            )
        if on_answer:
            on_answer(key, answer)
        return answer

    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="served")
    try:
        return list(pool.map(one, bodies))
    finally:
        pool.shutdown(cancel_futures=True)


def request_key(endpoint: Endpoint, body: Mapping[str, Any]) -> str:
    return sha256_json({"url": endpoint.name, **body})


def _columns(answer: Answer) -> dict[str, Any]:
    return {
        "text": answer.text, "tokens": len(answer.logprobs), "random_tokens": None,
        "logprob": float(np.sum(answer.logprobs, dtype=np.float64)), "finish": answer.finish,
    }  # fmt: skip
