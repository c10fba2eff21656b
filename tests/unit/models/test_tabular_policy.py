"""A policy is a language model: states, luck and the end of an episode are where the tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from random_routing.decode.loop import decode
from random_routing.decode.prompts import Prompts
from random_routing.decode.sampler import Sampler
from random_routing.decode.slots import Grow, apart, together
from random_routing.decode.trajectory import Trajectory
from random_routing.environments.episode_tokens import FIRST, PAD, actions_of, prompt_of
from random_routing.environments.episodes import replay
from random_routing.environments.luck import thresholds
from random_routing.law.cells import NO_ROUTE, Decoder
from random_routing.law.noise import Source
from random_routing.law.probabilities import probabilities
from random_routing.law.vocabulary import Vocabulary, sampling_vocabulary, stop_tokens
from random_routing.models.network import LanguageModel
from random_routing.models.shared import SharedCache
from random_routing.models.tabular_policy import STATE, TabularPolicyForCausalLM
from random_routing.runs.tokenized import tokenize_prompts
from random_routing.settings import Base, Gate, Route
from tests.helpers.policies import CLIFF, LAKE, TAXI, policy, preferences, world

SEEDS = [0, 1, 12_345, 2**32 - 1, 99]
UNIFORM = Route("uniform")


def prompts(model: LanguageModel, seeds: list[int]) -> list[tuple[int, ...]]:
    rows = [{"id": str(seed), "prompt": prompt_of(seed), "meta": {}} for seed in seeds]
    return [example.prompt for example in tokenize_prompts(rows, model.tokenizer, special=False)]


def vocabulary(model: LanguageModel) -> Vocabulary:
    stop = stop_tokens(model.tokenizer, model.shape.eos, False)
    return sampling_vocabulary(model.tokenizer, model.shape.logits, stop, False, model.shape.barred)


def written(
    model: LanguageModel,
    decoders: list[Decoder],
    seeds: list[int],
    steps: int = 30,
    batch: int = 64,
    grow: Grow = together,
) -> list[Trajectory]:
    """A text of each decoder for each seed: trajectories."""
    of_text = np.repeat(np.arange(len(seeds)), len(decoders))
    noise = np.stack([Source(1, "rl", str(seed), 0).steps(steps) for seed in seeds])
    sampler = Sampler(
        decoders, np.tile(np.arange(len(decoders)), len(seeds)), of_text, noise, vocabulary(model)
    )
    ids = prompts(model, seeds)
    decode(model, Prompts([ids[i] for i in range(len(ids))], of_text, 16), sampler, steps, batch, grow)
    return sampler.made.texts()


@pytest.mark.parametrize("name", [CLIFF, LAKE, TAXI])
def test_its_states_are_those_of_the_episode(tmp_path: Path, name: str) -> None:
    model = policy(tmp_path, name)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, len(world(name).actions), (len(SEEDS), 40))
    ids = np.concatenate([np.array(prompts(model, SEEDS)), actions + FIRST], axis=1)
    network: Any = model.network
    played = replay(world(name), np.array(SEEDS), list(actions))
    now, found = torch.zeros(len(SEEDS), 4, dtype=torch.int64), []
    for token in torch.from_numpy(ids).unbind(1):
        now = network._read(now, token)
        found.append(now[:, STATE])
    states = torch.stack(found[7:], 1)  # after the last digit, and after each action
    for row, expected in enumerate(played.states):
        assert states[row, : len(expected)].tolist() == expected.tolist()
    logits = network(input_ids=torch.from_numpy(ids)).logits
    for row, steps in enumerate(played.steps):
        over = played.states[row].size - 1 < 40
        wanted = preferences(name)[played.states[row][-1]] if not over else None
        last = logits[row, 7 + steps]
        if over:
            assert (
                last.isfinite().nonzero()[:, 0].tolist() == [model.shape.eos] and last[model.shape.eos] == 0
            )
        else:
            assert last[FIRST : FIRST + len(world(name).actions)].numpy() == pytest.approx(wanted, rel=1e-6)
            assert last.isfinite().sum() == len(world(name).actions)


def test_padding_is_nothing(tmp_path: Path) -> None:
    model = policy(tmp_path, LAKE)
    ids = torch.tensor(prompts(model, SEEDS))
    padded = torch.nn.functional.pad(ids, (5, 0), value=PAD)
    assert torch.equal(
        model.network(input_ids=ids).logits[:, -1], model.network(input_ids=padded).logits[:, -1]
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_dtype_rounds_the_world(tmp_path: Path, dtype: str) -> None:
    model = policy(
        tmp_path, TAXI, dtype=dtype
    )  # loading checks a step with the cache against the whole text
    network: Any = model.network
    assert np.array_equal(network.edges.numpy(), thresholds(world(TAXI).chance))
    assert np.array_equal(network.after.numpy(), world(TAXI).next)
    assert load_file(tmp_path / "model.safetensors")["edges"].dtype == torch.int64


def test_a_texts_bytes_depend_on_no_batch(tmp_path: Path) -> None:
    model = policy(tmp_path, LAKE)
    laws = [
        Decoder(Base()),
        Decoder(Base(), 0.3, 0.2, UNIFORM, Route("top_k", 2)),
        Decoder(Base(greedy=True), 0.2, 0.0, UNIFORM),
    ]
    whole = written(model, laws, SEEDS)
    for made in (written(model, laws, SEEDS, batch=3), written(model, laws, SEEDS, grow=apart)):
        for one, other in zip(whole, made, strict=True):
            assert all(
                np.array_equal(getattr(one, n), getattr(other, n))
                for n in ("token_ids", "routes", "logprobs")
            )
    alone = written(model, laws, SEEDS[2:3])
    assert [t.token_ids.tolist() for t in alone] == [t.token_ids.tolist() for t in whole[6:9]]


@pytest.mark.parametrize("mix", ["after", "before"])
@pytest.mark.parametrize("route", [UNIFORM, Route("top_k", 2)])
def test_a_text_ends_when_its_episode_does(tmp_path: Path, route: Route, mix: str) -> None:
    """Also where every step is random: what the model forbids is its own turn, and the end is all it allows."""
    model = policy(tmp_path, LAKE)
    law = Decoder(Base(top_p=0.99) if mix == "before" else Base(), 0.95, 0.0, route, mix=mix)
    for seed, text in zip(range(50), written(model, [law], list(range(50)), 200), strict=True):
        actions = actions_of(text.token_ids[:-1] if text.ended else text.token_ids)
        played = replay(world(LAKE), np.array([seed]), [actions])
        assert text.ended and text.token_ids[-1] == model.shape.eos
        assert played.steps[0] == len(actions) == len(text.token_ids) - 1
        assert (actions >= 0).all() and (actions < 4).all()


DRAWS = 4_000


@pytest.mark.parametrize(
    "law",
    [
        Decoder(Base()),
        Decoder(Base(temperature=0.5)),
        Decoder(Base(greedy=True), 0.2, 0.0, UNIFORM),
        Decoder(Base(greedy=True), 0.0, 0.3, NO_ROUTE, Route("top_k", 2)),
        Decoder(Base(), 0.1, 0.3, UNIFORM, Route("top_k", 2)),
        Decoder(Base(greedy=True), 0.2, 0.0, UNIFORM, q_gate=Gate("span", 4.0)),
    ],
    ids=["softmax", "temperature", "epsilon-greedy", "two best", "both", "span"],
)
def test_first_actions_follow_the_law(tmp_path: Path, law: Decoder) -> None:
    """χ² over 4,000 episodes from one state; false alarm: 1 in 10,000 of each. ε-greedy: 1 − ε + ε/A of the best."""
    model = policy(tmp_path, CLIFF)
    wanted = torch.from_numpy(preferences(CLIFF)[[36]]).float()
    best_two = wanted[0].topk(2).indices
    p = probabilities(wanted, law.base)[0].double().numpy()
    top = np.isin(np.arange(4), best_two.numpy()) / 2
    delta = {"uniform": np.full(4, 0.25), "top_k": top, "none": np.zeros(4)}
    of_q, of_lambda = delta[law.q_route.kind], delta[law.lambda_route.kind]
    expected = law.q * of_q + (1 - law.q) * (law.lam * of_lambda + (1 - law.lam) * p)
    if law.base.greedy and law.q_route == UNIFORM:
        assert expected.max() == pytest.approx(1 - 0.2 + 0.2 / 4)
    first = [int(text.token_ids[0]) - FIRST for text in written(model, [law], list(range(DRAWS)), 1)]
    seen = np.bincount(first, minlength=4)
    possible = expected > 0
    assert not seen[~possible].any()
    statistic = ((seen - DRAWS * expected)[possible] ** 2 / (DRAWS * expected[possible])).sum()
    assert statistic < 21.1  # of χ² with 3 degrees of freedom, 1 in 10,000 is above


def test_a_slippery_step_is_that_of_the_table(tmp_path: Path) -> None:
    """FrozenLake: each of three ways with 1/3, the same for all who take the action; false alarm 1 in 10,000."""
    state, action = 14, 2  # beside the goal
    seeds = np.arange(6_000)
    edges = thresholds(world(LAKE).chance)
    network = TabularPolicyForCausalLM.of(world(LAKE), preferences(LAKE))
    now = torch.tensor([[seed, 0, state, 0] for seed in seeds.tolist()])
    after = network._read(now, torch.full((len(now),), FIRST + action))[:, STATE].numpy()
    assert (edges[state, action] > 0).all()
    places, seen = np.unique(after, return_counts=True)
    assert places.tolist() == [10, 14, 15]
    assert ((seen - 2_000) ** 2 / 2_000).sum() < 18.4


@pytest.mark.parametrize("in_place", [True, False])
def test_the_cache_of_a_gpu_gives_the_same(tmp_path: Path, in_place: bool) -> None:
    """Slots that share their beginnings, and a length that is a tensor, as in a captured graph; here on the CPU."""
    model = policy(tmp_path, LAKE)
    ids, padding = model.pad(prompts(model, SEEDS), 16)
    rng = np.random.default_rng(2)
    rows = len(SEEDS)
    shared, plain_cache = SharedCache(1, 64, 30, in_place, "cpu"), model.new_cache(rows, 16, 8)
    shared.begin(16, 0)
    where, tokens = torch.arange(rows), ids
    for step in range(8):
        for cache in (shared, plain_cache):
            cache.cover(0, rows, step)
        if step == 0:
            first, second = (model.start(ids, padding, cache) for cache in (shared, plain_cache))
        else:
            first, second = (model.step(tokens, padding, step, cache) for cache in (shared, plain_cache))
        assert torch.equal(first, second)
        parent = torch.from_numpy(rng.integers(0, rows, rows)).sort().values
        child = plain_cache.fork(parent, step)
        assert torch.equal(shared.fork(parent[child.argsort()], step), where)
        tokens = torch.from_numpy(rng.integers(FIRST, FIRST + 4, (rows, 1)))
