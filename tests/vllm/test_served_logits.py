"""vLLM's own server as a generator of the pipeline: its whole distributions, and the law on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import numpy as np
import pytest

from random_routing.endpoint import NEUTRAL
from random_routing.errors import PipelineError
from random_routing.files import write_json
from random_routing.law.cells import NO_ROUTE, Decoder
from random_routing.law.vocabulary import sampling_vocabulary
from random_routing.settings import Asset, Base, Gate, Route
from random_routing.sources.served import fetch_served
from tests.helpers.vllm_runs import CURRENT, LAWS, PROMPT, K, Known, fits
from tests.helpers.vllm_server import server

if TYPE_CHECKING:  # what loads numba waits for the tests: vLLM's engine does not start beside it
    from random_routing.decode.trajectory import Trajectory
    from random_routing.models.network import LanguageModel

pytest.importorskip("vllm", reason="vLLM has an environment of its own: make test-vllm")
pytestmark = pytest.mark.skipif(
    CURRENT, reason="the interpreter of Triton is not in the server's processes"
)
UNIFORM, LIKELIEST = Route("uniform"), Route("top_k", K)
DECODERS = {
    "uniform": Decoder(Base(), 0.2, 0.0, UNIFORM),
    "top-k in a nucleus": Decoder(Base(top_p=0.9), 0.0, 0.3, NO_ROUTE, LIKELIEST),
    "both": Decoder(Base(), 0.1, 0.3, UNIFORM, LIKELIEST),
    "entropy gate": Decoder(Base(), 1.0, 0.0, LIKELIEST, q_gate=Gate("entropy", scale=0.4)),
    "epsilon-greedy": Decoder(Base(greedy=True), 0.3, 0.0, UNIFORM),
    "mix before": Decoder(Base(temperature=0.5, top_p=0.8), 0.3, 0.0, UNIFORM, mix="before"),
}
DRAWS = 20_000  # of each law, from one answer
STEPS = 24


def fetched(url: str, model: Path, folder: Path) -> Path:
    """What the stage fetch writes; the stage itself needs more than vLLM's environment has."""
    folder.mkdir()
    asset = Asset(name=folder.name, kind="model", sources=(f"served:{url}/v1",), tokenizer=f"file:{model}")
    fetch_served(asset, folder)
    write_json(folder / "asset.json", {"sources": asset.sources, "files": {}})
    return folder


def written(
    model: LanguageModel, decoder: Decoder, known: Known, texts: int, steps: int
) -> list[Trajectory]:
    """Texts after the prompt, by one decoder, to their full length."""
    from random_routing.decode.loop import decode
    from random_routing.decode.prompts import Prompts
    from random_routing.decode.sampler import Sampler

    vocabulary = sampling_vocabulary(model.tokenizer, model.shape.logits, frozenset(), False, ())
    assert {*known.allowed} == {*vocabulary.allowed}
    every = np.arange(texts)
    noise = np.random.Philox(1).random_raw((texts, 7, steps)).view(np.int64)
    sampler = Sampler([decoder], np.zeros(texts, dtype=int), every, noise, vocabulary)
    prompt = tuple(model.tokenizer(PROMPT)["input_ids"])
    decode(model, Prompts.of([prompt] * texts, 16), sampler, steps, batch_size=256)
    return sampler.made.texts()


def test_the_law_on_what_the_server_returns(model: Path, known: Known, tmp_path: Path) -> None:
    """p as transformers has it; first tokens by χ² (a false alarm in 1,700 runs, over six laws at 1e-4); greedy
    texts are the server's own.
    """
    from random_routing.models.loading import load_model

    with server(model, tmp_path / "log", "--max-logprobs", "-1") as url:
        far = load_model(fetched(url, model, tmp_path / "far"))
        first = {
            name: np.array([text.token_ids[0] for text in written(far, decoder, known, DRAWS, 1)])
            for name, decoder in DECODERS.items()
        }
        [greedy] = written(far, Decoder(Base(greedy=True)), known, 1, STEPS)
        sampled = written(far, Decoder(Base()), known, 300, 2)
        body = {
            "model": "tiny",
            "prompt": PROMPT,
            "max_tokens": STEPS,
            "ignore_eos": True,
            "return_token_ids": True,
        }
        own = httpx2.post(
            f"{url}/v1/completions", json={**NEUTRAL, **body, "temperature": 0}, trust_env=False, timeout=60
        ).json()["choices"][0]
    assert set(DECODERS) == set(LAWS)
    for name, tokens in first.items():
        assert fits(tokens, known.law(name)) > 1e-4, name
    assert greedy.token_ids.tolist() == own["token_ids"]
    logprobs = np.log(known.p)[[text.token_ids[0] for text in sampled]]
    assert np.allclose([text.model_logprobs[0] for text in sampled], logprobs, atol=1e-4)


def test_a_server_that_keeps_its_distributions(model: Path, tmp_path: Path) -> None:
    with server(model, tmp_path / "log") as url:
        line = r"status 400 \(Requested sample logprobs of 300.*20.*\); start it with --max-logprobs -1"
        with pytest.raises(PipelineError, match=line):
            fetched(url, model, tmp_path / "far")
