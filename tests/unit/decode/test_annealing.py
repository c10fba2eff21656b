"""A temperature that changes over the steps, in the decode loop: its law, its sharing, and transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy import stats
from transformers import TemperatureLogitsWarper

from random_routing.decode.loop import decode
from random_routing.decode.model_call import Call
from random_routing.decode.prompts import Prompts
from random_routing.decode.sampler import Sampler
from random_routing.decode.slots import Grow, apart, together
from random_routing.decode.trajectory import Trajectory
from random_routing.law.cells import Decoder
from random_routing.law.noise import PURPOSES, TOKEN, Source
from random_routing.law.origin import Origin
from random_routing.law.race import clocks
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.loading import load_model
from random_routing.models.network import LanguageModel
from random_routing.settings import Annealing, Base, Route
from tests.helpers import LONG
from tests.helpers.tiny import tiny_model_folder

SIZE, DRAWS = 12, 200_000 if LONG else 40_000
LOGITS = torch.linspace(2, -2, SIZE)
VOCABULARY = Vocabulary(300, np.arange(12, 300), frozenset())
STEPS, EXAMPLES = 12, 3
PROMPTS = [tuple(range(10 + i, 20 + 2 * i)) for i in range(EXAMPLES)]
HOT = Annealing("linear", 2.0, 0.5, 4)  # 2, 1.625, 1.25, 0.875, 0.5, 0.5, …
DECODERS = [
    Decoder(Base(temperature=0.7)),
    Decoder(Base()),
    Decoder(Base(temperature=HOT)),
    Decoder(Base(temperature=Annealing("exploratory", 1.2, 0.1))),
    Decoder(Base(temperature=HOT, top_p=0.9), 0.1, 0.2, Route("uniform"), Route("top_k", 5)),
    Decoder(Base(temperature=HOT, top_k=9), 0.1, 0.2, Route("uniform"), Route("top_k", 5), mix="before"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """With logits that differ by several nats, so that a temperature counts."""
    folder = tiny_model_folder(tmp_path_factory.mktemp("tiny"))
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] *= 10
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return load_model(folder)


def sampler_of(decoders: list[Decoder], texts: list[tuple[int, int]]) -> Sampler:
    """texts: (example, decoder)."""
    numbers = np.array(texts)
    sources = [Source(1, "t", str(example), 0) for example in range(EXAMPLES)]
    noise = np.stack([source.steps(STEPS) for source in sources])
    return Sampler(decoders, numbers[:, 1], numbers[:, 0], noise, VOCABULARY, sources=sources)


def run(
    model: LanguageModel, decoders: list[Decoder], texts: list[tuple[int, int]] | None = None, batch_size: int = 64,
    grow: Grow = together,
) -> tuple[dict[tuple[int, int], Trajectory], int]:  # fmt: skip
    """Texts by (example, decoder), and the rows that they took."""
    texts = texts or [(e, d) for e in range(EXAMPLES) for d in range(len(decoders))]
    sampler = sampler_of(decoders, texts)
    prompts = Prompts(PROMPTS, np.array([example for example, _ in texts]), 16)
    work = decode(model, prompts, sampler, STEPS, batch_size, grow)
    return dict(zip(texts, sampler.made.texts(), strict=True)), work.rows


def same(one: Trajectory, other: Trajectory) -> bool:
    names = ("token_ids", "routes", "logprobs", "model_logprobs", "ranks", "entropies")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize(("step", "heat"), [(0, 2.0), (2, 1.25), (5, 0.5)])
@pytest.mark.parametrize("mix", ["after", "before"])
def test_tokens_follow_the_temperature_of_their_step(step: int, heat: float, mix: str) -> None:
    """χ² against softmax(logits / T_t), or the same of a mixture; each of the 6 raises a false alarm with probability
    1e-4. Half of the temperature, as of a later step, does not pass."""
    routed = {"q": 0.5, "q_route": Route("uniform")} if mix == "before" else {}
    decoder = Decoder(Base(temperature=HOT), mix=mix, **routed)  # type: ignore[arg-type]
    noise = np.random.Philox(7).random_raw((DRAWS, len(PURPOSES), 6)).view(np.int64)
    whole = Vocabulary(SIZE, np.arange(SIZE), frozenset())
    sampler = Sampler([decoder], np.zeros(DRAWS, dtype=int), np.arange(DRAWS), noise, whole)
    sampler(Call(LOGITS[None], torch.zeros(DRAWS, dtype=torch.long), torch.arange(DRAWS), step, None))
    counts = np.bincount(sampler.made.token_ids[:, step].numpy(), minlength=SIZE)

    def p_value(temperature: float) -> float:
        p = torch.softmax(LOGITS.double(), 0)
        scores = (0.5 / SIZE + 0.5 * p).log() if mix == "before" else LOGITS.double()
        law = torch.softmax(scores / temperature, 0).numpy()
        return float(stats.chisquare(counts, law / law.sum() * DRAWS).pvalue)

    assert p_value(heat) > 1e-4
    assert p_value(heat / 2) < 1e-4


def test_log_probabilities_are_under_the_temperature_of_their_step() -> None:
    sampler = sampler_of([Decoder(Base(temperature=HOT))], [(0, 0)])
    scores = torch.linspace(2, -2, 300)
    for step, heat in enumerate([2.0, 1.625, 1.25, 0.875, 0.5, 0.5]):
        token, _ = sampler(Call(scores[None], torch.zeros(1).long(), torch.zeros(1).long(), step, None))
        expected = torch.log_softmax(scores.double() / heat, 0)[token].item()
        assert sampler.made.logprobs[0, step].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["linear", "cosine", "exponential", "exploratory"])
def test_a_temperature_that_stays_is_that_temperature(model: LanguageModel, kind: str) -> None:
    """Token by token, and without a row more: both are one prefix all the time."""
    plain, still = Decoder(Base(temperature=0.7)), Decoder(Base(temperature=Annealing(kind, 0.7, 0.7)))
    found, rows = run(model, [plain, still])
    assert all(same(found[example, 0], found[example, 1]) for example in range(EXAMPLES))
    assert rows == run(model, [plain])[1]


def test_texts_share_rows_until_they_part(model: LanguageModel) -> None:
    """0.7 at the first step, 5 from then on: one prefix until a token differs, two after it."""
    late = Decoder(Base(temperature=Annealing("linear", 0.7, 5.0, 1)))
    found, rows = run(model, [Decoder(Base(temperature=0.7)), late])
    differ = np.array([found[e, 0].token_ids != found[e, 1].token_ids for e in range(EXAMPLES)])
    assert not differ[:, 0].any() and differ.any(1).all()
    assert rows == EXAMPLES * STEPS + sum(STEPS - 1 - first for first in differ.argmax(1))


def test_results_do_not_depend_on_batch_order_subset_or_sharing(model: LanguageModel) -> None:
    reference, shared = run(model, DECODERS)
    texts = list(reference)
    shuffled = [texts[i] for i in np.random.Generator(np.random.Philox(5)).permutation(len(texts))]
    for some, batch_size, grow in [
        (texts, 1, together), (texts, 2, apart), (shuffled, 7, together), (shuffled[:5], 64, apart),
        (shuffled[:1], 64, together),
    ]:  # fmt: skip
        found, _ = run(model, DECODERS, some, batch_size, grow)
        assert all(same(reference[text], found[text]) for text in some)
    assert shared < run(model, DECODERS, grow=apart)[1]


def test_annealing_equals_a_loop_of_transformers(model: LanguageModel) -> None:
    """Its network without a cache and its own temperature at each step; the races are run by hand."""
    found, _ = run(model, DECODERS)
    for example, prompt in enumerate(PROMPTS):
        ids, words, logprobs = list(prompt), Source(1, "t", str(example), 0).steps(STEPS), []
        for step in range(STEPS):
            warp = TemperatureLogitsWarper(max(2.0 - 1.5 * step / 4, 0.5))
            with torch.inference_mode():
                scores = model.network(torch.tensor([ids])).logits[:, -1].float()
            p = torch.softmax(warp(torch.tensor([ids]), scores)[0], 0)  # type: ignore[arg-type]
            seed = torch.from_numpy(words[TOKEN[Origin.MODEL], step : step + 1].copy())
            ids.append(int((clocks(seed, len(p))[0] / p).argmin()))
            logprobs.append(p[ids[-1]].log().item())
        assert found[example, 2].token_ids.tolist() == ids[len(prompt) :]
        assert found[example, 2].logprobs.tolist() == pytest.approx(logprobs, abs=1e-3)
    # which is not what one temperature gives
    assert all(any(not same(found[e, 2], found[e, other]) for e in range(EXAMPLES)) for other in (0, 1))


def test_other_decoders_write_what_they_wrote(model: LanguageModel) -> None:
    with_it, _ = run(model, DECODERS)
    plain = [0, 1]
    without, _ = run(model, [DECODERS[number] for number in plain])
    for place, number in enumerate(plain):
        assert all(same(with_it[e, number], without[e, place]) for e in range(EXAMPLES))
