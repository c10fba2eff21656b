"""Stages on tiny models: incremental, resumable, pruned, and clear about bad input."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline import evaluate, fetch, generate, prepare
from random_routing.files import read_json, read_jsonl
from random_routing.law.cells import Decoder
from random_routing.runs.blocks import grouped, units
from random_routing.runs.cell_files import read_cell
from random_routing.runs.plan import Job, Text
from random_routing.runs.tokenized import Example
from random_routing.settings import Base
from tests.helpers import LONG
from tests.helpers.attempts import Killed, attempt
from tests.helpers.tensorboard import scalars
from tests.helpers.tiny import tiny_model_folder
from tests.helpers.workspace import columns, inside, params, write_params


def run_generate(folder: Path, capsys: pytest.CaptureFixture[str], task: str = "textgen") -> str:
    capsys.readouterr()
    with inside(folder):
        generate.main([task])
    return capsys.readouterr().out


def test_files_hold_what_the_design_says(finished: Path) -> None:
    cells = columns(finished)
    # 3 variants × 3 × 2 cells, greedy, 2 temperatures, 1 top-p; beam for translation alone
    assert len(cells) == 3 * (18 + 4) + 1 and "translation/beam-4" in cells
    for name, cell in cells.items():
        assert list(cell) == ["example_id", "sample", "text", "token_ids", "routes", "logprobs",
                              "model_logprobs", "ranks", "entropies", "finish"]  # fmt: skip
        assert len(set(cell["example_id"])) == 4
        for ids, routes, values, finish in zip(
            cell["token_ids"], cell["routes"], cell["logprobs"], cell["finish"], strict=True
        ):
            assert len(ids) == len(routes) == len(values) <= 8
            assert finish == "eos" or (finish == "length" and len(ids) == 8)
            assert finish == "length" or ids[-1] == 2 or name.startswith("translation")  # or a newline
            assert name.startswith(
                ("textgen/routing", "dialogue/routing", "translation/routing")
            ) or not any(routes)
    path = finished / "data/generations/textgen/routing-plausible-q0.1-l0.1.parquet"
    metadata = pq.read_schema(path).metadata[b"cell"].decode()
    for word in ('"key"', '"numerics"', '"transformers"', '"seed"', '"lambda_route"', '"top_k"'):
        assert word in metadata


def test_files_name_their_routes(finished: Path) -> None:
    """Where only r counts, a random token belongs to neither q nor λ, although its number is 1."""
    by_r = {"0": "model", "1": "random, by r"}
    for name, routes in (
        ("routing-uniform-q0-l0.1", by_r),
        ("routing-epsilon-greedy-q0.3-l0.1", by_r),
        ("routing-plausible-q0.1-l0", {"0": "model", "1": "q-route", "2": "λ-route"}),
        ("greedy", {"0": "model"}),
    ):
        assert (
            read_cell(finished / f"data/generations/textgen/{name}.parquet", ["text"])[1]["routes"]
            == routes
        )


def test_equal_rates_hold_the_same_bytes(finished: Path) -> None:
    cells = columns(finished)
    assert cells["textgen/routing-uniform-q0.1-l0"] == cells["textgen/routing-uniform-q0-l0.1"]
    assert cells["textgen/routing-uniform-q0-l0"] == cells["textgen/temperature-1"]
    assert cells["textgen/routing-epsilon-greedy-q0-l0"] == cells["textgen/greedy"]
    assert cells["textgen/routing-uniform-q0.3-l0.1"] != cells["textgen/routing-uniform-q0.3-l0"]


def test_a_second_run_computes_nothing(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = columns(work)
    assert "all of them were there already" in run_generate(work, capsys)
    shutil.rmtree(work / "data/generations")
    for task in ("textgen", "dialogue", "translation"):
        assert "all of them were there already" in run_generate(work, capsys, task)
    assert columns(work) == before


def test_one_more_q_computes_only_its_cells_and_a_smaller_grid_is_pruned(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, values = columns(work), params()
    values["grid"]["q"] = [0, 0.05, 0.1, 0.3]
    write_params(work, values)
    # q = 0.05 × λ = 0, 0.1 in three variants; plausible's (0.05, 0) is uniform's: 5 new decoders
    assert "computed 5 decoders, 20 texts" in run_generate(work, capsys)
    after = columns(work)
    assert len(after) == len(before) + 6
    assert all(after[name] == cell for name, cell in before.items())
    write_params(work, params())
    run_generate(work, capsys)
    assert columns(work) == before


def test_more_examples_keep_the_earlier_ones(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, values = columns(work), params(examples=6)
    write_params(work, values)
    with inside(work):
        prepare.main(["textgen"])
    assert re.search(r"computed (\d+) decoders, (\d+) texts", run_generate(work, capsys)).groups() == (  # type: ignore[union-attr]
        "15",
        "30",  # two new examples for each
    )
    after = columns(work)
    for name, cell in before.items():
        if name.startswith("textgen/"):
            assert {key: values[:4] for key, values in after[name].items()} == cell


TASKS = ["textgen", "dialogue", "translation"]


@pytest.mark.parametrize(
    ("workers", "tasks"),
    [
        (1, ["textgen"]),
        (2, ["translation"]),
        pytest.param(1, TASKS[1:], marks=pytest.mark.long),
        pytest.param(2, TASKS[:2], marks=pytest.mark.long),
    ],
)
def test_batch_and_block_sizes_and_workers_change_nothing(
    finished: Path, fresh: Path, tmp_path: Path, workers: int, tasks: list[str]
) -> None:
    folder = Path(shutil.copytree(fresh, tmp_path / "work"))
    values = params() | {"batch_size": 3, "max_rows": 7, "workers": workers}
    if not LONG:
        values["grid"] = {"q": [0.1, 0.3], "lambda": [0.1]}
    write_params(folder, values)
    with inside(folder):
        for task in tasks:
            generate.main([task])
    expected, found = columns(finished), columns(folder)
    assert len(found) == len(tasks) * (3 * (6 if LONG else 2) + 4) + ("translation" in tasks)
    assert found == {name: expected[name] for name in found}


def test_kill_in_the_middle_loses_no_finished_block(finished: Path, fresh: Path, tmp_path: Path) -> None:
    """kill -9 right after the second of four blocks is stored; the rerun computes the rest, to the same bytes."""
    folder = Path(shutil.copytree(fresh, tmp_path / "work"))
    write_params(folder, params() | {"max_rows": 15})  # a block an example
    killed = attempt(folder, "generate", "textgen", first=[Killed("BEGIN", 2)])
    assert killed.status == -signal.SIGKILL
    rerun = attempt(folder, "generate", "textgen")
    computed = re.search(r"computed \d+ decoders, (\d+) texts", rerun.out)
    assert computed and int(computed[1]) == 30, rerun.out  # 2 of 4 examples were kept
    expected = {name: cell for name, cell in columns(finished).items() if name.startswith("textgen/")}
    assert columns(folder) == expected


def test_independent_coupling_gives_every_cell_its_own_noise(work: Path) -> None:
    before = columns(work)
    write_params(work, params() | {"coupling": "independent"})
    with inside(work):
        generate.main(["textgen"])
    after = columns(work)
    one, other = (after[f"textgen/routing-uniform-{name}"]["token_ids"] for name in ("q0.1-l0", "q0-l0.1"))
    assert one != other and one != before["textgen/routing-uniform-q0.1-l0"]["token_ids"]
    assert after["textgen/greedy"] == before["textgen/greedy"], "greedy uses no noise"


def test_a_run_that_computes_nothing_keeps_what_the_last_one_took_and_events_are_written(
    work: Path,
) -> None:
    with inside(work):
        before = Path("data/cost/generate-textgen.json").read_bytes()
        generate.main(["textgen"])
        assert Path("data/cost/generate-textgen.json").read_bytes() == before
        assert not Path("reports/tensorboard").exists()
        write_params(work, params() | {"tensorboard": True, "seed": 7})
        generate.main(["textgen"])
        evaluate.main(["textgen"])
        made, measured = (
            scalars(Path(f"reports/tensorboard/{stage}-textgen")) for stage in ("generate", "evaluate")
        )
    assert made["tokens_per_second"][-1][1] > 0 and made["tokens_per_model_row"][-1][1] > 1
    rates = {tag.split("/")[1]: found[0][1] for tag, found in made.items() if tag.startswith("gate_rate/")}
    assert rates["routing-uniform-q0-l0"] == 0 < rates["routing-uniform-q0.3-l0.1"]
    assert made["mean_entropy/greedy"][0][1] > 0
    metrics = read_json(work / "data/metrics/textgen.json")
    found = next(cell for cell in metrics["cells"] if cell["cell"] == "greedy")["metrics"]["distinct_2"][
        "value"
    ]
    assert measured["distinct_2/greedy"] == [(0, pytest.approx(found, rel=1e-6))]


@pytest.mark.parametrize("arch", ["m2m_100", pytest.param("marian", marks=pytest.mark.long)])
def test_an_encoder_decoder_model_translates(work: Path, arch: str) -> None:
    tiny_model_folder(work / "models/mt", arch)
    values = params()
    values["assets"]["mt"] = {"kind": "model", "source": "file:models/mt"}
    values["tasks"] = {"translation": values["tasks"]["translation"] | {"model": "mt"}}
    if arch == "m2m_100":
        values["tasks"]["translation"]["target_code"] = "<|user|>"  # stands for a language's token
    write_params(work, values)
    with inside(work):
        fetch.main(["mt"])
        prepare.main(["translation"])
        generate.main(["translation"])
        evaluate.main(["translation"])
    prompts = [row["prompt"] for row in read_jsonl(work / "data/prepared/translation.jsonl")]
    assert all("German" not in prompt for prompt in prompts), "the sentence alone, no in-context pairs"
    cells = {name: cell for name, cell in columns(work).items() if name.startswith("translation/")}
    assert len(cells) == 18 + 4 + 1 and all(len(cell["text"]) == 4 for cell in cells.values())
    metrics = read_json(work / "data/metrics/translation.json")
    assert all(cell["metrics"]["chrf"]["value"] is not None for cell in metrics["cells"])


def test_evaluation_does_not_depend_on_the_other_cells(work: Path) -> None:
    """A metric of a cell is the same, to the byte, when other cells join it: only then may it be cached."""

    def values() -> dict[str, Any]:
        evaluate.main(["textgen"])
        return {c["cell"]: c["metrics"] for c in read_json("data/metrics/textgen.json")["cells"]}

    with inside(work):
        whole = values()
        small = params()
        small["grid"] = {"q": [0.1], "lambda": [0]}
        write_params(work, small)
        shutil.rmtree(work / ".dvc/cache")  # scores are computed again, for few texts
        generate.main(["textgen"])
        few = values()
    assert len(few) == 3 + 4 + 1
    assert all(whole[name] == cell for name, cell in few.items())


def test_blocks_keep_examples_together_and_bound_the_rows() -> None:
    def texts(*counts: int) -> list[Text]:
        job = Job(Decoder(Base()), "")
        return [Text(Example(str(e), (e,)), s, job, b"") for e, n in enumerate(counts) for s in range(n)]

    every = texts(3, 3, 3, 9, 1)
    packed = list(units(grouped(every), 7))
    assert [len(block) for block in packed] == [6, 3, 7, 3]  # 3+3 | 3 | 7 of 9 | 2+1
    assert [text for block in packed for text in block] == every
