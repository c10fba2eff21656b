"""Bad input to the stages: one clear line, a non-zero exit, nothing finished lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline import evaluate, generate
from random_routing.errors import PipelineError
from random_routing.files import read_jsonl, write_jsonl
from random_routing.models import loading
from tests.helpers import ROOT
from tests.helpers.workspace import children_s_work, inside, params, write_params


def test_truncated_cell_file_is_named(work: Path) -> None:
    path = work / "data/generations/textgen/greedy.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with inside(work), pytest.raises(PipelineError, match=r"greedy\.parquet: damaged .* generate@textgen"):
        evaluate.main(["textgen"])
    path.unlink()
    with inside(work), pytest.raises(PipelineError, match=r"greedy\.parquet: missing"):
        evaluate.main(["textgen"])
    with inside(work):
        generate.main(["textgen"])  # and nothing is lost
        evaluate.main(["textgen"])


def test_model_folder_without_tokenizer(work: Path) -> None:
    for path in (work / "data/assets/one").glob("tokenizer*"):
        path.unlink()
    with inside(work), pytest.raises(PipelineError, match=r"data/assets/one/tokenizer\.json: .* missing"):
        generate.main(["textgen"])


def test_cuda_without_a_gpu(work: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    write_params(work, params() | {"device": "cuda", "seed": 1})  # new texts, so that a model is loaded
    with inside(work), pytest.raises(PipelineError, match="device = 'cuda': no GPU"):
        generate.main(["textgen"])


def test_bfloat16_without_its_instructions(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "has_bfloat16", lambda: False)
    write_params(work, params() | {"dtype": "bfloat16"})
    with inside(work), pytest.raises(PipelineError, match="dtype = 'bfloat16': this processor has no bf16"):
        generate.main(["textgen"])


def test_prompt_longer_than_the_context(work: Path) -> None:
    rows = read_jsonl(work / "data/prepared/textgen.jsonl")
    rows[2]["prompt"] = "x" * 600
    write_jsonl(work / "data/prepared/textgen.jsonl", rows)
    with inside(work), pytest.raises(PipelineError, match=rf"{rows[2]['id']} has 601 prompt tokens.*512"):
        generate.main(["textgen"])


def test_no_references(work: Path) -> None:
    rows = read_jsonl(work / "data/prepared/textgen.jsonl")
    rows[1]["references"] = []
    write_jsonl(work / "data/prepared/textgen.jsonl", rows)
    with inside(work), pytest.raises(PipelineError, match=rf"{rows[1]['id']} has no references"):
        evaluate.main(["textgen"])


def test_damaged_lines_are_named(work: Path) -> None:
    path = work / "data/prepared/textgen.jsonl"
    path.write_text(path.read_text() + '{"id": ')
    with inside(work), pytest.raises(PipelineError, match=r"textgen\.jsonl, line 5: is not JSON"):
        generate.main(["textgen"])


def test_a_stage_ends_with_one_line_and_status_2(work: Path) -> None:
    (work / "params.yaml").write_text((work / "params.yaml").read_text().replace("seed: ", "sead: "))
    before = children_s_work()
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.check"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: params.yaml: sead = ") and result.stderr.count("\n") == 1
    assert children_s_work() - before < 30  # nothing was computed
