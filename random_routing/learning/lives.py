"""The life of an agent: every step chosen by the law, and learned from at once.

Q-learning (Watkins 1989), Sarsa (Rummery & Niranjan 1994) and sample averages, as in Sutton & Barto, "Reinforcement
Learning", 2nd edition, sections 6.5, 6.4 and 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from random_routing.compiled import compiled
from random_routing.environments.planning import policy_return
from random_routing.environments.tabular import Environment
from random_routing.law.noise import UNIT
from random_routing.learning.acting import MODEL, choose, entropy
from random_routing.learning.noise import Law, Noise
from random_routing.settings import Learning
from random_routing.settings.learning import PULLS


@dataclass(frozen=True)
class Life:
    """Of each unit (U,), an episode or `PULLS` steps of a bandit. returns: sum of the rewards, of a bandit their mean,
    float32; counts: steps of the episode, of a bandit pulls of the best arm, int32; random: steps of random routes.

    greedy: (1,) float64, the expected return of the best actions by what was learned in the end, without exploring.
    """

    returns: np.ndarray
    counts: np.ndarray
    random: np.ndarray
    greedy: np.ndarray


def on_environment(
    entry: Learning, world: Environment, law: Law, noise: Noise, entropies: np.ndarray | None = None
) -> Life:
    """entropies: (E, W) float32 that takes the entropy of each step's values, in nats, and NaN where none is taken."""
    returns = np.zeros(entry.episodes, np.float32)
    counts, random = np.zeros(entry.episodes, np.int32), np.zeros(entry.episodes, np.int32)
    seen = np.empty((0, 0), np.float32) if entropies is None else entropies
    values = _learned(entry, world, law, noise, returns, counts, random, seen)
    return Life(
        returns, counts, random, np.array([policy_return(world, values.argmax(1), entry.max_steps)])
    )


def action_values(entry: Learning, world: Environment, law: Law, noise: Noise) -> np.ndarray:
    """What is learned in such a life: (S, A) float64."""
    returns, (counts, random) = (
        np.zeros(entry.episodes, np.float32),
        np.zeros((2, entry.episodes), np.int32),
    )
    return _learned(entry, world, law, noise, returns, counts, random, np.empty((0, 0), np.float32))


def _learned(
    entry: Learning, world: Environment, law: Law, noise: Noise, returns: np.ndarray, counts: np.ndarray,
    random: np.ndarray, entropies: np.ndarray,
) -> np.ndarray:  # fmt: skip
    values = np.full(world.chance.shape[:2], entry.initial)
    _episodes(
        entry.algorithm == "sarsa", values, entry.step_size, entry.discount, law.heat, law.rates, law.scales, law.k,
        law.words, noise.world, world.begin(noise.world[:, 0]), world.chance.cumsum(2), world.next, world.reward,
        world.ends, returns, counts, random, entropies,
    )  # fmt: skip
    return values


def on_bandit(entry: Learning, law: Law, noise: Noise, entropies: np.ndarray | None = None) -> Life:
    """A bandit of the 10-armed testbed: true values N(0, 1), rewards N(true value, 1) (Sutton & Barto, section 2.3)."""
    normal = ndtri(np.maximum(noise.world, UNIT))
    arms, shocks = normal[: entry.arms], normal[entry.arms :]
    rewards, best = np.empty(entry.steps), np.empty(entry.steps, np.int32)
    random = np.empty(entry.steps, np.int32)
    seen = np.empty((0, 0), np.float32) if entropies is None else entropies
    values = np.full(entry.arms, entry.initial)
    _pulls(
        values, law.heat, law.rates, law.scales, law.k, law.words, arms, shocks, rewards, best, random, seen
    )
    returns = rewards.reshape(-1, PULLS).mean(1).astype(np.float32)
    counts, by_chance = (some.reshape(-1, PULLS).sum(1, dtype=np.int32) for some in (best, random))
    return Life(returns, counts, by_chance, arms[[values.argmax()]])


@compiled()
def _episodes(  # type: ignore[no-untyped-def]
    sarsa, values, step_size, discount, heat, rates, scales, k, words, outcome, begin, chance, after, reward, ends,
    returns, counts, random, entropies,
):  # fmt: skip
    """Fill in returns, counts and random. An episode of as many steps as there are numbers for is cut, and its last
    step learned from as any other."""
    now, times, f, room, u = _rooms(values.shape[1])
    for e in range(len(returns)):
        state, action, total = begin[e], -1, 0.0
        for t in range(outcome.shape[1] - 1):
            if action < 0:
                action, origin = _act(
                    values[state],
                    heat[e],
                    rates[:, e, t],
                    scales,
                    k,
                    words[:, e, t],
                    now,
                    times,
                    u,
                    f,
                    room,
                )
            if entropies.size:
                now[:] = values[state]
                entropies[e, t] = entropy(now)
            random[e] += origin != MODEL
            which = 0
            while which < chance.shape[2] - 1 and chance[state, action, which] <= outcome[e, t + 1]:
                which += 1
            gain, over, new = (
                reward[state, action, which],
                ends[state, action, which],
                after[state, action, which],
            )
            total += gain
            next_action, worth = -1, 0.0
            if not over and sarsa:
                next_action, next_origin = _act(
                    values[new],
                    heat[e],
                    rates[:, e, t + 1],
                    scales,
                    k,
                    words[:, e, t + 1],
                    now,
                    times,
                    u,
                    f,
                    room,
                )
                worth = values[new, next_action]
            elif not over:
                worth = values[new].max()
            values[state, action] += step_size * (gain + discount * worth - values[state, action])
            counts[e] += 1
            if over:
                break
            state, action = new, next_action
            if sarsa:
                origin = next_origin
        returns[e] = total


@compiled()
def _rooms(actions):  # type: ignore[no-untyped-def]
    """What `choose` works in, of as many numbers as there are actions: four of float32 and one of float64."""
    single = np.empty((4, actions), np.float32)
    return single[0], single[1], single[2], single[3], np.empty(actions)


@compiled()
def _act(values, heat, rates, scales, k, words, now, times, u, f, room):  # type: ignore[no-untyped-def]
    now[:] = values  # float32, as logits are
    return choose(now, heat, rates, scales, k, words, times, u, f, room)


@compiled()
def _pulls(values, heat, rates, scales, k, words, arms, shocks, rewards, best, random, entropies):  # type: ignore[no-untyped-def]
    """Fill in rewards, whether the best arm was pulled, and whether by a random route: (steps,) each."""
    actions, optimal = len(values), np.argmax(arms)
    pulled = np.zeros(actions)
    now, times, f, room, u = _rooms(actions)
    for t in range(len(rewards)):
        arm, origin = _act(
            values, heat[t], rates[:, 0, t], scales, k, words[:, 0, t], now, times, u, f, room
        )
        if entropies.size:
            entropies[0, t] = entropy(now)
        rewards[t] = arms[arm] + shocks[t]
        pulled[arm] += 1
        values[arm] += (rewards[t] - values[arm]) / pulled[arm]
        best[t], random[t] = arm == optimal, origin != MODEL
