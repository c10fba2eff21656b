"""Sentiment through the real stages, on a tiny model: labels alone are written, all parts agree, and VADER is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from scipy import stats

from pipeline import evaluate, fetch, generate, plot, prepare, summarize, tune
from random_routing.errors import PipelineError
from random_routing.files import read_json, read_jsonl
from random_routing.models.loading import load_model
from random_routing.results.measured import read_measured
from random_routing.scoring.statistics_file import read_stats
from tests.helpers import ROOT
from tests.helpers.tiny import tiny_embedder_folder, tiny_model_folder
from tests.helpers.workspace import inside, write_params

LABELS = ["-", "0", "+"]
EXAMPLES, SAMPLES = 24, 16


def sentiment_params() -> dict[str, Any]:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    task = values["tasks"]["sentiment"] | {
        "model": "one", "judge": "one", "examples": EXAMPLES, "samples": SAMPLES, "labels": LABELS, "shots": 1,
    }  # fmt: skip
    values["tasks"] = {"sentiment": task}
    values["assets"] = {
        "one": {"kind": "model", "source": "file:models/one"},
        "bert": {"kind": "embedder", "source": "file:models/bert"},
        "vader": {"kind": "data", "source": "file:vader", "reader": "vader"},
    }
    values["embedder"], values["workers"] = "bert", 1
    values["learning"] = values["trained"] = {}
    values["bootstrap"]["resamples"], values["report"]["formats"] = 100, []
    values["tune"] |= {"trials": 2, "batch": 2}
    return values  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after all stages."""
    folder = tmp_path_factory.mktemp("sentiment")
    tiny_model_folder(folder / "models/one")
    tiny_embedder_folder(folder / "models/bert")
    (folder / "vader").mkdir()
    words = ["a fine and lovely thing", "a dull and awful mess", "a box that stands here"]
    lines = [
        f"{i}\t{(2.0, -2.0, 0.1)[i % 3]}\tno. {i:03d}: {words[i % 3]}, they said to us" for i in range(90)
    ]
    for name in ("tweets", "reviews"):
        text = "\n".join(line.replace("no.", name) for line in lines)
        (folder / f"vader/{name}_GroundTruth.txt").write_text(text + "\n")
    write_params(folder, sentiment_params())
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    with inside(folder):
        for name in ("one", "bert", "vader"):
            fetch.main([name])
        for stage in (prepare, generate, evaluate, tune):
            stage.main(["sentiment"])
        summarize.main([])
        plot.main([])
    return folder


def texts_of(folder: Path) -> dict[str, dict[str, Any]]:
    paths = sorted((folder / "data/generations/sentiment").glob("*.parquet"))
    return {path.stem: pq.read_table(path).to_pydict() for path in paths}


def test_labels_alone_are_written(made: Path) -> None:
    cells = texts_of(made)
    assert len(cells) == 30
    for cell in cells.values():
        assert set(cell["text"]) <= set(LABELS) and {len(ids) for ids in cell["token_ids"]} == {1}
    assert len(set(cells["routing-uniform-q0.3-l0"]["text"])) == 3
    about = json.loads(
        pq.read_schema(next((made / "data/generations/sentiment").glob("*"))).metadata[b"cell"]
    )
    assert len(about["generation_config"]["obeyed"]["choices"]) == 3  # not the 297 others


def test_drawn_labels_follow_the_law_that_calibration_is_measured_by(made: Path) -> None:
    """Expected counts per label over all examples, of each decoder that is no function of another one's noise; under
    common noise texts of one example and sample are independent of all others. False alarm 1e-4 each."""
    rows = read_jsonl(made / "data/prepared/sentiment.jsonl")
    with inside(made):
        model = load_model("data/assets/one", labels=LABELS)
        ids = [model.tokenizer(row["prompt"])["input_ids"] for row in rows]
    assert model.shape.choices and len(model.shape.barred) == 297
    import torch

    logits = np.stack([
        model.network(torch.tensor([prompt] * 2)).logits[0, -1, list(model.shape.choices)].detach().numpy()
        for prompt in ids
    ])  # fmt: skip
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    by_stats = read_stats(made / "data/metrics/sentiment.stats.parquet")[1]
    for cell, rate in (("temperature-1", 0.0), ("routing-uniform-q0.3-l0", 0.3)):
        law = rate / 3 + (1 - rate) * p
        true = [LABELS.index(row["references"][0]) for row in rows]
        nll = by_stats[cell]["label_nll"][:, 0] / SAMPLES
        assert nll == pytest.approx(-np.log(law[np.arange(len(rows)), true]), rel=1e-4)
        texts = np.array(texts_of(made)[cell]["text"]).reshape(EXAMPLES, SAMPLES)
        counts = np.stack([(texts == label).sum(1) for label in LABELS], axis=1)
        spread = ((counts - SAMPLES * law) ** 2 / (SAMPLES * law)).sum()
        assert stats.chi2.sf(spread, 2 * EXAMPLES) > 1e-4


def test_rows_of_vader_and_of_people(made: Path) -> None:
    with inside(made):
        measured = read_measured("sentiment")
    vader, human = measured.cells[-2:]
    assert (vader.cell, human.cell) == ("vader", "human") and not vader.decoded
    rows = read_jsonl(made / "data/prepared/sentiment.jsonl")
    right = np.mean([row["meta"]["vader"] == row["references"][0] for row in rows])
    assert vader.get("accuracy").value == pytest.approx(right) and right > 0.5
    assert human.get("accuracy").value == 1.0 and "no probabilities" in vader.get("brier").missing
    table = (made / "reports/cells.csv").read_text()
    assert "\nsentiment,sentiment,one,20260101,vader,vader," in table
    page = (made / "reports/index.html").read_text(encoding="utf-8")
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["tasks"]["sentiment"]["cells"][-2]["label"] == "VADER"


def test_the_curves_meet_at_plain_sampling(made: Path) -> None:
    with inside(made):
        measured = read_measured("sentiment")
    plain = next(cell for cell in measured.cells if cell.cell == "temperature-1")
    for family, setting in (("routing", 0.0), ("temperature", 1.0)):
        point = next(p for p in measured.calibration if (p.family, p.setting) == (family, setting))
        assert point.nll == pytest.approx(plain.get("label_nll").value)
        assert point.brier == pytest.approx(plain.get("brier").value)
        assert point.error == pytest.approx(plain.get("calibration_error").value)
    uniform = next(record for record in measured.likelihood if record.variant == "uniform")
    best = next(b for b in measured.calibrated if (b.family, b.metric) == ("routing", "nll"))
    assert -max(point.value for point in uniform.curve) == pytest.approx(best.value, abs=1e-3)
    assert (made / "reports/plots/sentiment-calibration.png").exists()
    assert (made / "reports/calibration.csv").read_text().count("\nsentiment,") == len(measured.calibration)


def test_same_bytes_in_small_batches_other_numbers_of_examples_and_after_a_loss(
    made: Path, tmp_path: Path
) -> None:
    before, folder = texts_of(made), tmp_path / "other"
    shutil.copytree(made, folder)
    for name in ("generations", "metrics"):
        shutil.rmtree(folder / "data" / name)
    shutil.rmtree(folder / ".dvc/cache", ignore_errors=True)
    values = sentiment_params() | {"batch_size": 3, "max_rows": 50}
    values["tasks"]["sentiment"]["examples"] = 20
    write_params(folder, values)
    with inside(folder):
        prepare.main(["sentiment"])
        generate.main(["sentiment"])
        values["tasks"]["sentiment"]["examples"] = EXAMPLES
        write_params(folder, values)
        prepare.main(["sentiment"])
        generate.main(["sentiment"])
        evaluate.main(["sentiment"])
    assert texts_of(folder) == before
    one, other = (read_json(path / "data/metrics/sentiment.json") for path in (made, folder))
    assert one["cells"] == other["cells"] and one["calibration"] == other["calibration"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([" good", "0", "+"], r"labels: ' good' is 5 tokens of data/assets/one"),
        (["-", "-é", "+"], r"labels: '-é' is 3 tokens"),
    ],
)
def test_a_label_is_one_token(made: Path, labels: list[str], said: str) -> None:
    values = sentiment_params()
    values["tasks"]["sentiment"]["labels"] = labels
    write_params(made, values)
    try:
        with inside(made), pytest.raises(PipelineError, match=said):
            prepare.main(["sentiment"])
    finally:
        write_params(made, sentiment_params())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": ["-"]}, r"tasks\.sentiment\.labels = \['-'\]: must be two labels .* or three"),
        ({"labels": ["-", "0", "-"]}, r"tasks\.sentiment\.labels\[2\] = '-': stands in the list twice"),
        ({"max_new_tokens": 2}, r"tasks\.sentiment\.max_new_tokens = 2: must be 1"),
        ({"neutral": 5}, r"tasks\.sentiment\.neutral = 5: must be a number of at least 0 and at most 4"),
        ({"turns": 3}, r"tasks\.sentiment\.turns"),
    ],
    ids=["one label", "twice", "two tokens", "neutral", "a key of dialogue"],
)
def test_wrong_settings(made: Path, changes: dict[str, Any], said: str) -> None:
    from random_routing.settings.parse import parse_settings

    values = sentiment_params()
    values["tasks"]["sentiment"] |= changes
    with pytest.raises(PipelineError, match=said):
        parse_settings(values)
