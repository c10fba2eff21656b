"""All lives of an entry: each a pure function of its law, its seed and its environment, kept by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np

from random_routing.environments.tabular import Environment
from random_routing.law.cells import Cell, Decoder
from random_routing.law.noise import Source
from random_routing.law.vocabulary import Vocabulary
from random_routing.learning.agents import Agent, address
from random_routing.learning.lives import Life, on_bandit, on_environment
from random_routing.learning.noise import Noise, law_of, noise_of
from random_routing.runs.calibration import bases_to_calibrate, with_scales
from random_routing.runs.store import Store, content_key
from random_routing.settings import Base, Learning
from random_routing.settings.learning import PULLS

CODE_VERSION = 2  # raise it when a change of code changes what is stored
CHUNK = 20  # runs whose lives are put into the store at once
CALIBRATED = 8  # runs, the first, from whose entropies the scales of entropy gates are found
TYPES = (np.float32, np.int32, np.int32, np.float64)  # of a life's fields


@dataclass(frozen=True)
class World:
    """Where an entry's agents live. environment: of a bandit None; digest: of its tables; independent: every agent has
    noise of its own (`coupling`)."""

    environment: Environment | None
    digest: str
    seed: int
    independent: bool = False

    def source(self, entry: Learning, run: int, cell: str = "") -> Source:
        """An agent's own noise where a cell is named."""
        return Source(self.seed, f"learning/{entry.name}", str(run), 0, cell)


def learn(
    entry: Learning,
    world: World,
    agents: Sequence[Agent],
    store: Store,
    chunk: int = CHUNK,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, list[Life]]:
    """Cell → the lives of its agent, one for each seed. What is in the store is not lived again.

    Cells of equal law share their lives. show: told how many runs of all are done.
    """
    agents = calibrated(entry, world, agents)
    first: dict[tuple[Decoder, bool], Agent] = {}
    for agent in agents:
        first.setdefault(agent.law, agent)
    keys = {law: _keys(entry, world, agent) for law, agent in first.items()}
    missing = set(store.absent((key, key) for of_law in keys.values() for key in of_law))
    wanted = [run for run in range(entry.seeds) if any(keys[law][run] in missing for law in first)]
    done = 0
    for start in range(0, len(wanted), chunk):
        runs, lived = wanted[start : start + chunk], {}
        for run in runs:
            todo = [agent for law, agent in first.items() if keys[law][run] in missing]
            for agent, life in _run(entry, world, todo, run):
                lived[keys[agent.law][run]] = _packed(life)
        store.put(lived)
        done += len(runs)
        show(done, len(wanted))
    units = entry.units // PULLS if entry.bandit else entry.units
    held = {law: store.take(of_law) for law, of_law in keys.items()}
    lives = {law: [_unpacked(held[law][key], units) for key in of_law] for law, of_law in keys.items()}
    return {agent.cell.name: lives[agent.law] for agent in agents}


def _run(entry: Learning, world: World, agents: Sequence[Agent], run: int) -> Iterator[tuple[Agent, Life]]:
    """The lives of a run's agents, which share their noise unless it is independent."""
    shared = None if world.independent else noise_of(entry, world.source(entry, run))
    for agent in agents:
        noise = shared or noise_of(entry, world.source(entry, run, agent.cell.name))
        yield agent, live(entry, world, agent, noise)


def live(
    entry: Learning, world: World, agent: Agent, noise: Noise, entropies: np.ndarray | None = None
) -> Life:
    """entropies: (E, W) float32 that takes the entropy in nats of the softmax of the values at each step."""
    law = law_of(*agent.law, noise, entry.units)
    if world.environment is None:
        return on_bandit(entry, law, noise, entropies)
    return on_environment(entry, world.environment, law, noise, entropies)


def calibrated(entry: Learning, world: World, agents: Sequence[Agent]) -> list[Agent]:
    """With scales of entropy gates at which they are open as often as is asked for on the steps of agents that explore
    by their base alone."""
    cells = [agent.cell for agent in agents]
    bases = bases_to_calibrate(cells)
    if not bases:
        return list(agents)
    actions = len(world.environment.actions) if world.environment else entry.arms
    entropies = {base: _entropies(entry, world, base) for base in bases}
    scaled = with_scales(cells, entropies, Vocabulary(actions, np.arange(actions), frozenset()))
    return [replace(agent, cell=cell) for agent, cell in zip(agents, scaled, strict=True)]


def _entropies(entry: Learning, world: World, base: Base) -> np.ndarray:
    """Of all steps of the first runs: (N,) in nats."""
    agent, found = Agent(Cell("base", "base", Decoder(base))), []
    for run in range(CALIBRATED):
        noise = noise_of(entry, world.source(entry, run))
        seen = np.full(noise.words.shape[1:], np.nan, np.float32)
        live(entry, world, agent, noise, seen)
        found.append(seen[np.isfinite(seen)])
    return np.concatenate(found)


def _keys(entry: Learning, world: World, agent: Agent) -> list[bytes]:
    """One for each run."""
    source = world.source(entry, 0, agent.cell.name if world.independent else "")
    about = {
        "entry": address(entry),
        "world": world.digest,
        "agent": agent.describe(),
        "noise": repr(source),
    }
    life = content_key({"learning": CODE_VERSION, **about}).hex()
    return [content_key([life, run]) for run in range(entry.seeds)]


def _packed(life: Life) -> bytes:
    arrays = [getattr(life, field.name) for field in fields(Life)]
    return b"".join(np.asarray(a, kind).tobytes() for a, kind in zip(arrays, TYPES, strict=True))


def _unpacked(value: bytes, units: int) -> Life:
    edges = np.cumsum([0, 4 * units, 4 * units, 4 * units, 8])
    pieces = [value[start:stop] for start, stop in pairwise(edges)]
    return Life(*(np.frombuffer(piece, kind) for piece, kind in zip(pieces, TYPES, strict=True)))
