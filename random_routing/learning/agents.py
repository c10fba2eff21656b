"""Explorers of `params.yaml` as agents: each a cell of the law, as text decoders are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from random_routing.law.cells import Cell, Decoder, baseline_cell, variant_cells
from random_routing.settings import Base, Learning, Settings
from random_routing.settings.checks import choice

# Of equal values the softmax of so low a temperature takes each with the same chance, and of others the largest alone.
NO_HEAT = 1e-30


@dataclass(frozen=True)
class Agent:
    """repeat: the first action of a span of the q-route is that of its whole span."""

    cell: Cell
    repeat: bool = False

    @property
    def law(self) -> tuple[Decoder, bool]:
        """What is run; agents of equal law are one."""
        return self.cell.decoder, self.repeat

    def describe(self) -> dict[str, Any]:
        return {"decoder": self.cell.decoder.describe(), "repeat": self.repeat}


def agents_of(settings: Settings, entry: Learning) -> list[Agent]:
    """Those of all cells of an entry's explorers, then its temperatures. Raises `SettingsError`."""
    agents = []
    for name in entry.explorers or settings.explorers:
        explorer = settings.explorers[name]
        cells = variant_cells(
            name, explorer, explorer.q, explorer.lambdas, settings.lambda_means, entry.units
        )
        agents += [Agent(cell, explorer.repeat and cell.decoder.q > 0) for cell in cells]
    for heat in entry.temperature:
        agents.append(Agent(baseline_cell("temperature", Base(temperature=heat), entry.units)))
    choice(f"learning.{entry.name}.against", entry.against, [agent.cell.name for agent in agents])
    return [replace(agent, cell=_ties(agent.cell, entry)) for agent in agents]


def _ties(cell: Cell, entry: Learning) -> Cell:
    """Greedy takes the first of equal values; with `ties: random` it is the softmax at a temperature of almost 0."""
    base = cell.decoder.base
    if not base.greedy or entry.ties == "first":
        return cell
    return replace(cell, decoder=replace(cell.decoder, base=Base(temperature=NO_HEAT)))


def address(entry: Learning) -> dict[str, Any]:
    """What an agent's life depends on beside its law, its seed and the environment's tables."""
    others = ("seeds", "last", "against", "delta", "explorers", "temperature", "ties")
    return {key: value for key, value in asdict(entry).items() if key not in others}
