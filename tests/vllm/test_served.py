"""vLLM's own server on loopback: a grid through it, and a server that leaves the processor out is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from random_routing.errors import PipelineError
from random_routing.integrations.served import run_served
from tests.helpers.vllm_runs import CURRENT, PROMPT, Known
from tests.helpers.vllm_server import server

pytest.importorskip("vllm", reason="vLLM has an environment of its own: make test-vllm")
pytest.importorskip("pandas", reason="run_served gives a pandas table")
pytestmark = pytest.mark.skipif(
    CURRENT, reason="the interpreter of Triton is not in the server's processes"
)


def test_a_grid_by_a_served_model(model: Path, known: Known, tmp_path: Path) -> None:
    """ε-greedy with q = 0.3: the likeliest token comes first in 0.7 + 0.3/n of 1,000 texts, to 4 standard errors."""
    greedy = {"greedy": {"base": "greedy", "q_route": "uniform"}}
    with server(model, tmp_path / "log") as url:
        table = run_served(
            f"{url}/v1", [PROMPT], q=[0, 0.3], variants=greedy, baselines={"greedy": True}, samples=1000,
            max_new_tokens=1, seed=1, concurrency=32,
        )  # fmt: skip
        again = run_served(
            url, [PROMPT], q=[0.1], lam=[0.2], variants={"all": {
                "base": {"top_p": 0.9}, "q_route": "frozen", "lambda_route": {"top_k": 4}, "q_gate": {"span": 3},
                "lambda_gate": {"entropy": 0.5}, "lambda_schedule": "explore_first", "mix": "before",
            }}, samples=2, max_new_tokens=8,
        )  # fmt: skip
        with pytest.raises(PipelineError, match=r"status 404 .*The model `other` does not exist"):
            run_served(url, [PROMPT], model="other", baselines={"greedy": True})
        with pytest.raises(PipelineError, match=r"status 400 .*maximum context length"):
            run_served(url, ["rain " * 200], q=[0.1])
    of = {name: texts for name, texts in table.groupby("decoder")}
    for name in ("greedy", "routing-greedy-q0-l0"):
        assert of[name]["text"].nunique() == 1
    first = of["routing-greedy-q0.3-l0"]["logprob"].sub(of["greedy"]["logprob"].iloc[0]).abs() < 1e-4
    share = 0.7 + 0.3 / len(known.allowed)
    assert abs(first.mean() - share) < 4 * (share * (1 - share) / 1000) ** 0.5
    assert again["tokens"].between(1, 8).all() and again["r"].isna().all()


def test_a_server_that_leaves_processors_out(model: Path, tmp_path: Path) -> None:
    """V1 does with speculative decoding; it still checks the settings."""
    speculative = '{"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 3}'
    with (
        server(model, tmp_path / "log", "--speculative-config", speculative) as url,
        pytest.raises(PipelineError, match="reads the processor's settings but does not follow them"),
    ):
        run_served(url, [PROMPT], q=[0.1])
