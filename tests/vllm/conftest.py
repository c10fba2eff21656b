"""An engine of vLLM on a tiny model, for all tests of a run. `VLLM_USE_V2_MODEL_RUNNER` says with which runner.

The current runner's kernels are Triton's. On a CPU its interpreter runs them, a thousand times slower.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers.vllm_runs import CURRENT, PROMPT, Known

if find_spec("vllm"):  # before torch and Triton are imported
    # In this process, so that tests see the logits; without a network; in little memory.
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_USE_V2_MODEL_RUNNER": str(int(CURRENT)), "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",  # more would wait for each other on a busy machine
    }  # fmt: skip
    if CURRENT:
        os.environ["TRITON_INTERPRET"] = "1"
        from triton.backends import backends

        backends["cpu"] = SimpleNamespace(driver=SimpleNamespace(is_active=lambda: True), compiler=None)

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from random_routing.integrations.processor import vocabulary_of
from tests.helpers.tiny import tiny_model_folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("model") / "tiny", "llama_wide")


@pytest.fixture(scope="session")
def engine(model: Path) -> Iterator[Any]:
    from vllm import LLM

    made = LLM(
        str(model), dtype="float32", enforce_eager=True, max_model_len=256, max_num_seqs=1024, seed=0,
        gpu_memory_utilization=0.05,  # of the CPU's memory, which other programs use too
    )  # fmt: skip
    assert made.llm_engine.vllm_config.use_v2_model_runner == CURRENT
    yield made
    made.llm_engine.engine_core.shutdown()


@pytest.fixture(scope="session")
def known(model: Path) -> Known:
    """What transformers says of the same model: p after the prompt, and what may be drawn at random."""
    tokenizer, network = (
        AutoTokenizer.from_pretrained(model),
        AutoModelForCausalLM.from_pretrained(model).eval(),
    )
    with torch.inference_mode():
        logits = network(**tokenizer(PROMPT, return_tensors="pt")).logits[0, -1].double().numpy()
    p = np.exp(logits - logits.max())
    return Known(p / p.sum(), vocabulary_of(network, tokenizer).allowed)


@pytest.fixture
def texts(engine: Any) -> Callable[..., list[list[int]]]:
    """Token ids of some texts after the prompt, by one law; None: without the processor."""
    from vllm import SamplingParams

    def write(
        law: dict[str, Any] | None, count: int = 1, tokens: int = 1, **others: Any
    ) -> list[list[int]]:
        given = {"temperature": 1.0, "ignore_eos": True, "detokenize": False, "max_tokens": tokens} | others
        n = min(count, 500)  # of one request; vLLM takes long to tell very many apart
        params = SamplingParams(
            n=n, extra_args={"random_routing": law} if law is not None else None, **given
        )
        outputs = engine.generate([PROMPT] * (count // n), params, use_tqdm=False)
        return [list(one.token_ids) for output in outputs for one in output.outputs]

    return write
