"""Served models, against a server of our own: the table, what is not guaranteed, and one line for what goes wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from random_routing import endpoint
from random_routing.commands.app import main
from random_routing.errors import PipelineError
from random_routing.integrations.served import run_served
from random_routing.integrations.served.journal import read
from tests.helpers.completions_server import Behaviour, completions

PROMPTS = ["rain and trade", "the market"]
COLUMNS = (
    "decoder", "family", "variant", "q", "lambda", "r", "setting", "prompt", "sample", "text", "tokens",
    "random_tokens", "logprob", "finish",
)  # fmt: skip


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "PAUSE", 0.0)


def test_a_row_per_decoder_prompt_and_sample() -> None:
    behaviour = Behaviour()
    with completions(behaviour) as url:
        table = run_served(
            url, PROMPTS, q=[0, 0.5], lam=[0, 0.1], baselines={"greedy": True, "temperature": [0.7]}, samples=2,
            max_new_tokens=6, seed=3,
        )  # fmt: skip
    assert tuple(table.columns) == COLUMNS and len(table) == 6 * 2 * 2
    assert table["decoder"].unique().tolist() == [
        "greedy", "temperature-0.7", "routing-plausible-q0-l0", "routing-plausible-q0-l0.1",
        "routing-plausible-q0.5-l0", "routing-plausible-q0.5-l0.1",
    ]  # fmt: skip
    last = table.iloc[-1]
    assert (last["r"], last["tokens"], last["logprob"], last["finish"]) == (0.55, 6, -9.0, "length")
    assert table["random_tokens"].isna().all() and table["q"].isna().sum() == 8  # not known, not invented
    about = table.attrs["served"]
    assert about["url"] == url and about["model"] == "tiny"
    assert {"bytes", "pairing", "random_tokens"} <= set(about["not_guaranteed"])


def test_what_a_request_says() -> None:
    """Settings as JSON text, neutral sampling, and a seed of the prompt and the sample alone."""
    behaviour = Behaviour()
    with completions(behaviour) as url:
        run_served(url, PROMPTS, q=[0, 0.5], samples=2, max_new_tokens=6)
    sent = behaviour.asked[-8:]
    by_law: dict[Any, dict[tuple[str, int], Any]] = {}
    for body in sent:
        law = (body["vllm_xargs"] or {}).get("random_routing")
        by_law.setdefault(law, {})[body["prompt"], body["seed"]] = body
        assert (body["temperature"], body["top_p"], body["top_k"], body["max_tokens"]) == (1.0, 1.0, 0, 6)
    plain, routed = by_law[None], next(bodies for law, bodies in by_law.items() if law)
    assert set(plain) == set(routed) and len({seed for _, seed in plain}) == 4
    law = next(law for law in by_law if law)
    assert json.loads(law) == {
        "base": "sample", "q_route": "uniform", "lambda_route": {"top_k": 20}, "q": 0.5, "lambda": 0
    }  # fmt: skip


def changed(**others: Any) -> Callable[[tuple[int, bytes]], tuple[int, bytes]]:
    """Of a completion's only choice."""

    def change(answered: tuple[int, bytes]) -> tuple[int, bytes]:
        value = json.loads(answered[1])
        if "choices" in value:
            value["choices"][0] |= others
        return answered[0], json.dumps(value).encode()

    return change


@pytest.mark.parametrize(
    ("behaviour", "line"),
    [
        ({"knows": False}, r"does not know the processor; install random-routing beside its vLLM .it takes q = 2."),
        ({"follows": False}, "reads the processor's settings but does not follow them"),
        ({"models": ("one", "two")}, "has 2 models; name one: one, two"),
        ({"models": ()}, "has 0 models"),
        ({"change": changed(logprobs=None)}, "returns no log-probabilities"),
        ({"change": changed(logprobs={"token_logprobs": [None]})}, "is no completion .choices.0.logprobs"),
        ({"change": changed(logprobs={"token_logprobs": [float("nan")]})}, "is no completion"),
        ({"change": changed(text=None)}, "is no completion .choices.0.text"),
        ({"change": changed(text="\ud800")}, "is no completion"),
        ({"change": changed(finish_reason="abort")}, "ended a text by 'abort'"),
        ({"change": lambda a: (200, b"<html>")}, "its answer is not a JSON object .<html>"),
        ({"change": lambda a: (200, b"[" * 10**5)}, "its answer is not a JSON object"),
        ({"change": lambda a: (200, b'{"choices": []}')}, "is no completion .choices"),
        ({"change": lambda a: (500, b"x\n" * 10**4)}, "status 500 .x x x"),
        ({"change": lambda a: (401, b'{"error": {"message": "no key"}}')}, "status 401 .no key."),
        ({"change": lambda a: (302, b"")}, "status 302"),
        ({"busy": 99}, "status 503 .busy."),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_one_line(behaviour: dict[str, Any], line: str) -> None:
    with completions(Behaviour(**behaviour)) as url, pytest.raises(PipelineError, match=line) as error:
        run_served(url, PROMPTS[:1], q=[0.5])
    said = str(error.value)
    assert "\n" not in said and len(said) < 500


def test_an_endpoint_that_is_down_or_none_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(PipelineError, match=rf"http://127\.0\.0\.1:{port}: cannot be reached"):
        run_served(f"http://127.0.0.1:{port}", PROMPTS)
    for url in ("ftp://host", "no address", "http://", ""):
        with pytest.raises(PipelineError, match=r"^url "):
            run_served(url, PROMPTS)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PipelineError, match=r"sent nothing for 0\.1 s"):
            run_served(url, PROMPTS, timeout=0.1)


def test_a_busy_server_is_asked_again() -> None:
    with completions(Behaviour(busy=2)) as url:
        assert len(run_served(url, PROMPTS, q=[0.5])) == 2


def test_a_long_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "LARGEST", 1000)
    with (
        completions(Behaviour(change=lambda a: (200, b" " * 10**6))) as url,
        pytest.raises(PipelineError, match="longer than 1000 bytes"),
    ):
        run_served(url, PROMPTS)


def test_a_key_is_sent_and_never_shown() -> None:
    with completions(Behaviour(change=lambda a: (403, b"no"))) as url:
        address = url.replace("http://", "http://me:secret@")
        with pytest.raises(PipelineError, match="status 403") as error:
            run_served(address, PROMPTS, api_key="hidden")
    assert "secret" not in str(error.value) and "hidden" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"q": [0, 1.2]}, r"q\[1\] = 1\.2: must be a number"),
        ({"samples": 0}, "samples = 0: must be a whole number"),
        ({"concurrency": 0}, "concurrency = 0"),
        ({"baselines": {"topk": [3]}}, "baselines.topk"),
        (
            {"variants": {"v": {"q_route": {"heads": 0.3}}}},
            r"variants\.v\.q_route = .*cannot be had in vLLM",
        ),
        ({"variants": {"v": {"q_gate": "entropy"}}}, r"variants\.v\.q_gate = 'entropy': needs its scale"),
        (
            {"baselines": {"annealing": [{"shape": "linear", "start": 1.3, "end": 0.7}]}},
            "baselines.annealing: cannot be had in vLLM",
        ),
        ({"variants": {"v": {"q": 0.5}}}, "variants.v.q: stands above the variants"),
        ({"prompts": []}, "prompts: must be a list of texts"),
    ],
)
def test_wrong_arguments_are_one_line(given: dict[str, Any], line: str) -> None:
    call: dict[str, Any] = {"prompts": PROMPTS} | given
    with pytest.raises(PipelineError, match=line):
        run_served("http://127.0.0.1:1", call.pop("prompts"), **call)


def served(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["served", *arguments])
    return int(str(ended.value.code))


def test_the_command_goes_on_with_what_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server fails after a few texts: they are kept, nothing else is written, and the same call needs the rest."""
    monkeypatch.chdir(tmp_path)
    Path("p.jsonl").write_text("".join(f'{{"prompt": "{prompt}"}}\n' for prompt in PROMPTS))
    behaviour = Behaviour()
    with completions(behaviour) as url:
        call = [
            "--url",
            url,
            "--prompts",
            "p.jsonl",
            "--q",
            "0",
            "0.5",
            "--out",
            "o.parquet",
            "--concurrency",
            "1",
        ]
        behaviour.change = lambda a: a if len(behaviour.asked) < 14 else (500, b"out of memory")
        assert served(*call) == 2
        assert "error: " in (said := capsys.readouterr().err) and said.count("\n") == 1
        assert {path.name for path in tmp_path.iterdir()} == {"p.jsonl", "o.parquet.answers.jsonl"}
        kept = read(Path("o.parquet.answers.jsonl"))
        with Path("o.parquet.answers.jsonl").open("a") as lines:
            lines.write('{"key": "cut off')
        behaviour.asked.clear()
        behaviour.change = lambda a: a
        assert served(*call) == 0
    assert 0 < len(kept) < 6 and len(behaviour.asked) == 10 + 6 - len(kept)  # ten probes
    table = pd.read_parquet("o.parquet")
    assert len(table) == 6 and table.attrs["served"]["model"] == "tiny"
    assert {path.name for path in tmp_path.iterdir()} == {"p.jsonl", "o.parquet"}
    assert "not guaranteed, bytes: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "arguments", "line"),
    [
        ('{"text": "a"}\n', (), r"p\.jsonl, line 1: must be a mapping with a text `prompt`"),
        ("", (), r"p\.jsonl: has no prompts"),
        ('{"prompt": "a", "id": 1}\n{"prompt": "b", "id": 1}\n', (), "has an `id` twice"),
        ('{"prompt": "a", "id": 1}\n{"prompt": "b"}\n', (), "line 2: all lines have an `id`, or none has"),
        ('{"prompt": "a"}\n', ("--out", "o.csv"), r"--out o\.csv: must be a file that ends in \.parquet"),
        ('{"prompt": "a"}\n', ("--variants", "none.yaml"), r"--variants none\.yaml: cannot be read"),
        ('{"prompt": "a"}\n', ("--q", "2"), r"q\[0\] = 2\.0: must be"),
        ('{"prompt": "a"}\n', (), "http://127.0.0.1:1: cannot be reached"),
    ],
)
def test_what_the_command_cannot_take(
    rows: str, arguments: tuple[str, ...], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("p.jsonl").write_text(rows)
    assert (
        served("--url", "http://127.0.0.1:1", "--prompts", "p.jsonl", "--out", "o.parquet", *arguments) == 2
    )
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and pd.Series([said]).str.contains(line).all(), said
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]
