"""Before any work: how much it will be, and whether this machine can hold it.

Bounds, not predictions: a run is stopped where even its least cannot be held, and warned where its most may not.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from random_routing.errors import PipelineError
from random_routing.models.folder import is_served
from random_routing.models.memory import SMALLEST
from random_routing.models.shape import HEADS, layers_of, size_of
from random_routing.progress import say
from random_routing.runs.cost import last_speed
from random_routing.runs.store import Store
from random_routing.runs.tokenized import Example
from random_routing.settings import Settings, Task

ITEM = {"float32": 4, "bfloat16": 2}  # bytes of a number
TEXT, TOKEN = 1_740, 21  # bytes in the store: of a text without tokens, of a token
TOKEN_IN_CELL = 18  # bytes in the cells' files
SCORE, LOG_PROB = 1_700, 4  # bytes in the store: of a scored text and its vector, of a token's score
UNSEEN = 64 * 2**20  # bytes of disk that need no check: what fits is kept anyway


def say_texts(stage: str, settings: Settings, task: Task, texts: int) -> None:
    """texts: to be made, at most, as some may be there already."""
    bytes_ = TEXT + task.max_new_tokens * (TOKEN + TOKEN_IN_CELL)  # of a text
    _say(stage, "to make", task, texts, bytes_, last_speed("generate", task.name, settings.dtype))


def say_scores(settings: Settings, task: Task, texts: int) -> None:
    """texts: to be scored by the judge, at most."""
    bytes_ = SCORE + task.max_new_tokens * LOG_PROB  # of a text
    _say("evaluate", "to score", task, texts, bytes_, last_speed("evaluate", task.name, settings.dtype))


def _say(stage: str, to_do: str, task: Task, texts: int, bytes_: int, speed: float) -> None:
    """bytes_: of a text; speed: tokens per second, 0 where unknown."""
    tokens = texts * task.max_new_tokens
    time = (
        f"; about {duration(tokens / speed)} at the {speed:.0f} tokens/s of the last run" if speed else ""
    )
    say(
        stage,
        f"{task.name}: {to_do}: up to {texts:,} texts, {tokens:,} tokens, {amount(texts * bytes_)}{time}",
    )


def check_room(
    settings: Settings, task: Task, examples: Sequence[Example], folder: Path, texts: int, store: Store
) -> None:
    """Raises `PipelineError` where disk or memory cannot hold what is asked for.

    folder: the model's; texts: of the whole task, those that are in the store among them.
    """
    check_disk(task, texts, store)
    if settings.device == "cpu" and settings.executor == "local":  # else it is another's memory
        longest = max(len(example.prompt) for example in examples)
        check_memory(settings, task, longest, folder, texts)


def check_disk(task: Task, texts: int, store: Store) -> None:
    """The store can grow into what is free and what it has already; its texts have a token at least."""
    least = texts * (TEXT + TOKEN)
    room = shutil.disk_usage(store.path.parent).free + store.path.stat().st_size
    if least > max(room, UNSEEN):
        raise PipelineError(
            f"params.yaml: tasks.{task.name}: {texts:,} texts need {amount(least)} of disk or more, "
            f"{store.path.parent} has {amount(room)}; ask for fewer samples, examples or cells"
        )


def check_memory(settings: Settings, task: Task, longest: int, folder: Path, texts: int) -> None:
    """longest: tokens of a prompt. The least is the weights and the smallest batch, in every process."""
    weights = weight_count(folder) * ITEM[settings.dtype]
    row = row_bytes(folder, longest + task.max_new_tokens, ITEM[settings.dtype])
    least = settings.workers * (weights + SMALLEST * row)
    most = settings.workers * (weights + min(settings.max_rows, texts) * row)
    free = free_memory()
    if least > free:
        raise PipelineError(
            f"params.yaml: tasks.{task.name}: model {task.model} with {settings.workers} worker(s) and texts of "
            f"{task.max_new_tokens} tokens needs {amount(least)} of memory or more, {amount(free)} are free"
        )
    if most > free:
        fit = max(SMALLEST, int((free / settings.workers - weights) / row))
        say(
            "model",
            f"warning: max_rows {settings.max_rows} may take {amount(most)} of memory, {amount(free)} are free; "
            f"{fit} rows fit for sure",
        )


def weight_count(folder: Path) -> int:
    """Of all safetensors files, from their headers; those of a damaged one, which loading names, are left out."""
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as file:
                total += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
        except SafetensorError:
            pass
    return total


def row_bytes(folder: Path, tokens: int, item: int) -> int:
    """Keys and values of a row; 0 where the configuration does not name their sizes, or a server has them."""
    if is_served(folder):
        return 0
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    layers, numbers = layers_of(config), 0
    for layer in layers[
        : len(layers) - size_of(config, "num_kv_shared_layers")
    ]:  # the last read those of lower ones
        heads = size_of(layer, *HEADS)
        size = size_of(layer, "head_dim", "d_kv") or size_of(
            layer, "hidden_size", "d_model", "n_embd"
        ) // max(1, heads)
        numbers += 2 * (size_of(layer, "num_key_value_heads") or heads) * size  # a key and a value per head
    return numbers * tokens * item


def free_memory() -> int:
    """Bytes that this process may still take: of the machine, or of its control group where that has less."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for line in lines_of("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free = 1024 * int(line.split()[1])
    for most, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        numbers = [int(line) for path in (most, used) for line in lines_of(path) if line.isdecimal()]
        if len(numbers) == 2:
            free = min(free, max(0, numbers[0] - numbers[1]))
    return free


def lines_of(path: str) -> list[str]:
    """None of them where there is no such file, as on other systems than Linux."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def amount(size: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.{int(size < 10 and unit != 'bytes')}f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
