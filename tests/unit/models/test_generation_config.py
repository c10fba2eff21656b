"""One neutral generation configuration for all decoders: what a model's own says is obeyed by all, or by none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from transformers import GenerationConfig

from pipeline import generate
from random_routing.decode.beam import beam_search
from random_routing.decode.prompts import Prompts
from random_routing.models.folder import read_shape
from random_routing.models.generation_config import barred, switched_off
from random_routing.models.loading import load_model
from tests.helpers.tiny import tiny_model_folder
from tests.helpers.workspace import inside, make_workspace, params, write_params

PROMPTS = [(1, 40, 41, 42), (1, 90, 91, 92, 93, 94)]
OFF: dict[str, Any] = {
    "repetition_penalty": 3.0, "no_repeat_ngram_size": 1, "min_length": 40, "min_new_tokens": 12,
    "forced_eos_token_id": 2, "begin_suppress_tokens": list(range(3, 150)), "sequence_bias": [[[77], 50.0]],
    "exponential_decay_length_penalty": [1, 2.0], "length_penalty": 5.0, "num_beams": 7, "guidance_scale": 3.0,
    "bad_words_ids": [[50, 51]], "temperature": 0.3, "do_sample": True, "encoder_repetition_penalty": 2.0,
}  # fmt: skip


def written(folder: Path, **settings: Any) -> Path:
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


def beams(folder: Path) -> list[list[int]]:
    found = beam_search(load_model(folder), Prompts.of(PROMPTS, 16), 3, 12, frozenset({2}), 8)
    return [trajectory.token_ids.tolist() for trajectory in found]


@pytest.fixture(scope="module", params=["llama", "m2m_100"])
def neutral(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[list[int]]]:
    """A model without such settings, and what its beams write."""
    folder = tiny_model_folder(tmp_path_factory.mktemp("neutral"), request.param)
    return folder, beams(folder)


@pytest.mark.parametrize("name", [*OFF, "all"])
def test_beams_write_the_same_with_any_of_them(
    neutral: tuple[Path, list[list[int]]], tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(neutral[0], tmp_path / "model"))
    settings = OFF if name == "all" else {name: OFF[name]}
    assert beams(written(folder, **settings)) == neutral[1]
    assert read_shape(folder).switched_off == dict(sorted(settings.items()))


def test_barred_tokens_are_left_out_by_beams_as_by_all_others(tmp_path: Path) -> None:
    """Beams of one are greedy decoding: the likeliest token at every step is barred, so both write another."""
    folder = tiny_model_folder(tmp_path)
    plain = beams(folder)
    first = sorted({ids[0] for ids in plain})
    written(folder, suppress_tokens=first, bad_words_ids=[[plain[0][1]]])
    model = load_model(folder)
    assert model.shape.barred == tuple(sorted({*first, plain[0][1]}))
    found = beam_search(model, Prompts.of(PROMPTS, 16), 3, 12, frozenset({2}), 8)
    for trajectory in found:
        assert not set(model.shape.barred) & set(trajectory.token_ids.tolist())
        assert np.isfinite(trajectory.logprobs).all()


def test_what_is_obeyed_and_what_is_not() -> None:
    own = GenerationConfig(
        suppress_tokens=[7, 5], bad_words_ids=[[9], [50, 51]], repetition_penalty=1.3, eos_token_id=[2, 3],
        max_length=20, use_cache=True, pad_token_id=0,
    )  # fmt: skip
    assert barred(own) == (5, 7, 9)
    assert switched_off(own) == {"bad_words_ids": [[50, 51]], "max_length": 20, "repetition_penalty": 1.3}
    assert switched_off(GenerationConfig()) == {} and barred(GenerationConfig()) == ()


def test_the_cells_metadata_says_so(tmp_path: Path) -> None:
    make_workspace(tmp_path, fetched=False)
    written(tmp_path / "models/one", repetition_penalty=1.3, suppress_tokens=[99])
    values = params(examples=2, steps=2)
    values["tasks"] = {"textgen": values["tasks"]["textgen"]}
    values["variants"] = {"uniform": values["variants"]["uniform"]}
    write_params(tmp_path, values)
    with inside(tmp_path):
        from pipeline import fetch, prepare

        for name in ("one", "two", "bert", "textgen"):
            fetch.main([name])
        prepare.main(["textgen"])
        generate.main(["textgen"])
        metadata = pq.read_schema("data/generations/textgen/greedy.parquet").metadata
        said = json.loads(next(value for value in metadata.values() if b"generation_config" in value))
    assert said["generation_config"] == {
        "obeyed": {"decoder_start": [], "eos": 2, "suppressed": [99]},
        "switched_off": {"repetition_penalty": 1.3},
    }
