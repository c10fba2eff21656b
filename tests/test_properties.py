"""Generated parameters, records and files: a result, or one line that says what is wrong; nothing else."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import json
import math
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import prepare, stage
from pipeline.checks import PipelineError, SettingsError
from pipeline.decoding.examples import tokenize_prompts
from pipeline.routing.cells import all_cells
from pipeline.settings import Asset, Settings, Task, load_settings, parse_settings
from pipeline.tasks import TASKS
from pipeline.tasks.examples import Generator
from pipeline.tasks.readers import READERS
from tests.tiny import byte_tokenizer

ROOT = Path(__file__).parent.parent
RAW = yaml.safe_load((ROOT / "params.yaml").read_text())
SETTINGS = parse_settings(RAW)
GENERATOR = Generator("tiny", byte_tokenizer())


def cases(count: int) -> Callable[[Any], Any]:
    """The same cases in every run."""
    silent = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
    return settings(
        max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=silent
    )


# What a YAML or JSON file may hold where something else is wanted.
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e-320, 1e308, math.nan, math.inf, -math.inf, 10**30, 10**400,
        -(10**5000), 2**63, "", " ", "a\nb", "\0", "\x1b[2J", "1e-3", "1e400", "nan", "sample", "uniform", "all",
        "../x",
        "/", "hf:@", "pypi:==", "pypi:a==1\n--no-binary :all:", "file:", "é\u0301", "\u202e", "x" * 5000, "${seed}",
        [], {}, [[]], [{}], [None], [1, True], ["a", "a"], [[[[[[]]]]]], {"": 1}, {"a": {}}, {None: 1}, {1: 2},
        {"q": [0], "lambda": [1]}, {"top_k": 10**20}, {"span": 10**400}, {"unigram": "\0"}, {"frozen": math.nan},
        datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1), b"\xff", {"a", "b"},
    ]
)  # fmt: skip
TEXT = st.text(st.characters(codec=None), max_size=12) | st.sampled_from(
    ["</s>", "<|user|>", "\ud800", "a\0b"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
VALUES = ODD | ODD | JSON | st.lists(st.floats(0, 1) | st.integers(), max_size=4)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and list index of the parameters."""
    entries = list(
        tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else []
    )
    return [p for key, value in entries for p in ((*path, key), *places(value, (*path, key)))]


PLACES = places(RAW)
LINE = re.compile(r"params\.yaml: (\S.*?)( = |: | is missing; )")


def parent_of(raw: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        raw = raw[key]
    return raw


def mutate(raw: Any, path: tuple[Any, ...], how: str, value: Any) -> bool:
    """Whether the place is still there to be changed, after an earlier change of the same parameters."""
    try:
        parent, last = parent_of(raw, path), path[-1]
        old = parent[last]
        if how == "delete":
            del parent[last]
        elif how == "rename" and isinstance(parent, dict):
            parent[f"{last}s" if value is None or isinstance(value, (dict, list, set)) else value] = (
                parent.pop(last)
            )
        elif how == "nest":
            parent[last] = [old]
        elif how == "double" and isinstance(parent, list):
            parent.append(old + 1e-15 if isinstance(old, float) else old)  # another number of the same name
        else:
            parent[last] = value
    except (KeyError, IndexError, TypeError):
        return False
    return True


def one_line(error: Exception) -> str:
    message = str(error)
    assert message.isprintable() and 0 < len(message) < 3000, message[:3000]
    return message


@given(
    st.lists(
        st.tuples(
            st.sampled_from(PLACES),
            st.sampled_from(["set", "set", "set", "delete", "rename", "nest", "double"]),
            VALUES,
        ),
        min_size=1,
        max_size=3,
    )
)
@cases(6000)
def test_parameters(changes: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    """Settings whose cells have names of their own, or one line that names a section and its key."""
    raw = copy.deepcopy(RAW)
    changed = [path for path, how, value in changes if mutate(raw, path, how, value)]
    try:
        parsed = parse_settings(raw)
    except SettingsError as error:
        found = LINE.match(one_line(error))
        assert found, error
        if len(changed) == 1 and changed[0][0] not in (
            "assets",
            "tasks",
            "metrics",
            "grid",
            "lambda_means",
            "variants",
        ):
            section = changed[0][0]  # others depend on what these hold
            assert (
                found[1].startswith(section)
                or "unknown key" in str(error)
                or "is missing" in str(error)
                or "keys must be text" in str(error)
            )
    else:
        assert isinstance(parsed, Settings)
        for task in parsed.tasks.values():
            names = [cell.name for cell in all_cells(parsed, task)]
            assert len(set(names)) == len(names)
        for name, asset in parsed.assets.items():
            assert asset.sources and Path(name).name == name and name.isprintable()


@given(VALUES)
@cases(200)
def test_parameters_of_another_kind(value: Any) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings(value)
    one_line(error.value)


LINES = (ROOT / "params.yaml").read_text().splitlines()


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1),
            TEXT | st.sampled_from(
                ["\t", "  ", "- ", "*a", "&a", "? ", "!!python/object/apply:os.system [\"true\"]", "!!int x",
                 "0x" + "f" * 9999,
                 "1" * 9999, "2026-13-45", "[" * 2000, "{" * 2000, "%YAML 9", "--- ", "<<: 1",
                 "\ud800", "\ufeff", "'", "|"]
            ),
        ),
        min_size=1, max_size=2,
    )
)  # fmt: skip
@cases(100)
def test_the_text_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, str]]
) -> None:
    lines = LINES.copy()
    for line, text in edits:
        lines[line] = lines[line][: len(lines[line]) // 2] + text
    path = tmp_path_factory.getbasetemp() / "params.yaml"
    path.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
    try:
        assert isinstance(load_settings(path), Settings)
    except SettingsError as error:
        one_line(error)


# Records and files


def small(name: str, **changes: Any) -> Task:
    sizes = {
        "textgen": {"prompt_tokens": 2, "max_new_tokens": 2},
        "dialogue": {"turns": 1},
        "translation": {"shots": 1},
    }
    return dataclasses.replace(
        SETTINGS.tasks[name], **{"examples": 2, "data": "d", **sizes[name], **changes}
    )


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT.map(lambda text: text + "longer"),
    "context": st.lists(TEXT, min_size=1, max_size=1),
    "reply": TEXT,
    "source": TEXT,
    "references": st.lists(TEXT, min_size=1, max_size=2),
    "conversation": st.lists(TEXT | st.fixed_dictionaries({"role": TEXT, "content": TEXT}), max_size=3),
}
RECORD = st.fixed_dictionaries({}, optional=GOOD) | st.fixed_dictionaries(
    {}, optional={k: JSON for k in GOOD}
)
ROWS = st.lists(RECORD | RECORD | RECORD | JSON, max_size=5)
FIELDS = st.dictionaries(
    st.sampled_from([*GOOD, "reference"]), st.sampled_from([*GOOD, "a.b", "text.x", ""]), max_size=2
)


def check_rows(task: Task, rows: list[dict[str, Any]]) -> None:
    """Texts are whole, and no control token of a prompt comes from the data."""
    assert len(rows) == task.examples == len({row["id"] for row in rows})
    for row in rows:
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
        assert isinstance(row["prompt"], str) and all(isinstance(text, str) for text in row["references"])
    ids = [
        example.prompt
        for example in tokenize_prompts(rows, GENERATOR.tokenizer, TASKS[task.name].add_special_tokens)
    ]
    expected = {"textgen": 1, "dialogue": 3, "translation": 1}[
        task.name
    ]  # <s>, or <|user|> </s> <|assistant|>
    assert all(sum(id_ < 5 for id_ in row) == expected for row in ids)


@pytest.mark.parametrize("name", ["textgen", "dialogue", "translation"])
@given(rows=ROWS, fields=FIELDS | st.just({}), shots=st.integers(0, 2))
@cases(700)
def test_records(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[Any], fields: dict[str, str], shots: int
) -> None:
    task = small(name, shots=shots) if name == "translation" else small(name)
    folder = tmp_path_factory.getbasetemp()
    (folder / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asset = Asset("d", "data", ("file:x",), reader="records", fields=fields)
    try:
        check_rows(task, prepare.prepare(task, asset, GENERATOR, folder))
    except PipelineError as error:
        one_line(error)


@given(
    lines=st.lists(st.binary(max_size=20) | JSON.map(lambda value: json.dumps(value).encode()), max_size=4)
)
@cases(300)
def test_bytes_for_records(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "records.jsonl").write_bytes(b"\n".join(lines))
    read_with("records", folder, small("dialogue"))


def read_with(reader: str, folder: Path, task: Task) -> None:
    try:
        for record in READERS[reader](folder, Asset("d", "data", ("file:x",), reader=reader), task):
            assert isinstance(record, dict)
        prepare.prepare(task, Asset("d", "data", ("file:x",), reader=reader), GENERATOR, folder)
    except PipelineError as error:
        one_line(error)


MESSAGES = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.lists(st.fixed_dictionaries({"text": TEXT | JSON}) | JSON, max_size=2), max_size=4
        )
        | JSON
    }
)
CHITCHAT = st.dictionaries(TEXT, MESSAGES | JSON, max_size=3) | JSON
HALF_A_FILE = st.integers(0, 60)


@given(content=CHITCHAT, cut=HALF_A_FILE | st.none())
@cases(500)
def test_chitchat(tmp_path_factory: pytest.TempPathFactory, content: Any, cut: int | None) -> None:
    folder = tmp_path_factory.getbasetemp() / "chitchat"
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content)[:cut])
    read_with("chitchat", folder, small("dialogue"))


LONG = TEXT.map(lambda text: f"one two three four five six seven {text}x")
LEAVES = st.recursive(
    LONG | JSON, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=5
)


@given(de=LEAVES, en=LEAVES, cut=HALF_A_FILE | st.none())
@cases(500)
def test_homeassistant(tmp_path_factory: pytest.TempPathFactory, de: Any, en: Any, cut: int | None) -> None:
    folder = tmp_path_factory.getbasetemp() / "home"
    (folder / "translations").mkdir(parents=True, exist_ok=True)
    (folder / "translations/de.json").write_text(json.dumps(de))
    (folder / "translations/en.json").write_text(json.dumps(en)[:cut])
    read_with("homeassistant", folder, small("translation"))


@given(
    content=st.binary(max_size=40) | TEXT.map(lambda text: f"{text} word" * 130), tail=st.binary(max_size=4)
)
@cases(300)
def test_sotu(tmp_path_factory: pytest.TempPathFactory, content: Any, tail: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "sotu"
    folder.mkdir(exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
    (folder / "a.txt").write_bytes(data + tail)
    read_with("sotu", folder, small("textgen"))


# The stage's wrapper


@given(
    message=st.text(max_size=40),
    kind=st.sampled_from([PipelineError, SettingsError, OSError, partial(OSError, 28)]),
)
@cases(400)
def test_a_stage_prints_one_line(
    capsys: pytest.CaptureFixture[str], message: str, kind: Callable[..., Exception]
) -> None:
    def main(argv: list[str]) -> None:
        raise kind(message)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["stage"])
        stage.run(main)
    line = capsys.readouterr().err
    assert ended.value.code == 2 and line.startswith("error: ")
    assert line.endswith("\n") and line[:-1].isprintable()
