"""Rows of images, and the digits that they are made of."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from random_routing.errors import PipelineError
from random_routing.settings import Task, parse_settings
from random_routing.tasks.digits import in_training, load_digits, read_digits, read_image, spell
from random_routing.tasks.example_ids import Generator
from random_routing.tasks.images import build
from random_routing.training.pixel_transformer import pixel_tokenizer
from tests.helpers.digits import ASSET, digits_folder, image_params
from tests.helpers.tiny import byte_tokenizer

TASK: Task = parse_settings(image_params()).tasks["images"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_folder(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    place = tmp_path_factory.mktemp("tokenizer")
    pixel_tokenizer().save_pretrained(place)
    return Generator("model", AutoTokenizer.from_pretrained(place))


def rows_of(folder: Path, generator: Generator, **changes: Any) -> list[dict[str, Any]]:
    task = replace(TASK, **changes)
    return build(read_digits(folder, ASSET, task), task, generator)


def test_more_examples_only_extend(folder: Path, generator: Generator) -> None:
    few, many = (rows_of(folder, generator, examples=count) for count in (12, 40))
    assert many[:12] == few and len({row["id"] for row in many}) == 40
    assert [row["meta"]["label"] for row in few] == [*range(10), 0, 1]
    assert few[3]["prompt"] == "<3>" and few[3]["source"] == "a handwritten 3"


def test_every_real_image_stands_in_one_example_of_its_digit(folder: Path, generator: Generator) -> None:
    images, labels = load_digits(folder)
    shows = {spell(image): int(label) for image, label in zip(images, labels, strict=True)}
    seen = {spell(image) for image in images[in_training(images)]}
    rows = rows_of(folder, generator, examples=100)
    references = [text for row in rows for text in row["references"]]
    assert len(rows) == 100 and len(references) == len(set(references)) == 100 * TASK.real_images
    assert all(shows[text] == row["meta"]["label"] for row in rows for text in row["references"])
    assert seen.isdisjoint(references)  # held out: the transformer and the classifier have not seen them


def test_there_are_only_so_many(folder: Path, generator: Generator) -> None:
    """All digits are asked for as often, so the rarest ends it."""
    rows = rows_of(folder, generator, examples=1000, real_images=5)
    assert 100 <= len(rows) < 150


def test_a_model_of_other_tokens(folder: Path) -> None:
    with pytest.raises(PipelineError, match="data/assets/tiny: its tokenizer has no token <0>"):
        rows_of(folder, Generator("tiny", byte_tokenizer()))


def test_another_number_of_pixels(folder: Path, generator: Generator) -> None:
    with pytest.raises(PipelineError, match=r"tasks.images.max_new_tokens = 63: must be 64, the pixels"):
        rows_of(folder, generator, max_new_tokens=63)


def test_the_split_is_by_content(folder: Path) -> None:
    images, _ = load_digits(folder)
    seen = in_training(images)
    assert abs(seen.mean() - 2 / 3) < 0.04  # 3.6 standard errors
    order = np.random.Generator(np.random.Philox(1)).permutation(len(images))
    assert (in_training(images[order]) == seen[order]).all()


def test_texts_of_images(folder: Path) -> None:
    images, labels = load_digits(folder)
    assert images.shape == (1797, 64) and labels[:10].tolist() == list(range(10))
    assert images[0, :8].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]  # the first line of the file
    assert (read_image(spell(images[5])) == images[5]).all()
    for wrong in ("1 2 3", " ".join(["17"] * 64), " ".join(["-1"] * 64)):
        with pytest.raises(ValueError, match="grey levels, where an image has 64 from 0 to 16"):
            read_image(wrong)


LINE = ",".join(["0"] * 65)


def packed(content: bytes) -> bytes:
    """Without the time, which would make the tests of every worker of pytest have other names."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "cannot be read as numbers"),
        (packed(b"a,b\n"), "cannot be read as numbers"),
        (packed(LINE.encode())[:-9], "cannot be read as numbers"),
        (packed(b"1,2,3\n"), "must have 64 grey levels"),
        (packed(LINE.replace("0", "17", 1).encode()), "must have 64 grey levels"),
        (packed(LINE.replace("0", "0.5", 1).encode()), "must have 64 grey levels"),
        (packed(LINE.encode()[:-1] + b"11"), "must have 64 grey levels"),
        (packed(LINE.encode()[:-1] + b"nan"), "must have 64 grey levels"),
    ],
)
def test_files_that_hold_something_else(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.csv.gz").write_bytes(content)
    with pytest.raises(PipelineError, match=message) as error:
        load_digits(tmp_path)
    assert str(tmp_path / "x.csv.gz") in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"holds 0 files .csv.gz"):
        load_digits(tmp_path)
