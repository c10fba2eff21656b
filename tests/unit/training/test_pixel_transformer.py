"""The transformer over pixels: the same bytes every time, and a distribution over grey levels alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from random_routing.errors import PipelineError, SettingsError
from random_routing.files import read_json
from random_routing.law.vocabulary import sampling_vocabulary, stop_tokens
from random_routing.models.folder import load_tokenizer, read_shape
from random_routing.settings import Asset, parse_settings
from random_routing.tasks.digits import LEVELS, in_training, load_digits
from random_routing.training import RECIPES
from random_routing.training.pixel_transformer import baselines, one_thread
from tests.helpers.digits import digits_folder, image_params, train, trained


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_folder(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    return train(tmp_path_factory.mktemp("model") / "one", data)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_the_same_bytes_every_time(tmp_path: Path, data: Path, model: Path) -> None:
    """Whatever was drawn before, and however many threads there are; both are left as they were."""
    torch.manual_seed(7)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    again = train(tmp_path / "again", data)
    assert torch.get_num_threads() == 2 and torch.equal(torch.get_rng_state(), before)
    torch.set_num_threads(threads)
    names = sorted(path.name for path in model.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert all((model / name).read_bytes() == (again / name).read_bytes() for name in names)
    assert weights(train(tmp_path / "other", data, seed=1)) != weights(model)


def test_threads_come_back_after_an_error() -> None:
    threads = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        assert torch.get_num_threads() == 1
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == threads


def test_it_learns_from_the_training_part_alone(data: Path, model: Path, tmp_path: Path) -> None:
    """20 steps are better than none; other held-out images do not change the weights."""
    found = read_json(model / "training.json")
    bits = found["bits per pixel, held out"]
    assert bits["model"] < math.log2(LEVELS) - 0.5
    assert bits["each place of a class"] < bits["each place by itself"] < bits["all pixels alike"]
    images, labels = load_digits(data)
    held_out = np.flatnonzero(~in_training(images))
    assert found["images"] == {"training": len(images) - len(held_out), "held out": len(held_out)}
    kept = np.delete(np.hstack([images, labels[:, None]]), held_out[:100], axis=0)
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    np.savetxt(fewer / "x.csv.gz", kept, delimiter=",", fmt="%d")
    assert weights(train(tmp_path / "model", fewer)) == weights(model)


def test_only_grey_levels_can_be_written(model: Path) -> None:
    tokenizer, shape = load_tokenizer(model), read_shape(model)
    stop = stop_tokens(tokenizer, shape.eos, False)
    assert stop == frozenset()
    allowed = sampling_vocabulary(tokenizer, shape.logits, stop, False, shape.barred).allowed
    assert allowed.tolist() == list(range(LEVELS)) and shape.barred == tuple(range(LEVELS, shape.logits))
    assert tokenizer("<3>")["input_ids"] == [LEVELS + 3]
    assert tokenizer("0 16 7 8")["input_ids"] == [0, 16, 7, 8] and tokenizer.decode([0, 16, 7]) == "0 16 7"
    assert tokenizer("17")["input_ids"] == [tokenizer.unk_token_id]


def test_baselines_by_hand() -> None:
    """Two training images of one class: half of the pixels 0, half 16; held out is one of them."""
    images = np.zeros((3, 64), dtype=np.int64)
    images[1] = 16
    found = baselines(images, np.zeros(3, dtype=np.int64), np.array([True, True, False]))
    # counts are 64 · 10 · 0.1 more than those of 64 pixels, for each of 17 levels
    assert found["all pixels alike"] == pytest.approx(-math.log2((64 + 64) / (128 + 17 * 64)))
    assert found["each place by itself"] == pytest.approx(-math.log2((1 + 1) / (2 + 17)))
    assert found["each place of a class"] == pytest.approx(-math.log2((1 + 0.1) / (2 + 1.7)))


def test_data_of_another_reader(tmp_path: Path) -> None:
    asset = Asset("speeches", "data", ("file:x",), reader="sotu")
    with pytest.raises(
        PipelineError, match=r"trained.digits-transformer.data = speeches: its reader is sotu"
    ):
        RECIPES["pixel-transformer"](trained(), asset, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 20, "heads": 8}, "trained.digits-transformer.width = 20: must be a multiple of 2 × heads = 16"),
        ({"steps": 0}, "trained.digits-transformer.steps = 0: must be a whole number"),
        ({"dropout": 1}, "trained.digits-transformer.dropout = 1: must be a number of at least 0 and at most 0.9"),
        ({"momentum": 1}, "trained.digits-transformer.momentum = 1: unknown key"),
        ({"recipe": "gan"}, "trained.digits-transformer.recipe = 'gan': must be one of pixel-transformer"),
    ],
)  # fmt: skip
def test_wrong_values(change: dict[str, object], message: str) -> None:
    values = image_params()
    values["trained"]["digits-transformer"] |= change
    with pytest.raises(SettingsError) as error:
        parse_settings(values)
    assert message in str(error.value)


def test_a_missing_value() -> None:
    values = image_params()
    del values["trained"]["digits-transformer"]["steps"]
    with pytest.raises(SettingsError, match=r"trained.digits-transformer.steps"):
        parse_settings(values)


def test_p_is_the_softmax_of_grey_levels(model: Path, tmp_path: Path) -> None:
    """Weights of barred tokens count for nothing: with others the held-out images are as likely."""
    from transformers import LlamaForCausalLM

    from random_routing.training.pixel_transformer import bits_per_pixel

    other = tmp_path / "other"
    other.mkdir()
    for path in model.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    tensors = load_file(model / "model.safetensors")
    tensors["lm_head.weight"][LEVELS:] += 100
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    ids = torch.tensor([[LEVELS, *range(16), *[5] * 48]])
    one, two = (bits_per_pixel(LlamaForCausalLM.from_pretrained(f), ids) for f in (model, other))
    assert one == pytest.approx(two, rel=1e-6)
