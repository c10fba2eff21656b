"""A model behind an endpoint that returns whole distributions: its texts are those of the same model loaded here."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import fetch
from random_routing import endpoint, run_grid
from random_routing.errors import PipelineError, SettingsError
from random_routing.files import read_json
from random_routing.models import served
from random_routing.models.loading import load_model
from random_routing.models.roles import check_generator
from random_routing.settings import parse_settings
from tests.helpers.errors import one_line
from tests.helpers.logits_server import Answered, Served, asset_of, serving
from tests.helpers.tiny import tiny_model_folder
from tests.helpers.workspace import inside, params

PROMPTS = ["the market rose", "rain and trade", "people of many towns talked"]
ROUTES: dict[str, dict[str, Any]] = {
    "uniform": {"base": "sample", "q_route": "uniform", "lambda_route": {"top_k": 5}},
    "nucleus": {"base": {"top_p": 0.8, "temperature": 0.9}, "q_route": "unigram", "lambda_route": "frozen"},
    "before": {"base": {"min_p": 0.1}, "q_route": "uniform", "lambda_route": "uniform", "mix": "before"},
    "spans": {
        "base": "greedy", "q_route": "uniform", "lambda_route": "uniform", "q_gate": {"span": 2},
        "lambda_gate": "sequence", "q_schedule": "explore_first",
    },
}  # fmt: skip
BY_ENTROPY = {"entropy": {**ROUTES["uniform"], "q_gate": "entropy"}}
BASELINES = {
    "greedy": True, "temperature": [0.7], "top_k": [5], "typical_p": [0.9], "eta": [0.01],
    "annealing": [{"shape": "exploratory", "start": 1.5, "end": 0.5}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "PAUSE", 0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("project") / "models/one")


@pytest.fixture
def project(model: Path) -> Iterator[Path]:
    with inside(model.parent.parent):
        yield model.parent.parent


def fetched(url: str, **others: Any) -> Path:
    """The asset `far`, of this project."""
    values = params()
    values["assets"]["far"] = asset_of(url, **others)
    Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    fetch.main(["far"])
    return Path("data/assets/far")


@pytest.mark.parametrize("variants", [ROUTES, BY_ENTROPY], ids=["routes", "entropy"])
def test_texts_are_those_of_the_same_model(project: Path, model: Path, variants: dict[str, Any]) -> None:
    """Every kind of decoder, token by token; log-probabilities to rounding, as the server has its own arithmetic."""
    asked: dict[str, Any] = {
        "q": [0, 0.3], "lam": [0.2], "variants": variants, "baselines": BASELINES, "samples": 2, "max_new_tokens": 8,
        "device": "cpu",
    }  # fmt: skip
    server = Served(model)
    with serving(server) as url:
        folder = fetched(url)
        far = run_grid(folder, PROMPTS, **asked)
    near = run_grid(model, PROMPTS, **asked)
    assert far.drop(columns="logprob").equals(near.drop(columns="logprob"))
    assert far["logprob"].tolist() == pytest.approx(near["logprob"].tolist(), rel=1e-4)
    if variants is ROUTES:  # an entropy gate's calibration has a run of its own
        prefixes = server.asked[2:]  # after the two that ask what the server is
        assert len(prefixes) == len({*prefixes}) < 0.5 * far["tokens"].sum()


def test_what_is_fetched_and_asked(project: Path, model: Path) -> None:
    server = Served(model, names=("tiny", "other"))
    with serving(server) as url:
        folder = fetched(url, served_name="other")
    assert {path.name for path in folder.iterdir()} == {
        "asset.json", "chat_template.jinja", "config.json", "endpoint.json", "generation_config.json", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    told = {"id": "other", "root": "org/tiny", "version": "1.2", "context": 256, "logprobs": 300}
    assert read_json(folder / "endpoint.json") == told
    assert read_json(folder / "asset.json")["sources"] == [f"served:{url}"]
    assert server.bodies == [{
        "model": "other", "prompt": [[0]], "max_tokens": 1, "logprobs": -1, "return_tokens_as_token_ids": True,
        "stream": False, "n": 1, **endpoint.NEUTRAL,
    }]  # fmt: skip


def test_requests_are_cut_to_what_an_answer_may_hold(
    project: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "ANSWER", 700)  # two rows of 300
    server = Served(model)
    with serving(server) as url:
        run_grid(fetched(url), PROMPTS, q=[0.5], max_new_tokens=4, device="cpu")
    assert {len(body["prompt"]) for body in server.bodies} == {1, 2}


def only(count: int) -> Callable[[int, Any], Answered]:
    """The likeliest tokens alone."""

    def change(status: int, value: Any) -> Answered:
        for choice in value["choices"]:
            [step] = choice["logprobs"]["top_logprobs"]
            choice["logprobs"]["top_logprobs"] = [
                dict(sorted(step.items(), key=lambda pair: -pair[1])[:count])
            ]
        return status, value

    return change


def renamed(name: Callable[[str], str]) -> Callable[[int, Any], Answered]:
    def change(status: int, value: Any) -> Answered:
        for choice in value["choices"]:
            [step] = choice["logprobs"]["top_logprobs"]
            choice["logprobs"]["top_logprobs"] = [{name(token): score for token, score in step.items()}]
        return status, value

    return change


def without(status: int, value: Any) -> Answered:
    return status, {"choices": [{**choice, "logprobs": None} for choice in value["choices"]]}


def not_a_number(status: int, value: Any) -> Answered:
    value["choices"][0]["logprobs"]["top_logprobs"][0]["token_id:7"] = (
        math.nan
    )  # as Python's JSON writes it
    return status, value


def refused(status: int, value: Any) -> Answered:
    return 400, {
        "error": {"message": "Requested sample logprobs of 300, which is greater than max allowed: 20"}
    }


AT_FETCH = {
    "no log-probabilities": (without, r"returns no log-probabilities, .*start it with --max-logprobs -1"),
    "too many for it": (refused, r"status 400 .*max allowed: 20\); start it with --max-logprobs -1"),
    "by text": (renamed(lambda token: f"a{token}"), r"names tokens by their text \('atoken_id:0'\), not by their id"),
    "not JSON": (lambda status, value: (200, b"<html>"), r"its answer is not a JSON object \(<html>\)"),
    "no completion": (lambda status, value: (200, {"choices": [{}]}), r"is no completion \(choices\.0\.index: Field"),
    "fewer answers": (lambda status, value: (200, {"choices": []}), "gives 0 answers to 1 prompts"),
}  # fmt: skip


@pytest.mark.parametrize("name", AT_FETCH)
def test_what_fetch_refuses(project: Path, model: Path, name: str) -> None:
    change, line = AT_FETCH[name]
    with serving(Served(model, change=change)) as url, pytest.raises(PipelineError, match=line) as error:
        fetched(url)
    one_line(error.value)


def test_a_server_that_is_down_or_has_no_such_model(project: Path, model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(PipelineError, match=rf"^http://127.0.0.1:{port}/v1: cannot be reached \(") as error:
        fetched(f"http://127.0.0.1:{port}/v1")
    one_line(error.value)
    with serving(Served(model, names=("a", "b"))) as url:
        with pytest.raises(PipelineError, match="has 2 models; name one: a, b"):
            fetched(url)
        with pytest.raises(PipelineError, match="has no model c; it has a, b"):
            fetched(url, served_name="c")
    with serving(Served(model)) as url:
        with pytest.raises(
            PipelineError, match=r"tokenizer = file:nowhere: must be a folder with config\.json"
        ):
            fetched(url, tokenizer="file:nowhere")
        (project / "bare").mkdir(exist_ok=True)
        (project / "bare/config.json").write_bytes((model / "config.json").read_bytes())
        with pytest.raises(PipelineError, match=r"assets\.far: file:bare lacks a tokenizer"):
            fetched(url, tokenizer="file:bare")


def test_a_server_with_a_part_of_the_vocabulary(project: Path, model: Path) -> None:
    """Found out before any work: by what it said when it was fetched."""
    with serving(Served(model, change=only(20))) as url:
        fetched(url)
    values = params()
    values["assets"]["far"] = asset_of(url)
    values["tasks"]["textgen"]["model"] = "far"
    task = parse_settings(values).tasks["textgen"]
    with pytest.raises(
        PipelineError, match=r"model = far: .*log-probabilities of 20 of 300 tokens .*--max-logprobs -1"
    ):
        check_generator(task)


WRITING = {
    "part": (only(299), "returns log-probabilities of 299 of 300 tokens; start it with --max-logprobs -1"),
    "NaN": (not_a_number, "returns log-probabilities that are NaN"),
    "wide": (renamed(lambda token: token.replace(":0", ":3000")), "names tokens that are no ids below 300"),
    "down": (lambda status, value: (500, {"error": {"message": "out of order"}}), r"status 500 \(out of order\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITING)
def test_what_goes_wrong_while_texts_are_written(project: Path, model: Path, name: str) -> None:
    change, line = WRITING[name]
    server = Served(model)
    with serving(server) as url:
        folder = fetched(url)
        server.change = lambda status, value: (
            change(status, value) if len(server.bodies) > 3 else (status, value)
        )
        with pytest.raises(PipelineError, match=line) as error:
            run_grid(folder, PROMPTS, q=[0.5], max_new_tokens=4, device="cpu")
    one_line(error.value)


def test_another_model_behind_the_same_name_is_refused(project: Path, model: Path) -> None:
    """Texts are kept under what the server said; the address does not matter."""
    with serving(Served(model)) as url:
        folder = fetched(url)
        first = read_json(folder / "asset.json")["files"]
    with serving(Served(model)) as url:
        assert read_json(fetched(url) / "asset.json")["files"] == first
    with serving(Served(model, root="org/newer")) as url:
        seal = json.loads((folder / "asset.json").read_text())
        seal.pop("sha256 of the rest")
        (folder / "asset.json").write_text(json.dumps({**seal, "sources": [f"served:{url}"]}))
        line = "root is 'org/newer' now, and was 'org/tiny' when far was fetched; run dvc repro --force"
        with pytest.raises(PipelineError, match=line):
            load_model(folder)


def test_a_gpu_is_refused(project: Path, model: Path) -> None:
    with serving(Served(model)) as url:
        folder = fetched(url)
        with pytest.raises(
            PipelineError, match="device = 'cuda': must be auto or cpu, as a server runs far"
        ):
            load_model(folder, device="cuda")


FAR = asset_of("http://127.0.0.1:8000/v1")
SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "judge": ({"tasks/textgen/judge": "far"}, r"tasks\.textgen\.judge = 'far': must be a model that is loaded here"),
    "cuda": ({"device": "cuda"}, r"device = 'cuda': must be auto or cpu, as the model of tasks\.textgen is served"),
    "beams": ({"tasks/textgen/beams": [4]}, r"tasks\.textgen\.beams = \[4\]: must be left out, as the model of"),
    "heads": (
        {"variants/uniform/lambda_route": {"heads": 0.1}},
        r"variants\.uniform\.lambda_route = 'heads': must be one of uniform, top_k, unigram, frozen, as the model",
    ),
    "embedder": ({"assets/bert": {**FAR, "kind": "embedder"}}, r"assets\.bert\.source.*only an asset of kind model"),
    "no tokenizer": (
        {"assets/far": {"kind": "model", "source": FAR["source"]}}, r"assets\.far\.tokenizer.*a served model needs it",
    ),
    "tokenizer": ({"assets/far/tokenizer": "models/one"}, r"assets\.far\.tokenizer = 'models/one': must be hf:repo"),
    "of a folder": ({"assets/one/tokenizer": "file:x"}, r"assets\.one\.tokenizer.*only an asset with a source served:"),
    "address": ({"assets/far/source": "served:127.0.0.1:8000"}, r"assets\.far\.source.*served:http://host:port/v1"),
    "password": ({"assets/far/source": "served:http://me:secret@host/v1"}, r"assets\.far\.source.*served:http://host"),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_what_params_may_not_ask_of_it(name: str) -> None:
    changes, line = SETTINGS[name]
    values = params()
    values["assets"]["far"] = dict(FAR)
    values["tasks"]["textgen"]["model"] = "far"
    for key, value in changes.items():
        *sections, last = key.split("/")
        section = values
        for part in sections:
            section = section[part]
        section[last] = value
    with pytest.raises(SettingsError, match=line) as error:
        parse_settings(values)
    one_line(error.value)


def test_labels_alone_are_written(project: Path, model: Path) -> None:
    """As of the same model that is loaded here: what is no label has no probability."""
    with serving(Served(model)) as url:
        folder = fetched(url)
        far, near = load_model(folder, labels=("a", "b")), load_model(model, labels=("a", "b"))
        for one in (far, near):
            ids, padding = one.pad([[5, 6, 7], [8, 9]], 16)
            cache = one.new_cache(4, 16, 1)
            cache.cover(0, 2, 0)
            logits = one.start(ids, padding, cache)
            assert (logits.isfinite().sum(1) == 2).all() and far.shape.choices == near.shape.choices
