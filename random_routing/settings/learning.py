"""Section `learning` of `params.yaml`: agents that learn while they explore, and section `explorers`: how they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, model_validator

from random_routing.settings.checks import Flag, Reference, ValuesOrNone, number, one_of, whole
from random_routing.settings.decoders import BASE_RANGES, Variant
from random_routing.settings.keys import MISSING, STRICT, NotAKey, wrong
from random_routing.settings.schedules import TEMPERATURE_RANGE

OF_EPISODES = ("environment", "episodes", "max_steps", "step_size", "discount")
OF_BANDIT = ("arms", "steps")
WHY = "a word of noise for each step is held in memory"
ROUTES = ("uniform", "top_k")
PULLS = 10  # of a bandit that are kept together


@dataclass(frozen=True)
class Explorer(Variant):
    """As a variant is written, with a grid of its own; base greedy or a temperature, routes uniform or top_k.

    repeat: the first action of a span of the q-route is that of its whole span (εz-greedy, Dabney et al. 2021, whose
    spans have other lengths).
    """

    __pydantic_config__ = STRICT
    repeat: Flag = False

    @model_validator(mode="after")
    def _can_act(self) -> Explorer:
        if any(getattr(self.base, name) != getattr(type(self.base)(), name) for name in TRUNCATED):
            raise wrong("of an explorer must be greedy or {temperature: x}", "base")
        for key in ("q_route", "lambda_route"):
            if getattr(self, key).kind not in ROUTES:
                raise wrong("of an explorer must be uniform or {top_k: k}", key)
        for key, rates in (("q", self.q), ("lambda", self.lambdas)):
            if not rates:
                raise wrong(MISSING, "grid", key)
        if self.mix != "after":
            raise wrong("of an explorer must be after", "mix")
        if self.repeat and self.q_gate.kind != "span":
            raise wrong("needs q_gate: {span: mean length}, whose actions it repeats", "repeat")
        return self


TRUNCATED = ("top_k", *(name for name in BASE_RANGES if name != "temperature"))


@dataclass(frozen=True)
class Learning:
    """An entry: agents on one environment or on random bandits, each explorer with the same seeds.

    delta: a difference of the return that does not matter; against: the cell that all others are compared with.
    """

    __pydantic_config__ = STRICT
    name: Annotated[str, NotAKey, Field(default="")]
    algorithm: Annotated[str, one_of("q-learning", "sarsa", "sample-average")]
    seeds: Annotated[int, whole(2, 1_000_000)]
    last: Annotated[int, whole(1)]  # episodes, of a bandit steps: "the end" of learning
    against: Reference
    delta: Annotated[float, number(0, 1e9, open_low=True)]
    environment: Reference = ""  # an asset gymnasium:…
    episodes: Annotated[int, whole(1, 1_000_000, WHY)] = 1
    max_steps: Annotated[int, whole(1, 1_000_000, WHY)] = 0  # of an episode, which is cut then
    step_size: Annotated[float, number(0, 1, open_low=True)] = 1.0
    discount: Annotated[float, number(0, 1)] = 1.0
    arms: Annotated[int, whole(2, 10_000)] = 0
    steps: Annotated[int, whole(1, 1_000_000, WHY)] = 0
    initial: Annotated[float, number(-1e9, 1e9)] = 0.0  # value of every action before anything is known
    ties: Annotated[str, one_of("random", "first")] = "random"  # which of equal values greedy takes
    explorers: ValuesOrNone[Reference] = ()  # empty: all
    temperature: ValuesOrNone[Annotated[float, number(*TEMPERATURE_RANGE)]] = ()  # of Boltzmann exploration

    @property
    def bandit(self) -> bool:
        return self.algorithm == "sample-average"

    @property
    def units(self) -> int:
        """What schedules and curves run over: episodes, or a bandit's steps."""
        return self.steps if self.bandit else self.episodes

    @model_validator(mode="wrap")
    @classmethod
    def _fits(cls, value: Any, check: Callable[[Any], Learning]) -> Learning:
        entry = check(value)
        own, others = (OF_BANDIT, OF_EPISODES) if entry.bandit else (OF_EPISODES, OF_BANDIT)
        for key in own:
            if key not in value:
                raise wrong(f"{MISSING} with algorithm {entry.algorithm}", key)
        for key in others:
            if key in value:
                raise wrong(f"has no meaning with algorithm {entry.algorithm}", key)
        for key in ("steps", "last"):
            if entry.bandit and getattr(entry, key) % PULLS:
                raise wrong(
                    f"must be a multiple of {PULLS}, the pulls of a bandit that are kept together", key
                )
        if entry.last > entry.units:
            raise wrong(whole(1, entry.units).allowed(entry.last), "last")
        if entry.episodes * entry.max_steps > 10**7:
            raise wrong(
                f"must be at most {10**7 // entry.episodes:,} with so many episodes ({WHY})", "max_steps"
            )
        return entry
