"""Generated parameters: settings, or one line that says what is wrong; nothing else."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline import stage
from random_routing.errors import PipelineError, SettingsError
from random_routing.law.cells import all_cells
from random_routing.metrics import METRICS
from random_routing.settings import Settings, load_settings, parse_settings
from tests.helpers import ROOT
from tests.helpers.errors import one_line
from tests.helpers.generated import TEXT, VALUES, cases

RAW = yaml.safe_load((ROOT / "params.yaml").read_text())


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
@cases(1000, 20_000)
def test_parameters(changes: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    """Settings whose cells have names of their own, or one line that names a section and its key."""
    raw = copy.deepcopy(RAW)
    changed = [path for path, how, value in changes if mutate(raw, path, how, value)]
    try:
        parsed = parse_settings(raw, METRICS)
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
            "explorers",
            "trained",
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
@cases(100, 1000)
def test_parameters_of_another_kind(value: Any) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings(value, METRICS)
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
@cases(50, 1000)
def test_the_text_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, str]]
) -> None:
    lines = LINES.copy()
    for line, text in edits:
        lines[line] = lines[line][: len(lines[line]) // 2] + text
    path = tmp_path_factory.getbasetemp() / "params.yaml"
    path.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
    try:
        assert isinstance(load_settings(path, METRICS), Settings)
    except SettingsError as error:
        one_line(error)


# The stage's wrapper


@given(
    message=st.text(max_size=40),
    kind=st.sampled_from([PipelineError, SettingsError, OSError, partial(OSError, 28)]),
)
@cases(100, 2000)
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
