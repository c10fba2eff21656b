"""Stage learn: an entry of section `learning` → its returns, `data/learning/<name>.parquet`, and `….json` of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline import stage
from random_routing.environments.tabular import FILE, read_environment
from random_routing.files import check_asset, sha256_file
from random_routing.learning.agents import Agent, agents_of
from random_routing.learning.learn import World, learn
from random_routing.learning.lives import Life
from random_routing.learning.outcomes import summarized
from random_routing.parquet_files import parquet_writer
from random_routing.progress import Progress, say
from random_routing.results.learned import outcomes_file, write_outcomes
from random_routing.runs.store import open_store
from random_routing.settings import Learning, Settings, load_settings
from random_routing.settings.checks import choice
from random_routing.settings.learning import PULLS


def main(argv: list[str]) -> None:
    settings = load_settings()
    entry = settings.learning[choice("learn", stage.argument(argv, "an entry"), settings.learning)]
    agents, world = agents_of(settings, entry), world_of(settings, entry)
    progress = Progress(f"learn {entry.name}", "runs")
    with open_store("learn") as store, progress as show:
        lives = learn(entry, world, agents, store, show=show)
    write_lives(entry, agents, lives)
    write_outcomes(summarized(settings, entry, agents, lives))
    say("learn", f"{entry.name}: {len(agents)} cells × {entry.seeds} seeds; {progress.summary()}")


def world_of(settings: Settings, entry: Learning) -> World:
    independent = settings.coupling == "independent"
    if entry.bandit:
        return World(None, "", settings.seed, independent)
    folder = Path("data/assets") / entry.environment
    environment = read_environment(folder)
    check_asset(folder, weights=False)
    return World(environment, sha256_file(folder / FILE), settings.seed, independent)


def write_lives(entry: Learning, agents: Sequence[Agent], lives: Mapping[str, list[Life]]) -> None:
    """A row for each cell, seed and unit (episode, or `PULLS` steps of a bandit); unit: its first step or episode."""
    names = [agent.cell.name for agent in agents]
    units = len(lives[names[0]][0].returns)
    shape = (len(names), entry.seeds, units)
    places = np.indices(shape, dtype=np.int32).reshape(3, -1)
    of = {
        key: np.concatenate([getattr(life, key) for name in names for life in lives[name]])
        for key in COLUMNS
    }
    table = pa.table(
        {
            "cell": pa.DictionaryArray.from_arrays(places[0], names),
            "seed": places[1],
            "unit": places[2] * (PULLS if entry.bandit else 1) + 1,
            **{name: of[key] for key, name in COLUMNS.items()},
        }
    )
    with parquet_writer(outcomes_file(entry.name).with_suffix(".parquet"), table.schema) as writer:
        writer.write_table(table)


COLUMNS = {"returns": "return", "counts": "count", "random": "random"}  # of a life → of the file


if __name__ == "__main__":
    stage.run(main)
