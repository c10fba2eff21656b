"""The stages with a generator behind an endpoint: the texts of the same model loaded here, and what is not promised."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import evaluate, fetch, generate, plot, prepare, summarize, tune
from random_routing import endpoint
from random_routing.errors import PipelineError
from random_routing.files import read_json
from random_routing.models.served import NOT_GUARANTEED
from random_routing.runs.cell_files import read_cell
from tests.helpers.logits_server import Served, asset_of, serving
from tests.helpers.workspace import columns, inside, params, write_params

EXACT = ("example_id", "sample", "text", "token_ids", "routes", "finish")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "PAUSE", 0.0)


def behind(url: str, **others: Any) -> dict[str, Any]:
    """Parameters of one task, whose model is served."""
    values = params() | {"device": "auto", **others}
    values["tasks"] = {"textgen": values["tasks"]["textgen"] | {"model": "far"}}
    values["assets"]["far"] = asset_of(url)
    return values


def texts(folder: Path) -> dict[str, Any]:
    """What a server's rounding does not change."""
    return {
        name: {key: cell[key] for key in EXACT}
        for name, cell in columns(folder).items()
        if name.startswith("textgen/")
    }


def test_from_the_asset_to_the_verdicts(finished: Path, fresh: Path, tmp_path: Path) -> None:
    """With a judge that is loaded here; entropies, ranks and p of people's texts come from the server too."""
    folder = Path(shutil.copytree(fresh, tmp_path / "work"))
    server = Served(folder / "models/one")
    with serving(server) as url, inside(folder):
        write_params(folder, behind(url))
        fetch.main(["far"])
        for stage in (prepare, generate, evaluate, tune):
            stage.main(["textgen"])
        summarize.main([])
        plot.main([])
    assert texts(folder) == texts(finished)
    _, metadata = read_cell(folder / "data/generations/textgen/greedy.parquet", ["text"])
    assert metadata["not_guaranteed"] == NOT_GUARANTEED and "bytes" in NOT_GUARANTEED
    assert (
        "not_guaranteed" not in read_cell(finished / "data/generations/textgen/greedy.parquet", ["text"])[1]
    )
    measured = read_json(folder / "data/metrics/textgen.json")
    assert all(cell["metrics"]["perplexity"]["value"] for cell in measured["cells"])
    assert measured["likelihood"] and measured["comparison"]["matched"]
    for page in ("findings.md", "index.html"):
        assert "Not guaranteed, as a server runs the generator" in (folder / "reports" / page).read_text()
    assert read_json(folder / "data/cost/generate-textgen.json")["checked"] == 0


def test_a_server_that_goes_down_and_comes_back_elsewhere(
    finished: Path, fresh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finished blocks are kept; the rest is made from another port, and no prefix of a kept text is asked again."""
    folder = Path(shutil.copytree(fresh, tmp_path / "work"))
    first, second = Served(folder / "models/one"), Served(folder / "models/one")
    with inside(folder):
        with serving(first) as url:
            write_params(folder, behind(url, max_rows=15))  # a block an example
            fetch.main(["far"])
            prepare.main(["textgen"])
            first.left = 3 * 8  # requests: one for each step of a block
            with pytest.raises(PipelineError, match=r"status 500 \(out of order\)"):
                generate.main(["textgen"])
        with serving(second) as url:
            write_params(folder, behind(url, max_rows=15))
            fetch.main(["far"])
            generate.main(["textgen"])
            computed = re.search(r"computed \d+ decoders, (\d+) texts", capsys.readouterr().out)
            assert computed and int(computed[1]) == 30, "2 of 4 examples were kept"
            generate.main(["textgen"])
    assert "all of them were there already" in capsys.readouterr().out
    assert texts(folder) == texts(finished)
    blocks = first.bodies[2 : 2 + 2 * 8]  # after the two that ask what the server is
    kept = {tuple(prompt) for body in blocks for prompt in body["prompt"]}
    assert len(kept) > 16 and not kept & {*second.asked}


def test_no_text_is_made_again(work: Path) -> None:
    """A server's bits are not compared: values that differ from run to run do not stop a stage."""
    server = Served(work / "models/one")
    count = 0

    def drifting(status: int, value: Any) -> tuple[int, Any]:
        nonlocal count
        count += 1
        for choice in value["choices"]:
            [step] = choice["logprobs"]["top_logprobs"]
            drifted = {token: score - 1e-5 * count * i for i, (token, score) in enumerate(step.items())}
            choice["logprobs"]["top_logprobs"] = [drifted]
        return status, value

    server.change = drifting
    with serving(server) as url, inside(work):
        values = behind(url)
        values["grid"] = {"q": [0.1], "lambda": [0]}
        write_params(work, values)
        fetch.main(["far"])
        generate.main(["textgen"])
        evaluate.main(["textgen"])
    assert read_json(work / "data/cost/generate-textgen.json")["checked"] == 0
