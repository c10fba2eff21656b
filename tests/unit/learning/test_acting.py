"""The law for a few actions is the Sampler's, action for action; its choices have the closed form's frequencies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from random_routing.decode.model_call import Call
from random_routing.decode.sampler import Sampler
from random_routing.environments.tabular import Environment
from random_routing.law.cells import Decoder
from random_routing.law.mixing import routed
from random_routing.law.noise import PURPOSES, Source
from random_routing.law.probabilities import probabilities
from random_routing.law.routes import delta
from random_routing.law.vocabulary import Vocabulary
from random_routing.learning import lives
from random_routing.learning.agents import NO_HEAT
from random_routing.learning.lives import on_environment
from random_routing.learning.noise import Noise, law_of, noise_of
from random_routing.settings import Base, Gate, Learning, Route, Schedule

UNIFORM, TWO_BEST = Route("uniform"), Route("top_k", k=2)
FALLING = Schedule("linear", 1.0, 0.0)
DECODERS = {
    "greedy": Decoder(Base(greedy=True)),
    "ties at random": Decoder(Base(temperature=NO_HEAT)),
    "ε-greedy": Decoder(Base(greedy=True), q=0.3, q_route=UNIFORM),
    "both routes": Decoder(Base(temperature=0.5), q=0.2, lam=0.4, q_route=UNIFORM, lambda_route=TWO_BEST),
    "Boltzmann": Decoder(Base(temperature=1.5)),
    "spans": Decoder(Base(greedy=True), q=0.3, q_route=UNIFORM, q_gate=Gate("span", mean=3.0)),
    "whole texts": Decoder(Base(), lam=0.5, lambda_route=UNIFORM, lambda_gate=Gate("sequence")),
    "entropy": Decoder(
        Base(greedy=True), q=0.3, lam=0.2, q_route=UNIFORM, lambda_route=TWO_BEST,
        q_gate=Gate("entropy", scale=0.6), lambda_gate=Gate("entropy", scale=0.3),
    ),
    "explore first": Decoder(Base(temperature=0.7), q=0.8, q_route=UNIFORM, q_schedule=FALLING),
}  # fmt: skip
STEPS, AGENTS, ACTIONS = 60, 12, 5


def entry(**changes: object) -> Learning:
    given: dict[str, object] = {
        "name": "x", "algorithm": "sample-average", "arms": ACTIONS, "steps": STEPS, "seeds": AGENTS, "last": 10,
        "against": "", "delta": 1.0,
    }  # fmt: skip
    return Learning(**(given | changes))  # type: ignore[arg-type]


def of_sampler(
    decoder: Decoder, sources: list[Source], logits: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and origins of each source, (N, steps), where step t sees logits[t], (N, A)."""
    steps, count = len(logits), len(sources)
    noise = np.stack([source.steps(steps) for source in sources])
    vocabulary = Vocabulary(logits.shape[2], np.arange(logits.shape[2]), frozenset())
    texts = np.arange(count)
    sampler = Sampler([decoder], np.zeros(count, np.int64), texts, noise, vocabulary, sources=sources)
    row = torch.arange(count)
    with torch.inference_mode():
        tokens = [sampler(Call(logits[t], row, row, t, None))[0].numpy() for t in range(steps)]
    return np.stack(tokens, 1), sampler.made.routes.numpy()


def ours(decoder: Decoder, source: Source, values: np.ndarray) -> tuple[list[int], list[int]]:
    """Actions and origins of one agent where step t sees values[t], (A,)."""
    noise = noise_of(entry(arms=values.shape[1], steps=len(values)), source)
    law = law_of(decoder, False, noise, len(values))
    room = [
        np.empty(values.shape[1], kind)
        for kind in (np.float32, np.float32, np.float64, np.float32, np.float32)
    ]
    chosen = [
        lives._act(values[t], law.heat[t], law.rates[:, 0, t], law.scales, law.k, law.words[:, 0, t], *room)
        for t in range(len(values))
    ]
    return [int(action) for action, _ in chosen], [int(origin) for _, origin in chosen]


@pytest.mark.parametrize("name", DECODERS)
def test_every_action_is_the_sampler_s(name: str) -> None:
    sources = [Source(7, "x", str(i), 0) for i in range(AGENTS)]
    logits = torch.from_numpy(np.random.default_rng(3).normal(size=(STEPS, AGENTS, ACTIONS)) * 2).float()
    tokens, origins = of_sampler(DECODERS[name], sources, logits)
    for i, source in enumerate(sources):
        actions, made_by = ours(DECODERS[name], source, logits[:, i].double().numpy())
        assert actions == tokens[i].tolist() and made_by == origins[i].tolist()
    assert len(set(tokens.ravel().tolist())) == ACTIONS


def test_equal_values_are_the_sampler_s_too() -> None:
    """Greedy takes the first; without heat a race decides among the best alone."""
    sources = [Source(8, "x", str(i), 0) for i in range(200)]
    logits = torch.tensor([0.0, 1.0, 1.0, 0.5, 1.0]).expand(1, len(sources), 5).contiguous()
    for name, allowed in (("greedy", {1}), ("ties at random", {1, 2, 4})):
        tokens, _ = of_sampler(DECODERS[name], sources, logits)
        mine = [ours(DECODERS[name], source, logits[:, 0].double().numpy())[0][0] for source in sources]
        assert mine == tokens[:, 0].tolist() and set(mine) == allowed


@pytest.mark.parametrize("name", ["ε-greedy", "both routes", "Boltzmann", "ties at random"])
def test_actions_follow_the_closed_form(name: str) -> None:
    """χ² of 4,000 choices; a right law fails with a chance of 1e-4."""
    decoder, values = DECODERS[name], torch.tensor([[0.3, 1.0, 1.0, -0.5, 0.9]])
    p = probabilities(values, decoder.base)
    vocabulary = Vocabulary(5, np.arange(5), frozenset())
    of_q, of_lambda = (
        delta(route if route.kind != "none" else UNIFORM, values, vocabulary)
        for route in decoder.routes.values()
    )
    expected = routed(p, of_q, of_lambda, decoder.q, decoder.lam)[0].double().numpy()
    actions, _ = ours(decoder, Source(9, "x", "0", 0), np.repeat(values.double().numpy(), 4000, 0))
    counts, possible = np.bincount(actions, minlength=5), expected > 0
    assert not counts[~possible].any()
    assert chisquare(counts[possible], 4000 * expected[possible] / expected.sum()).pvalue > 1e-4


def corridor() -> Environment:
    """Three cells; right of the last is the end. A step costs 1, and half of the steps right slip."""
    chance, after = np.zeros((3, 2, 2)), np.zeros((3, 2, 2), np.int64)
    ends = np.zeros((3, 2, 2), bool)
    for cell in range(3):
        chance[cell, 0, 0], after[cell, 0, 0] = 1.0, max(cell - 1, 0)
        chance[cell, 1] = 0.5
        after[cell, 1] = (min(cell + 1, 2), cell)
        ends[cell, 1, 0] = cell == 2
    start = np.array([0.5, 0.5, 0.0])
    return Environment("corridor", ("left", "right"), start, chance, after, -np.ones((3, 2, 2)), ends)


@pytest.mark.parametrize("algorithm", ["q-learning", "sarsa"])
@pytest.mark.parametrize("name", ["both routes", "spans", "entropy"])
def test_a_life_is_what_a_plain_loop_with_the_sampler_lives(algorithm: str, name: str) -> None:
    """Step by step, by `Environment.step` and the textbook's update."""
    world, decoder, episodes, most = corridor(), DECODERS[name], 6, 9
    one = entry(
        algorithm=algorithm,
        arms=0,
        steps=0,
        episodes=episodes,
        max_steps=most,
        step_size=0.4,
        discount=0.9,
        last=2,
    )
    source = Source(5, "x", "3", 0)
    noise = noise_of(one, source)
    life = on_environment(one, world, law_of(decoder, False, noise, episodes), noise)
    values, returns, counts, by_chance = np.zeros((3, 2)), [], [], []
    for e in range(episodes):
        words = np.zeros((1, len(PURPOSES), most + 1), np.int64)
        words[0, : len(noise.words)] = noise.words[:, e].view(np.int64)
        sampler = Sampler([decoder], np.zeros(1, np.int64), np.zeros(1, np.int64), words, VOCABULARY)

        def act(state: int, t: int, sampler: Sampler = sampler) -> tuple[int, bool]:
            row = torch.zeros(1, dtype=torch.int64)
            token, _ = sampler(Call(torch.from_numpy(values[[state]]).float(), row, row, t, None))
            return int(token[0]), int(sampler.made.routes[0, t]) > 0

        state = int(world.begin(noise.world[e, :1])[0])
        total, taken, random = 0.0, 0, 0
        action, chance = act(state, 0)
        for t in range(most):
            random += chance
            new, gain, over = (
                x[0] for x in world.step(np.array([state]), np.array([action]), noise.world[e, [t + 1]])
            )
            total, taken = total + gain, taken + 1
            if algorithm == "sarsa" and not over:
                next_action, chance = act(int(new), t + 1)
                worth = values[new, next_action]
            else:
                worth = 0.0 if over else values[new].max()
            values[state, action] += 0.4 * (gain + 0.9 * worth - values[state, action])
            if over:
                break
            state = int(new)
            if algorithm == "q-learning" and t + 1 < most:
                next_action, chance = act(state, t + 1)
            action = next_action
        returns.append(total)
        counts.append(taken)
        by_chance.append(random)
    assert life.returns.tolist() == returns and life.counts.tolist() == counts
    assert life.random.tolist() == by_chance and 0 < sum(by_chance) < sum(counts)


VOCABULARY = Vocabulary(2, np.arange(2), frozenset())


def test_the_world_draws_as_its_table_says() -> None:
    """χ² of where 3,000 steps lead; a right one fails with a chance of 1e-4."""
    world, u = corridor(), Source(1, "x", "0", 0).uniforms("world", 3000)
    after, reward, over = world.step(np.ones(3000, np.int64), np.ones(3000, np.int64), u)
    assert chisquare([(after == 2).sum(), (after == 1).sum()]).pvalue > 1e-4
    assert (reward == -1).all() and not over.any()
    assert chisquare(np.bincount(world.begin(u), minlength=2)).pvalue > 1e-4


def test_the_first_action_of_a_span_is_repeated_in_all_of_it() -> None:
    """εz-greedy: a run of random steps has one action; without `repeat` it has as many as chance gives it."""
    one = entry(arms=50, steps=2000)
    noise = noise_of(one, Source(2, "x", "0", 0))
    spans = Decoder(Base(greedy=True), q=0.5, q_route=UNIFORM, q_gate=Gate("span", mean=4.0))
    plain, held = (law_of(spans, repeat, noise, one.steps) for repeat in (False, True))
    inside = held.rates[0, 0] > 0
    edges = np.flatnonzero(np.diff(inside.astype(int), prepend=0, append=0)).reshape(-1, 2)
    lengths = edges[:, 1] - edges[:, 0]
    assert abs(lengths.mean() - 4) < 4 * 4 / np.sqrt(
        len(lengths)
    )  # geometric: its deviation is below its mean
    token_q = PURPOSES.index("token_q")
    for start, stop in edges:
        assert len(set(held.words[token_q, 0, start:stop].tolist())) == 1
        assert held.words[token_q, 0, start] == plain.words[token_q, 0, start]
    assert (held.words[:token_q] == plain.words[:token_q]).all()
    assert (held.words[token_q, 0, ~inside] == plain.words[token_q, 0, ~inside]).all()


def test_the_noise_of_an_episode_does_not_depend_on_how_many_there_are() -> None:
    few, many = (
        noise_of(
            entry(algorithm="sarsa", arms=0, steps=0, episodes=n, max_steps=7, last=1),
            Source(1, "x", "0", 0),
        )
        for n in (3, 8)
    )
    for one, other in ((few.words, many.words[:, :3]), (few.world, many.world[:3]), (few.u, many.u[:, :3])):
        assert (one == other).all()
    assert isinstance(few, Noise)
