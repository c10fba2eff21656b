"""Speed on a GPU: of the loop over `generate`, the bare step, the decoder, and a large model."""

from __future__ import annotations

import sys
import time
from functools import partial
from hashlib import sha256
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig

from benchmarks import library_loop
from benchmarks.gpu_device import TASK, Device, one_text_a_prompt
from benchmarks.workload import MOST_EXAMPLES, Workload, routing_only, without_beam, workload
from random_routing.decode.row_counts import Work
from random_routing.decode.slots import Grow, apart, together
from random_routing.decode.trajectory import Trajectory
from random_routing.models.attention import NAME
from random_routing.models.folder import load_tokenizer
from random_routing.models.invariant import make_invariant
from random_routing.models.loading import load_model
from random_routing.models.network import CausalModel, LanguageModel, pad
from random_routing.models.shape import Shape
from random_routing.models.shared import prefill_rows
from random_routing.runs.blocks import grouped, make_ready, run_block, units


def machine(on: Device) -> dict[str, Any]:
    """Peaks that the rest is measured against."""
    size = 8_192 if on.name == "cuda" else 512
    peaks = {}
    for dtype in on.dtypes:
        a, b = (torch.randn(size, size, device=on.name).to(getattr(torch, dtype)) for _ in range(2))
        product = partial(torch.nn.functional.linear, a, b)
        peaks[dtype] = 2e-9 * size**3 / on.milliseconds(product, 5)
    source = torch.randn(size, size, device=on.name)
    target = torch.empty_like(source)
    copied = 2e-9 * source.nbytes / on.milliseconds(lambda: target.copy_(source))
    return {
        "device": torch.cuda.get_device_name() if on.name == "cuda" else "CPU",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "multiply_tflops": peaks,
        "copy_tb_per_second": copied,
    }


def prompts_of(work: Workload, rows: int) -> tuple[Tensor, Tensor]:
    examples = work.plan.examples
    prompts = [examples[i % len(examples)].prompt for i in range(rows)]
    return pad(prompts, max(len(prompt) for prompt in prompts), left=True)


def loop_speeds(on: Device, network: Any, work: Workload, batches: tuple[int, ...], whole: bool) -> Any:
    """Tokens per second of `generate` with a mixing processor, one cell: a few tokens at each batch until memory ends,
    and, if asked for, whole texts at the best.
    """
    stop, steps = sorted(work.plan.vocabulary.stop), work.plan.task.max_new_tokens

    def speed(batch: int, tokens: int) -> float:
        ids, padding = (x.to(on.name) for x in prompts_of(work, batch))
        on.empty()
        return library_loop.tokens_per_second(network, ids, padding, tokens, stop)

    speed(batches[0], 2)  # the first call sets things up
    short: dict[int, float] = {}
    for batch in batches:
        try:
            short[batch] = speed(batch, on.sizes.search)
        except torch.OutOfMemoryError:
            break
    made: dict[str, Any] = {"short": short}
    for batch in sorted(short, key=lambda batch: -short[batch]) if whole else ():
        try:
            return made | {"batch": batch, "tokens_per_second": speed(batch, steps)}
        except torch.OutOfMemoryError:  # whole texts keep more than a few tokens
            continue
    return made


def loop(on: Device) -> dict[str, Any]:
    settings, speeds = one_text_a_prompt(), dict[str, Any]()
    work = workload(settings, TASK, routing_only(settings, TASK)[:1], MOST_EXAMPLES)
    for dtype in on.dtypes:
        network = library_loop.load(work.folder, dtype).to(on.name)
        speeds[dtype] = loop_speeds(on, network, work, on.sizes.loop, True)
        del network
        on.empty()
    return speeds


@torch.inference_mode()
def bare_steps(on: Device, model: LanguageModel, work: Workload, rows: tuple[int, ...]) -> dict[str, Any]:
    """Milliseconds of the model alone in the middle of a text, beside what bytes and operations would take."""
    most, steps = max(rows), work.plan.task.max_new_tokens
    ids, padding = (x.to(on.name) for x in prompts_of(work, most))
    length = ids.shape[1]
    cache: Any = model.new_cache(most, length, steps)
    for start in range(0, most, at_once := prefill_rows(length)):
        here = slice(start, min(most, start + at_once))
        cache.cover(here.start, here.stop, 0)
        model.start(ids[here], padding[here], cache)
    weights = sum(p.numel() for p in model.network.parameters())
    item = next(model.network.parameters()).element_size()
    kept = sum(2 * layer.all_keys[0, :, 0].numel() for layer in cache.own_layers)  # numbers of a position
    times = {}
    for count in rows:

        def call(count: int = count) -> None:
            cache.cover(0, count, steps // 2)
            model.step(ids[:count, -1:], padding[:count], steps // 2, cache)

        ms = on.milliseconds(call)
        read = item * (weights + count * (length + steps // 2) * kept + count * model.shape.logits)
        times[str(count)] = {
            "ms": ms,
            "rows_per_second": count / ms * 1e3,
            "tflops": 2e-9 * weights * count / ms,
            "tb_per_second": 1e-9 * read / ms,
        }
    return times


def step(on: Device) -> dict[str, Any]:
    settings = one_text_a_prompt()
    work = workload(settings, TASK, routing_only(settings, TASK)[:1], MOST_EXAMPLES)
    return {
        dtype: bare_steps(on, load_model(work.folder, dtype, on.name), work, on.sizes.rows)
        for dtype in on.dtypes
    }


def decode(
    on: Device, model: LanguageModel, work: Workload, batch: int, grow: Grow = together
) -> dict[str, Any]:
    """Tokens count once for every cell that holds them: what the loop would compute. share_choice: of a GPU's work."""
    ready = make_ready(lambda: model, work.plan.prefix)
    total, every = Work(), dict[bytes, Trajectory]()
    on.wait()
    started = time.perf_counter()
    for block in units(grouped(work.texts), 2**20):
        made, done = run_block(ready, work.plan, block, batch, grow)
        total += done
        every |= made
    seconds = time.perf_counter() - started
    tokens = sum(weight * len(every[text.key].token_ids) for text, weight in work.weight.items())
    return {
        "digest": digest_of(every),
        "cells": work.cells,
        "examples": len(work.plan.examples),
        "texts": len(work.texts),
        "tokens": tokens,
        "rows": total.rows,
        "walked": total.walked,
        "tokens_per_row": tokens / total.rows,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "rows_per_second": total.rows / seconds,
        "share_choice": total.choice_seconds / (total.model_seconds + total.choice_seconds),
        "peak_memory_gib": on.peak_gib(),
    }


def digest_of(texts: dict[bytes, Trajectory]) -> str:
    """Of their tokens and log-probabilities, to the last bit."""
    found = sha256()
    for _, text in sorted(texts.items()):
        found.update(text.token_ids.tobytes() + text.model_logprobs.tobytes())
    return found.hexdigest()


def ways(on: Device, model: LanguageModel, examples: int, batch: int) -> dict[str, Any]:
    """Nothing shared; the routing grid; grid and baselines. Each once before, which captures its graphs."""
    settings = one_text_a_prompt()
    routing, every = routing_only(settings, TASK), without_beam(settings, TASK)
    runs: dict[str, tuple[list[Any], Grow]] = {
        "sharing_all": (every, together),
        "sharing_routing": (routing, together),
        "no_sharing": (routing[:: max(1, len(routing) // 16)], apart),
    }
    made = {}
    for name, (cells, grow) in runs.items():
        work = workload(settings, TASK, cells, examples)
        first, again = (decode(on, model, work, batch, grow) for _ in range(2))
        made[name] = {
            **again,
            "first_seconds": first["seconds"],
            "same_again": first["digest"] == again["digest"],
        }
        print(name, made[name], file=sys.stderr, flush=True)
    return made


def ours(on: Device) -> dict[str, Any]:
    settings, made = one_text_a_prompt(), dict[str, Any]()
    folder = workload(settings, TASK, routing_only(settings, TASK)[:1], 1).folder
    for dtype in on.dtypes:
        model = load_model(folder, dtype, on.name)
        made[dtype] = ways(on, model, on.examples(dtype), on.sizes.batch)
        del model
        on.empty()
    return made


def large(on: Device) -> dict[str, Any]:
    """A Llama of 6 to 8 billion random weights in bf16: the loop, the step and the grid."""
    settings = one_text_a_prompt()
    work = workload(settings, TASK, routing_only(settings, TASK)[:1], 4)
    network = random_llama(on, work, "sdpa")
    speeds = loop_speeds(on, network, work, on.sizes.large_loop, False)
    del network
    on.empty()
    network = random_llama(on, work, NAME)
    make_invariant(network)
    config = network.config
    shape = Shape(config.max_position_embeddings, config.vocab_size, config.num_hidden_layers, None,
                  heads=config.num_attention_heads)  # fmt: skip
    model = CausalModel("random", network, load_tokenizer(work.folder), shape, on.name)
    every = workload(settings, TASK, without_beam(settings, TASK), 2 * on.sizes.few)
    return {
        "weights": sum(p.numel() for p in network.parameters()),
        "loop": speeds,
        "step": bare_steps(on, model, work, (32, on.sizes.large_batch)),
        "first": decode(on, model, every, on.sizes.large_batch)["seconds"],  # captures its graphs
        "sharing_all": decode(on, model, every, on.sizes.large_batch),
    }


def random_llama(on: Device, work: Workload, attention: str) -> Any:
    hidden, layers = on.sizes.large
    config = LlamaConfig(
        hidden_size=hidden, num_hidden_layers=layers, intermediate_size=hidden * 43 // 16 // 8 * 8,
        num_attention_heads=max(4, hidden // 128), num_key_value_heads=max(2, hidden // 512),
        vocab_size=len(load_tokenizer(work.folder)), max_position_embeddings=2_048,
    )  # fmt: skip
    torch.manual_seed(0)
    dtype = torch.bfloat16 if on.name == "cuda" else torch.float32
    with torch.device(on.name):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention).eval()
