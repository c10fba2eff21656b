"""Stage generate: every cell of a task's grid → `data/generations/<task>/<cell>.parquet`.

Only texts that are not in the store are computed; cells that left the grid are removed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import stage
from random_routing.law.cells import Cell, all_cells
from random_routing.models.folder import load_tokenizer, read_shape
from random_routing.models.roles import check_generator
from random_routing.models.served import NOT_GUARANTEED
from random_routing.progress import say
from random_routing.runs.cell_files import write_cell
from random_routing.runs.cost import Cost, write_cost
from random_routing.runs.forecast import check_room, say_texts
from random_routing.runs.generation import calibrate, compute, generator_loader, missing_texts, remade
from random_routing.runs.machine import on_this_machine
from random_routing.runs.make_plan import plan_task
from random_routing.runs.packed_texts import cell_row, unpack
from random_routing.runs.plan import Plan
from random_routing.runs.recheck import recheck
from random_routing.runs.store import Store, open_store
from random_routing.runs.tensorboard import Log, events
from random_routing.settings import Variant, load_settings
from random_routing.settings.checks import choice

ROW_GROUP = 4096  # texts of a cell in memory at once


def main(argv: list[str]) -> None:
    settings = load_settings()
    task = settings.tasks[choice("generate", stage.argument(argv, "a task"), settings.tasks)]
    settings = on_this_machine(settings, task)
    folder = Path("data/assets") / task.model
    check_generator(task)
    tokenizer = load_tokenizer(folder, task.source_code)
    cells = all_cells(settings, task)
    plan = plan_task(settings, task, cells, folder, tokenizer)
    with open_store("generate") as store, events(settings, "generate", task.name) as log:
        texts = len(plan.jobs()) * len(plan.examples) * task.samples
        check_room(settings, task, plan.examples, folder, texts, store)
        plan, spent = calibrate(settings, plan, folder, store, log)
        announce = partial(say_texts, "generate", settings, task)
        spent += compute(settings, plan, lambda: missing_texts(plan, store), folder, store, log, announce)
        again = remade(settings, plan, spent.sample, generator_loader(settings, task, folder))
        checked = recheck(f"generate {task.name}", store, again)
        write_cells(plan, settings.variants, store, tokenizer, log)
    written = Path("data/generations") / task.name
    cost = write_cost("generate", task.name, spent.work, spent.seconds, settings.dtype, written, checked)
    distinct, said = len(plan.jobs()), summary(cost, len(spent.decoders))
    say(
        "generate",
        f"{task.name}: {len(cells)} cells ({distinct} distinct decoders) of "
        f"{len(plan.examples) * task.samples} texts in data/generations/{task.name}; {said}",
    )
    for name, sentence in NOT_GUARANTEED.items() if plan.served else ():
        say("generate", f"{task.name}: not guaranteed, {name}: {sentence}")


def summary(spent: Cost | None, decoders: int) -> str:
    """A phrase on what was computed."""
    if spent is None:
        return "all of them were there already"
    again = f"{spent.checked} made again, with the same bits" if spent.checked else "none made again"
    return (
        f"computed {decoders} decoders, {spent.texts} texts, {spent.tokens} tokens with {spent.rows} model rows "
        f"({spent.tokens / spent.rows:.2f} tokens per row) in {spent.seconds:.0f} s, "
        f"{spent.tokens / spent.seconds:.0f} tokens/s; {again}"
    )


def cell_rows(plan: Plan, cell: Cell, store: Store, tokenizer: Any) -> Iterator[list[dict[str, Any]]]:
    """A cell's rows, as many at a time as a row group of its file has."""
    job, at_once = plan.job_of(cell), max(1, ROW_GROUP // plan.task.samples)  # examples
    for start in range(0, len(plan.examples), at_once):
        texts = plan.texts(job, plan.examples[start : start + at_once], plan.task.samples)
        values = store.take([text.key for text in texts])
        yield [cell_row(text, unpack(values[text.key]), tokenizer, plan) for text in texts]


def route_names(cell: Cell, variants: dict[str, Variant]) -> dict[str, str]:
    """What the numbers in the column `routes` of a cell's file mean."""
    names = variants[cell.variant].routes if cell.variant else ("model",)
    return {str(number): name for number, name in enumerate(names)}


def write_cells(plan: Plan, variants: dict[str, Variant], store: Store, tokenizer: Any, log: Log) -> None:
    """Assemble every cell from the store; remove files of cells that left the grid."""
    folder = Path("data/generations") / plan.task.name
    shape = read_shape(Path("data/assets") / plan.task.model, plan.task.target_code)
    for cell in plan.cells:
        metadata = {
            "task": plan.task.name,
            "cell": cell.describe(),
            "routes": route_names(cell, variants),
            "settings": plan.shared_key,
            "key": plan.cell_key(cell),
            "generation_config": {"obeyed": shape.obeyed, "switched_off": shape.switched_off},
        }
        if plan.served:
            metadata["not_guaranteed"] = NOT_GUARANTEED
        tokens, routed, entropy = 0, 0, 0.0

        def counted(cell: Cell = cell) -> Iterator[list[dict[str, Any]]]:
            nonlocal tokens, routed, entropy
            for rows in cell_rows(plan, cell, store, tokenizer):
                tokens += sum(len(row["routes"]) for row in rows)
                routed += sum(int(np.count_nonzero(row["routes"])) for row in rows)
                entropy += sum(math.fsum(row["entropies"]) for row in rows)
                yield rows

        write_cell(folder / f"{cell.name}.parquet", counted(), metadata)
        if tokens:
            log(f"gate_rate/{cell.name}", routed / tokens, 0)
            log(f"mean_entropy/{cell.name}", entropy / tokens, 0)
    wanted = {f"{cell.name}.parquet" for cell in plan.cells}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


if __name__ == "__main__":
    stage.run(main)
