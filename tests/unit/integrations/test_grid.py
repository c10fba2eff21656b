"""`run_grid` in memory: the pipeline's own texts, paired decoders, and one line on what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from random_routing import run_grid
from random_routing.errors import PipelineError
from random_routing.files import read_jsonl
from tests.helpers import ROOT
from tests.helpers.tiny import tiny_model_folder
from tests.helpers.workspace import params

PROMPTS = ["the market rose and fell", "rain and trade in many towns", "the market rose and fell"]
UNIFORM = {"base": "sample", "q_route": "uniform", "lambda_route": "uniform"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("model") / "one")


def test_the_texts_are_those_of_the_pipeline(finished: Path) -> None:
    """Equal ids, noise and law: every decoder that both have, token by token."""
    values = params()
    rows = read_jsonl(finished / "data/prepared/textgen.jsonl")
    task = values["tasks"]["textgen"]
    table = run_grid(
        finished / "data/assets" / task["model"], {row["id"]: row["prompt"] for row in rows},
        q=values["grid"]["q"], lam=values["grid"]["lambda"], variants=values["variants"],
        baselines=values["baselines"], samples=task["samples"], max_new_tokens=task["max_new_tokens"],
        seed=values["seed"], batch_size=7,
    )  # fmt: skip
    cells = {path.stem for path in (finished / "data/generations/textgen").glob("*.parquet")}
    assert set(table["decoder"]) == cells
    for name, texts in table.groupby("decoder"):
        made = pq.read_table(finished / f"data/generations/textgen/{name}.parquet").to_pandas()
        assert texts["text"].tolist() == made["text"].tolist(), name
        assert texts["tokens"].tolist() == made["token_ids"].map(len).tolist()
        assert texts["logprob"].tolist() == pytest.approx(
            made["model_logprobs"].map(sum).tolist(), rel=1e-5
        )
        assert texts["random_tokens"].tolist() == [sum(r != 0 for r in routes) for routes in made["routes"]]


def test_a_row_per_decoder_prompt_and_sample(model: Path) -> None:
    table = run_grid(
        model, PROMPTS, q=[0, 0.5], variants={"uniform": UNIFORM}, baselines={"greedy": True, "temperature": [1.0]},
        samples=2, max_new_tokens=6, seed=3,
    )  # fmt: skip
    assert table["decoder"].unique().tolist() == [
        "greedy", "temperature-1", "routing-uniform-q0-l0", "routing-uniform-q0.5-l0"
    ]  # fmt: skip
    assert len(table) == 4 * 3 * 2 and table["prompt"].unique().tolist() == PROMPTS[:2]
    of = {name: texts.reset_index(drop=True) for name, texts in table.groupby("decoder")}
    assert of["temperature-1"]["text"].equals(of["routing-uniform-q0-l0"]["text"])  # one law, one noise
    assert of["routing-uniform-q0.5-l0"]["r"].unique().tolist() == [0.5]
    random = (
        of["routing-uniform-q0.5-l0"]["random_tokens"].sum() / of["routing-uniform-q0.5-l0"]["tokens"].sum()
    )
    assert 0.2 < random < 0.8 and not of["routing-uniform-q0-l0"]["random_tokens"].any()
    plain = of["temperature-1"]["text"].tolist()  # two texts of each of three prompts
    first, again = plain[:2], plain[4:]
    assert first != again  # equal prompts have noise of their own
    other = run_grid(
        model, PROMPTS[:1], baselines={"temperature": [1.0]}, samples=2, max_new_tokens=6, seed=3
    )
    pd.testing.assert_series_equal(
        other[other["decoder"] == "temperature-1"]["text"], pd.Series(first, name="text"), check_index=False
    )  # whatever else is asked for


def test_annealing_as_in_the_parameters(model: Path) -> None:
    """One that stays at 0.7 is temperature 0.7; one that falls from there is not."""
    still, falling = ({"shape": "linear", "start": 0.7, "end": end, "length": 1} for end in (0.7, 0.001))
    table = run_grid(
        model, PROMPTS, variants={"uniform": UNIFORM}, baselines={"temperature": [0.7], "annealing": [still, falling]},
        samples=2, max_new_tokens=6, seed=3,
    )  # fmt: skip
    of = {name: texts.reset_index(drop=True) for name, texts in table.groupby("decoder")}
    names = ("temperature-0.7", "annealing-linear-0.7-0.7-1", "annealing-linear-0.7-0.001-1")
    plain, same, other = (of[name] for name in names)
    assert plain["text"].equals(same["text"]) and not plain["text"].equals(other["text"])
    assert other["setting"].unique().tolist() == pytest.approx([(0.7 + 5 * 0.001) / 6])


def test_one_rate_by_itself(model: Path) -> None:
    listed = run_grid(model, PROMPTS, q=[0.3], lam=[0], max_new_tokens=4)
    assert run_grid(model, PROMPTS, q=0.3, lam=0, max_new_tokens=4).equals(listed)


def test_entropy_gates_are_calibrated(model: Path) -> None:
    gated = UNIFORM | {"q_gate": "entropy", "lambda_gate": "entropy"}
    table = run_grid(model, PROMPTS, q=[0.3], variants={"entropy": gated}, samples=4, max_new_tokens=12)
    assert 0.1 < table["random_tokens"].sum() / table["tokens"].sum() < 0.6


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"q": [0, 1.2]}, r"q\[1\] = 1\.2: must be a number of at least 0 and at most 1"),
        ({"variants": {"v": UNIFORM | {"q_route": "any"}}}, r"variants\.v\.q_route = 'any'"),
        (
            {"lam": [0, 0.7], "variants": {"v": UNIFORM | {"lambda_gate": {"span": 2}}}},
            r"variants\.v\.lambda_gate\.span = 2: .* can fill at most 0\.667 of the steps, not 0\.7",
        ),
        ({"baselines": {"topk": [3]}}, r"baselines\.topk"),
        ({"samples": 0}, r"samples = 0: must be a whole number of at least 1"),
        ({"prompts": []}, "prompts: must be a list of texts"),
        ({"prompts": "one text"}, "prompts: must be a list of texts"),
        ({"max_new_tokens": 5_000}, "prompts: example .* exceeds the context"),
        ({"model": "/no/such/folder"}, "model /no/such/folder: is no folder, and the hub does not give it"),
    ],
)
def test_what_cannot_be_is_one_line(model: Path, given: dict[str, Any], line: str) -> None:
    call: dict[str, Any] = {"model": model, "prompts": PROMPTS[:1]} | given
    with pytest.raises(PipelineError, match=line) as error:
        run_grid(call.pop("model"), call.pop("prompts"), **call)
    assert "params.yaml" not in str(error.value)


@pytest.mark.real
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/grid.ipynb, cell by cell: a row per decoder, prompt and sample, and every decoder's text."""
    monkeypatch.chdir(ROOT)
    notebook = json.loads((ROOT / "docs/grid.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert len(names["texts"]) == 9 * 3 * 4 and names["diversity"].between(0, 1).all()
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == names["texts"]["decoder"].unique().tolist()
