"""Images through the real stages, on a small transformer: the law, equal bytes, and what a reader gets."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoModelForCausalLM

from pipeline import evaluate, generate, plot, prepare, summarize, tune
from random_routing.errors import PipelineError
from random_routing.files import read_json, read_jsonl
from random_routing.tasks.digits import LEVELS, PIXELS, read_image
from tests.helpers.attempts import Killed, attempt
from tests.helpers.digits import image_params, image_workspace
from tests.helpers.workspace import columns, inside, write_params


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that is prepared. To copy."""
    folder = image_workspace(tmp_path_factory.mktemp("images") / "work")
    with inside(folder):
        prepare.main(["images"])
    return folder


@pytest.fixture
def work(images: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(images, tmp_path / "work"))


def few(**changes: Any) -> dict[str, Any]:
    """Plain sampling and one rate of a uniform route."""
    values = image_params(**changes)
    values["variants"] = {
        "uniform": values["variants"]["uniform"] | {"grid": {"q": [0, 0.3], "lambda": [0]}}
    }
    values["comparison"]["contrasts"], values["tune"]["variants"] = {}, ["uniform"]
    values["baselines"] = {"temperature": [0.5, 1.0]}
    values["tasks"]["images"].pop("baselines")
    return values


def test_pixels_follow_the_law(work: Path) -> None:
    """The first pixels of 600 images against r/17 + (1 − r)·p with p of the library's own model, by χ²: a false alarm
    in 10,000 runs for each decoder.
    """
    write_params(work, few(examples=10, samples=60))
    with inside(work):
        prepare.main(["images"])
        generate.main(["images"])
        model = AutoModelForCausalLM.from_pretrained("data/assets/digits-transformer")
        with torch.inference_mode():
            logits = model(torch.arange(LEVELS, LEVELS + 10)[:, None]).logits[:, -1, :LEVELS]
    p = logits.double().softmax(-1).numpy()
    drawn = columns(work)
    for cell, rate in (("routing-uniform-q0-l0", 0.0), ("routing-uniform-q0.3-l0", 0.3)):
        first = [ids[0] for ids in drawn[f"images/{cell}"]["token_ids"]]
        expected = 60 * (rate / LEVELS + (1 - rate) * p).sum(0)
        assert chisquare(np.bincount(first, minlength=LEVELS), expected).pvalue > 1e-4
        assert all(len(ids) == PIXELS and max(ids) < LEVELS for ids in drawn[f"images/{cell}"]["token_ids"])
    random = np.array(drawn["images/routing-uniform-q0.3-l0"]["routes"]) != 0
    assert abs(random.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / random.size)


def test_equal_bytes_by_any_way(work: Path, tmp_path: Path) -> None:
    """Whatever the batch, the workers and the other examples; and after a kill."""
    write_params(work, few())
    other = Path(shutil.copytree(work, tmp_path / "other"))
    with inside(work):
        generate.main(["images"])
        evaluate.main(["images"])
    write_params(other, few() | {"batch_size": 30, "max_rows": 40, "workers": 2})
    assert attempt(other, "generate", "images", first=[Killed("COMMIT", 1)]).status == -signal.SIGKILL
    assert attempt(other, "generate", "images").status == 0
    assert attempt(other, "evaluate", "images").status == 0
    assert columns(other) == columns(work)
    for name in ("images.json", "images.stats.parquet"):
        assert (other / "data/metrics" / name).read_bytes() == (work / "data/metrics" / name).read_bytes()
    more = tmp_path / "more"
    shutil.copytree(work, more, ignore=shutil.ignore_patterns("store*", "generations", "prepared"))
    write_params(more, few(examples=30))
    with inside(more):
        prepare.main(["images"])
        generate.main(["images"])
    for cell, values in columns(work).items():
        assert columns(more)[cell]["text"][: len(values["text"])] == values["text"]


def test_the_whole_pipeline(work: Path) -> None:
    write_params(work, image_params())
    with inside(work):
        for stage in (generate, evaluate, tune):
            stage.main(["images"])
        summarize.main([])
        plot.main([])
        rows = read_jsonl("data/prepared/images.jsonl")
    metrics = read_json(work / "data/metrics/images.json")
    about = metrics["metrics"]
    assert {"class_accuracy", "kernel_distance", "frechet_distance", "precision", "recall"} <= set(about)
    assert "fitted to digits" in about["sample_spread"]["signature"]
    assert "of held-out images right" in about["class_accuracy"]["signature"]
    cells = {cell["cell"]: cell["metrics"] for cell in metrics["cells"]}
    assert (
        cells["human"]["class_accuracy"]["value"] > 0.9 > cells["temperature-1"]["class_accuracy"]["value"]
    )
    assert (
        abs(cells["human"]["kernel_distance"]["value"]) < cells["temperature-1"]["kernel_distance"]["value"]
    )
    assert all(0 <= cell["coverage"]["value"] <= 1 for name, cell in cells.items() if name != "human")
    uniform = next(one for one in metrics["likelihood"] if one["variant"] == "uniform")
    assert uniform["unit"] == "bits / pixel"
    assert uniform["curve"][-1]["value"] == pytest.approx(-np.log2(LEVELS))  # r = 1
    bits = read_json(work / "data/assets/digits-transformer/training.json")["bits per pixel, held out"]
    assert -uniform["curve"][0]["value"] == pytest.approx(bits["model"], rel=0.1)  # on 24 of the images
    drawn = {path.stem for path in (work / "reports/plots").glob("*.png")}
    assert {"images-pictures", "images-plane", "images-likelihood"} <= drawn
    data = page_data(work)
    assert data["writers"] == "real images" and data["samples"]["shown_as"] == "pixels"
    samples = data["samples"]
    text = samples["texts"][samples["cells"]["temperature-1"][0]]
    spelt = "".join(samples["pieces"][piece] for piece in text[0])
    assert spelt.split() == columns(work)["images/temperature-1"]["text"][0].split()
    assert samples["examples"][3]["references"] == rows[3]["references"]
    assert read_image(rows[3]["references"][0]).shape == (PIXELS,)
    findings = (work / "reports/findings.md").read_text()
    assert "- Real images" in findings and "bits a pixel" in findings and "nats" not in findings


def page_data(folder: Path) -> dict[str, Any]:
    page = (folder / "reports/index.html").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(page.split('id="data">')[1].split("</script>")[0])["tasks"]["images"]
    return data


def test_too_few_images(work: Path) -> None:
    write_params(work, few(examples=500))
    with (
        inside(work),
        pytest.raises(PipelineError, match=r"tasks.images.examples = 500: digits yields at most 1"),
    ):
        prepare.main(["images"])
