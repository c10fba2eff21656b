"""From the command line to a params.yaml: what is chosen, what stays, and one line on what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from random_routing.commands import demo
from random_routing.commands.choices import Choice, parameters
from random_routing.errors import PipelineError
from random_routing.law.cells import all_cells, representatives
from random_routing.metrics import METRICS
from random_routing.settings import parse_settings
from tests.helpers import ROOT

BASE = (ROOT / "params.yaml").read_text(encoding="utf-8")


def chosen(**given: Any) -> dict[str, Any]:
    return yaml.safe_load(parameters(BASE, Choice(**{"task": "dialogue", **given})))


def test_what_is_left_out_stays() -> None:
    """But other tasks, and what only they use, and tuning."""
    values, base = chosen(), yaml.safe_load(BASE)
    assert (
        list(values["tasks"]) == ["dialogue"] and values["tasks"]["dialogue"] == base["tasks"]["dialogue"]
    )
    assert set(values["assets"]) == {"smollm2", "gemma3", "minilm", "chitchat"}
    assert not values["tune"]["enabled"] and values["seed"] == base["seed"]
    for key in ("grid", "baselines", "metrics"):
        assert values[key] == base[key]
    own = {
        name: one for name, one in base["variants"].items() if "dialogue" in one.get("tasks", ["dialogue"])
    }
    assert values["variants"] == own and not values.get("trained")
    asked = {name for name, one in base["comparison"]["contrasts"].items() if one["variant"] in own}
    assert set(values["comparison"]["contrasts"]) == asked and not values["learning"]
    text = parameters(BASE, Choice("dialogue"))
    assert "# What a person may want to change." in text and "# two real knobs" in text  # comments stay
    assert text == parameters(text, Choice("dialogue"))


def test_rates_a_model_and_data_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").touch()
    (tmp_path / "model").mkdir()
    values = chosen(
        models=["hf:org/name@rev"], judge="model", data="rows.jsonl", fields={"reply": "answer"}, q=[0, 0.03],
        lam=[0, 0.1], temperature=[1, 1.3], examples=64, samples=2, tokens=9, seeds=[7],
    )  # fmt: skip
    assert values["grid"] == {"q": [0, 0.03], "lambda": [0, 0.1]} and values["seed"] == 7
    assert list(values["variants"]) == ["plausible"] and "grid" not in values["variants"]["plausible"]
    assert set(values["comparison"]["contrasts"]) == {"plausible-lambda", "plausible-plain"}
    task = values["tasks"]["dialogue"]
    assert (task["examples"], task["samples"], task["max_new_tokens"]) == (64, 2, 9)
    assert [task[role] for role in ("model", "judge", "data")] == ["own-model", "own-judge", "own-data"]
    assets = values["assets"]
    assert set(assets) == {"own-model", "own-judge", "own-data", "minilm"}
    assert assets["own-model"] == {"kind": "model", "source": "hf:org/name@rev"}
    assert assets["own-judge"]["source"] == f"file:{tmp_path}/model"
    whole = f"file:{tmp_path}/rows.jsonl"
    fields = {"reply": "answer"}
    assert assets["own-data"] == {"kind": "data", "source": whole, "reader": "records", "fields": fields}


def test_languages_and_variants() -> None:
    values = chosen(task="translation", languages=["en", "fr"], variants=["uniform"])
    assert values["tasks"]["translation"]["source_language"] == "en"
    assert values["tasks"]["translation"]["target_language"] == "fr"
    assert values["variants"]["uniform"]["grid"] == yaml.safe_load(BASE)["variants"]["uniform"]["grid"]
    assert values["tune"]["variants"] == ["uniform"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"task": "summary"}, r"--task summary: params\.yaml has no such task; it has textgen, dialogue, translation"),
        ({"models": ["gpt9"]}, r"--model gpt9: is not there; must be hf:repository@revision, a path, or one of smo"),
        ({"models": ["minilm"]}, r"--model minilm: is no model; there are smollm2, gemma3"),
        ({"seeds": [1, 2, 1]}, r"--seed 1: stands twice"),
        ({"models": ["hf:a/b@c", "hf:a/b@c"]}, r"--model hf:a/b@c: stands twice"),
        ({"judge": "smollm2"}, r"tasks\.dialogue\.judge = 'smollm2': must not be the generating model, for "),
        ({"data": "file:no.csv"}, r"--data file:no\.csv: is not there; must be .* or one of sotu, chitchat, homeass"),
        ({"variants": ["uniform", "odd"]}, r"--variants odd: must be one of uniform, epsilon-greedy, plausible"),
        ({"q": [0, 1.2]}, r"what was chosen: grid\.q\[1\] = 1\.2: must be a number of at least 0 and at most 1"),
        ({"lam": [float("nan")]}, r"what was chosen: grid\.lambda\[0\] = nan"),
        ({"examples": 1}, r"what was chosen: tasks\.dialogue\.examples = 1"),
        ({"models": ["hf:"]}, r"what was chosen: assets\.own-model\.source = 'hf:'"),
        ({"fields": {"reply": "answer"}}, "--field: needs --data with rows of your own"),
        ({"fields": {"reply": "a"}, "data": "chitchat"}, "--field: needs --data with rows of your own"),
        ({"models": ["pypi:x==1"]}, r"what was chosen: assets\.own-model"),
        ({"languages": ["de", "en"]}, r"what was chosen: tasks\.dialogue\.source_language = 'de': unknown key"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(given: dict[str, Any], line: str) -> None:
    with pytest.raises(PipelineError, match=line) as error:
        chosen(**given)
    assert "\n" not in str(error.value)


def test_several_models_and_seeds_are_tasks_of_one_kind() -> None:
    values = chosen(models=["smollm2", "hf:org/name@rev"], judge="gemma3", seeds=[1, 2])
    settings = parse_settings(values, METRICS)
    tasks = settings.tasks
    assert [(name, task.kind, task.model, task.seed) for name, task in tasks.items()] == [
        ("dialogue-smollm2-1", "dialogue", "smollm2", 1), ("dialogue-smollm2-2", "dialogue", "smollm2", 2),
        ("dialogue-own-model-2-1", "dialogue", "own-model-2", 1),
        ("dialogue-own-model-2-2", "dialogue", "own-model-2", 2),
    ]  # fmt: skip
    assert [
        [task.name for task in group]
        for group in parse_settings(values, METRICS).comparison.replicates(tasks)
    ] == [
        list(tasks)[:2],
        list(tasks)[2:],
    ]
    assert values["assets"]["own-model-2"]["source"] == "hf:org/name@rev"
    assert list(chosen(seeds=[1, 2])["tasks"]) == ["dialogue-1", "dialogue-2"]
    with pytest.raises(PipelineError, match=r"judge = 'gemma3': must not be the generating model"):
        chosen(models=["smollm2", "gemma3"], judge="gemma3")


def test_merged_sections_are_changed_by_themselves() -> None:
    text = BASE.replace("  uniform:  ", "  uniform: &it  ").replace(
        "  epsilon-greedy:\n", "  again: {<<: *it, base: greedy}\n  epsilon-greedy:\n"
    )
    assert "<<: *it" in text and "&it" in text
    values = yaml.safe_load(
        parameters(text, Choice("dialogue", q=[0, 0.05], variants=["uniform", "again"]))
    )
    assert all("grid" not in values["variants"][name] for name in ("uniform", "again"))
    assert (
        values["variants"]["again"]["base"] == "greedy"
        and values["variants"]["uniform"]["base"] == "sample"
    )


def test_a_seed_takes_the_place_of_the_task_s_own() -> None:
    base = yaml.safe_load(BASE)
    base["tasks"]["dialogue"]["seed"] = 7
    base["baselines"] = None
    values = yaml.safe_load(
        parameters(yaml.safe_dump(base), Choice("dialogue", seeds=[5], temperature=[0.7]))
    )
    assert parse_settings(values, METRICS).tasks["dialogue"].seed == 5
    assert values["baselines"] == {"temperature": [0.7]}


def test_what_is_said_of_a_task_follows_it() -> None:
    base = yaml.safe_load(BASE)
    base["tasks"]["chat"] = {**base["tasks"].pop("dialogue"), "kind": "dialogue"}
    for section in (base["comparison"]["quality"], base["comparison"]["delta"], base["tune"]["weight"]):
        section |= {"chat": section.pop("dialogue"), "textgen": section.pop("textgen")}
    base["comparison"]["contrasts"]["small-uniform"]["tasks"] = ["textgen", "chat"]
    base["comparison"]["contrasts"]["plausible-plain"]["tasks"] = ["chat"]
    text = yaml.safe_dump(base)
    for seeds, names in (([], ["chat"]), ([1, 2], ["chat-1", "chat-2"])):
        settings = parse_settings(yaml.safe_load(parameters(text, Choice("chat", seeds=seeds))), METRICS)
        assert list(settings.tasks) == names
        for name in names:
            assert settings.comparison.quality[name] == ("reference_similarity",)
            assert settings.comparison.contrasts["small-uniform"].tasks == tuple(names)
            assert settings.comparison.contrasts["plausible-plain"].tasks == tuple(names)
    left = yaml.safe_load(parameters(text, Choice("textgen")))
    assert (
        "chat" not in left["comparison"]["quality"]
        and "plausible-plain" not in left["comparison"]["contrasts"]
    )


def test_the_base_file_s_own_paths_are_made_whole(tmp_path: Path) -> None:
    base = yaml.safe_load(BASE)
    base["assets"]["own"] = {"kind": "data", "source": "file:rows.jsonl", "reader": "records"}
    base["tasks"]["dialogue"]["data"] = "own"
    base["variants"]["uniform"]["q_route"] = {"unigram": "words.txt"}
    values = yaml.safe_load(parameters(yaml.safe_dump(base), Choice("dialogue"), "own.yaml", tmp_path))
    assert values["assets"]["own"]["source"] == f"file:{tmp_path}/rows.jsonl"
    assert values["variants"]["uniform"]["q_route"] == {"unigram": f"{tmp_path}/words.txt"}


@pytest.mark.parametrize("base", ["- a\n", "tasks: {textgen\n", "tasks:\n", "", "tasks: [1]\n"])
def test_a_base_that_is_no_parameters_file(base: str) -> None:
    with pytest.raises(PipelineError, match=r"own\.yaml"):
        parameters(base, Choice("textgen"), "own.yaml")


def test_a_base_with_a_fault_is_named() -> None:
    for cut, said in (("variants:", "variants"), ("grid:\n", "grid"), ("comparison:", "comparison")):
        with pytest.raises(PipelineError, match=rf"^own\.yaml: .*{said}"):
            parameters(BASE.replace(f"\n{cut}", f"\nno{cut}", 1), Choice("textgen"), "own.yaml")


def test_the_demo_needs_one_model_and_a_dozen_decoders() -> None:
    raw = yaml.safe_load(parameters(BASE, demo.choice(BASE)))
    settings = parse_settings(raw, METRICS)
    (task,) = settings.tasks.values()
    assert task.judge == task.model and set(settings.assets) == {"smollm2", "minilm", "chitchat"}
    assert len(set(representatives(all_cells(settings, task)).values())) == 12
    assert len(settings.comparison.contrasts) >= 3


def test_a_model_that_a_server_runs(tmp_path: Path) -> None:
    url = "served:http://127.0.0.1:8000/v1"
    model = chosen(models=[url], tokenizer=str(tmp_path))["assets"]["own-model"]
    assert model == {"kind": "model", "source": url, "tokenizer": f"file:{tmp_path}"}
    for given, why in (
        ({"models": [url]}, "needs --tokenizer"),
        ({"models": [url], "tokenizer": "nowhere"}, "--tokenizer nowhere: is not there"),
        ({"models": ["gemma3"], "tokenizer": str(tmp_path)}, "is that of a model that a server runs"),
    ):
        with pytest.raises(PipelineError, match=why):
            chosen(**given)


def test_a_policy_is_trained_where_its_task_is_chosen() -> None:
    """Its data set stays, and rates go to the variant that such a task can have; other tasks train none."""
    chosen = yaml.safe_load(parameters(BASE, Choice("rl", q=[0, 0.1], lam=[0, 0.2])))
    assert list(chosen["trained"]) == ["cliff-q-learning"] and "cliff" in chosen["assets"]
    assert list(chosen["variants"]) == ["likeliest"]
    other = yaml.safe_load(parameters(BASE, Choice("dialogue", q=[0, 0.1])))
    assert (
        not other["trained"] and "cliff" not in other["assets"] and list(other["variants"]) == ["plausible"]
    )
