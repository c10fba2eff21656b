"""The law for vLLM's batches, without vLLM (tests/vllm has it): settings, rows, steps, and who is left alone."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from random_routing.errors import SettingsError
from random_routing.integrations.processor import RandomRoutingLogitsProcessor
from random_routing.integrations.vllm import processor
from random_routing.integrations.vllm.batch import Request, apply_law
from random_routing.integrations.vllm.settings import NEUTRAL, asked, read_routing
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Gate, Route, Schedule
from tests.helpers import ROOT

VOCABULARY = Vocabulary(5, np.arange(4), frozenset({4}))
LOG_P = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1]).log()


def request(steps: int = 8, seed: int = 0, **settings: Any) -> Request:
    return Request(read_routing(settings), VOCABULARY, steps, seed)


def law(one: Request, step: int = 0, scores: torch.Tensor = LOG_P) -> list[float]:
    logits = scores[None].clone()
    apply_law(logits, {0: (one, step)})
    return logits[0].exp().tolist()


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        # 0.2·(1/4 each of four) + 0.8·p
        ({"q": 0.2}, [0.37, 0.29, 0.13, 0.13, 0.08]),
        # 0.1·uniform + 0.9·[0.5·top-2 + 0.5·p] = 0.1·0.25 + 0.9·(0.45, 0.4, 0.05, 0.05, 0.05)
        ({"q": 0.1, "lambda": 0.5, "lambda_route": {"top_k": 2}}, [0.43, 0.385, 0.07, 0.07, 0.045]),
        ({"q": 0.2, "base": "greedy"}, [0.85, 0.05, 0.05, 0.05, 0]),
        ({"base": {"top_k": 2}}, [4 / 7, 3 / 7, 0, 0, 0]),
        # before the base: (0.37, 0.29, …) cut to the two likeliest
        ({"q": 0.2, "base": {"top_k": 2}, "mix": "before"}, [37 / 66, 29 / 66, 0, 0, 0]),
        ({"q": 1, "q_schedule": {"shape": "linear", "start": 0.2, "end": 0, "length": 4}},
         [0.37, 0.29, 0.13, 0.13, 0.08]),
    ],
)  # fmt: skip
def test_the_law_by_hand(settings: dict[str, Any], wanted: list[float]) -> None:
    assert law(request(**settings)) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"q": 0.3, "lambda": 0.2, "lambda_route": {"top_k": 3}, "base": {"temperature": 0.7, "top_p": 0.8}},
         {"q": 0.3, "lam": 0.2, "lambda_route": Route("top_k", k=3), "base": Base(temperature=0.7, top_p=0.8)}),
        ({"lambda": 1, "lambda_gate": {"entropy": 0.5}}, {"lam": 1.0, "lambda_gate": Gate("entropy", scale=0.5)}),
    ],
)  # fmt: skip
def test_it_is_the_law_of_the_processor_for_transformers(settings: Any, same: Any) -> None:
    forbidden = LOG_P.clone()
    forbidden[1] = -torch.inf
    for scores in (LOG_P, forbidden):
        other = RandomRoutingLogitsProcessor(VOCABULARY, **same)(torch.empty(1, 0), scores[None])
        assert law(request(**settings), scores=scores) == pytest.approx(other[0].exp().tolist(), abs=1e-6)


def test_rows_without_routes_or_without_a_distribution_stay_as_they_are() -> None:
    logits = torch.stack([LOG_P, LOG_P, torch.full((5,), torch.nan), torch.full((5,), -torch.inf), LOG_P])
    before = logits.clone()
    one = request(q=1)
    apply_law(logits, {1: (one, 0), 2: (one, 0), 3: (one, 0), 4: (request(q=0.2), 0)})
    assert torch.equal(logits[[0]], before[[0]]) and logits[2].isnan().all() and logits[3].isneginf().all()
    assert logits[1].exp().tolist() == pytest.approx([0.25] * 4 + [0])
    assert logits[4].exp().tolist() == pytest.approx([0.37, 0.29, 0.13, 0.13, 0.08])


def test_each_request_has_its_own_step_and_numbers() -> None:
    """A span or sequence gate is 0 or 1 by the request's seed; steps out of range are those of discarded tokens."""
    falling = request(q=1, q_schedule={"shape": "linear", "start": 1, "end": 0, "length": 2})
    assert [falling.rate(step)[0] for step in (-3, 0, 1, 2, 7, 99)] == [1, 1, 0.5, 0, 0, 0]
    texts = [request(64, seed, q=0.5, q_gate="sequence").rates[0] for seed in range(200)]
    assert all(np.ptp(rates) == 0 for rates in texts) and 70 < sum(rates[0] for rates in texts) < 130
    spans = request(4_000, 1, q=0.3, q_gate={"span": 5}).rates[0]
    assert set(spans) == {0, 1} and 0.2 < spans.mean() < 0.4
    assert np.count_nonzero(np.diff(spans) < 0) == pytest.approx(4_000 * 0.3 / 5, rel=0.25)
    assert np.array_equal(spans, request(4_000, 1, q=0.3, q_gate={"span": 5}).rates[0])
    frozen = [law(request(seed=seed, q=1, q_route="frozen")) for seed in (0, 0, 1)]
    assert frozen[0] == frozen[1] != frozen[2] and frozen[0][4] == 0


def test_settings_are_read_as_in_the_parameters() -> None:
    as_text = '{"q": 0.03, "lambda": 0.1, "lambda_route": {"top_k": 20}, "q_gate": {"span": 4}}'
    routing = read_routing(as_text)
    assert (routing.q, routing.lam, routing.lambda_route) == (0.03, 0.1, Route("top_k", k=20))
    assert routing.q_gate == Gate("span", 4.0) and routing.q_schedule == Schedule()
    assert read_routing({"q": 0.03}) is read_routing({"q": 0.03})


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"q": 1.2}, "random_routing: q = 1.2: must be a number of at least 0 and at most 1"),
        ({"q": True}, "random_routing: q = True: must be a number"),
        ({"Q": 0.1}, "random_routing: Q = 0.1: unknown key; allowed: base, include_eos, lambda, "),
        (
            {"q_route": {"heads": 0.3}},
            "random_routing: q_route = .*: cannot be had in vLLM .it runs the model itself",
        ),
        (
            {"base": {"temperature": {"shape": "linear", "start": 1.3, "end": 0.7}}},
            "random_routing: base = .*: cannot be had in vLLM .it changes over a text",
        ),
        (
            {"q": 0.9, "q_gate": {"span": 2}},
            "random_routing: q_gate.span = 2: spans of this mean length can fill at most 0.667 of the steps, not 0.9",
        ),
        ({"q_route": "unigram"}, "random_routing: q_route = 'unigram': cannot be had in vLLM"),
        ({"q_gate": "entropy"}, "random_routing: q_gate = 'entropy': needs its scale"),
        ({"q_gate": {"entropy": 0}}, "random_routing: q_gate.entropy = 0: must be a scale above 0"),
        ({"base": {"topp": 0.9}}, "random_routing: base.topp = 0.9: unknown key"),
        ({"lambda_schedule": {"shape": "linear"}}, "random_routing: lambda_schedule.end is missing"),
        ("{q: 1}", "random_routing: is not JSON"),
        ("[1]", "random_routing: must be a mapping"),
        (7, "random_routing: must be a mapping"),
        ({"q": {1, 2}}, "random_routing: is not JSON"),
        ("[" * 100_000, "random_routing: is not JSON"),
        ('{"q": NaN}', "random_routing: q = nan: must be a number"),
    ],
)
def test_wrong_settings_are_one_line(given: Any, line: str) -> None:
    with pytest.raises(SettingsError, match=f"^{line}") as error:
        read_routing(given)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def params(law: Any = None, **others: Any) -> Any:
    neutral = {name: off[0] for name, off in NEUTRAL.items()} | {
        "seed": 1,
        "stop_token_ids": [],
        "max_tokens": 9,
    }
    return SimpleNamespace(
        extra_args={"random_routing": law} if law is not None else None, **(neutral | others)
    )


def test_what_vllm_would_do_to_the_mixture_is_refused() -> None:
    assert asked(params()) is None and asked(params({}, temperature=0.0)) is None  # nothing to do
    assert asked(params({"q": 0, "base": "sample"}, top_p=0.5)) is None
    assert asked(params({"q": 0.1}, top_k=-1)) is not None
    for name in NEUTRAL:
        with pytest.raises(SettingsError, match=f"random_routing: needs {name}="):
            asked(params({"q": 0.1}, **{name: 0.5}))


@pytest.mark.parametrize(
    "law", [{"q_gate": "sequence"}, {"lambda_gate": {"span": 3}}, {"q_route": "frozen"}]
)
def test_what_is_drawn_once_for_a_text_needs_a_seed(law: dict[str, Any]) -> None:
    """A preempted request comes back, and every card of a model has to draw the same."""
    with pytest.raises(SettingsError, match="need the request's `seed`"):
        asked(params({"q": 0.1} | law, seed=None))
    assert asked(params({"q": 0.1} | law)) is not None and asked(params({"q": 0.1}, seed=None)) is not None


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> processor.Routed:
    tokenizer = SimpleNamespace(eos_token_id=4, all_special_ids=[4], added_tokens_decoder={}, __len__=None)
    tokenizer = type("Tokenizer", (), {**vars(tokenizer), "__len__": lambda self: 5})()
    monkeypatch.setattr(processor, "_tokenizer", lambda config: tokenizer)
    config = SimpleNamespace(
        logits_processors=None,
        get_vocab_size=lambda: 5,
        try_get_generation_config=lambda: {"eos_token_id": 4},
    )
    states = SimpleNamespace(prompt_len=SimpleNamespace(np=np.array([3, 3, 3])))
    return processor.Routed(SimpleNamespace(model_config=config), states)


def context(slots: list[int], lengths: list[int]) -> Any:
    return SimpleNamespace(idx_mapping_np=np.array(slots), seq_lens_upper_bound_np=np.array(lengths))


def test_slots_of_the_current_runner(routed: processor.Routed) -> None:
    """Rows are not slots; a slot's next owner has its own settings; the step is what the prompt leaves."""
    fades = {"q": 1, "q_schedule": {"shape": "linear", "start": 1, "end": 0, "length": 1}}
    assert routed.add_request(2, params(fades)) and not routed.add_request(0, params())
    logits = LOG_P.repeat(2, 1)
    assert routed.apply(logits, context([2, 0], [3, 5])) is logits
    assert logits[0].exp().tolist() == pytest.approx([0.25] * 4 + [0]) and torch.equal(logits[1], LOG_P)
    logits = LOG_P.repeat(2, 1)
    routed.apply(logits, context([0, 2], [5, 4]))  # the second token: nothing random is left
    assert logits[1].exp().tolist() == pytest.approx(LOG_P.exp().tolist())
    assert not routed.add_request(2, params())
    untouched = LOG_P.repeat(1, 1)
    assert torch.equal(routed.apply(untouched, context([2], [3])), LOG_P[None])


def test_rows_of_drafts(routed: processor.Routed) -> None:
    """A request with two rows, as in speculative decoding: each has its own step."""
    routed.add_request(
        1, params({"q": 1, "q_schedule": {"shape": "linear", "start": 1, "end": 0, "length": 1}})
    )
    rows = SimpleNamespace(expanded_idx_mapping=torch.tensor([1, 1]), pos=torch.tensor([2, 3]))
    logits = LOG_P.repeat(2, 1)
    routed.apply(logits, SimpleNamespace(**vars(context([1], [4])), **vars(rows)))
    assert logits[0].exp().tolist() == pytest.approx([0.25] * 4 + [0])
    assert logits[1].exp().tolist() == pytest.approx(LOG_P.exp().tolist())


def test_a_request_s_own_stop_tokens_are_not_drawn(routed: processor.Routed) -> None:
    routed.add_request(0, params({"q": 1}, stop_token_ids=[1]))
    routed.add_request(1, params({"q": 1, "include_eos": True}, stop_token_ids=[1]))
    logits = LOG_P.repeat(2, 1)
    routed.apply(logits, context([0, 1], [3, 3]))
    assert logits[0].exp().tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3, 0])
    assert logits[1].exp().tolist() == pytest.approx([0.2] * 5)


def test_the_processor_is_not_loaded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    named = "random_routing.integrations.vllm.processor:RandomRouting"
    config = SimpleNamespace(model_config=SimpleNamespace(logits_processors=[named]))
    monkeypatch.setattr(processor, "entry_points", lambda group: [SimpleNamespace(name="random_routing")])
    with pytest.raises(
        ValueError, match="is loaded by its entry point already; leave out --logits-processors"
    ):
        processor.Routed(config, None)
    monkeypatch.setattr(processor, "entry_points", lambda group: [])
    processor.Routed(config, None)


def test_another_vllm_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only requests with routes: nobody else's."""
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(__version__="0.33.1"))
    processor.check_version.cache_clear()
    with pytest.raises(
        ValueError, match=r"random_routing: follows the law in vLLM 0\.32, and this is 0\.33\.1"
    ):
        processor.Routed.validate_params(params({"q": 0.1}))
    processor.Routed.validate_params(params())
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(__version__="0.32.4"))
    processor.Routed.validate_params(params({"q": 0.1}))
    processor.check_version.cache_clear()
    monkeypatch.setattr(processor, "INTERFACES", ("no_such_module",))
    with pytest.raises(ImportError, match=r"has no logits processors that are known; it needs vLLM 0\.32"):
        processor._interfaces()


@pytest.mark.parametrize(
    "module", ["integrations.vllm.processor", "integrations.processor", "integrations.served"]
)
def test_numba_stays_out_of_a_vllm_process(module: str) -> None:
    """vLLM 0.32 looks through all modules when an engine starts, and fails on those of numba's compiler."""
    code = f"import sys, random_routing.{module}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
