"""The stage learn on a small case: the same bytes whatever the chunks, the interruption, and what else there is."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import check, fetch, learn, plot, summarize
from random_routing.errors import PipelineError
from random_routing.learning import learn as lives
from random_routing.results.learned import read_outcomes
from tests.helpers.workspace import inside, params, write_params

GRID = {"q": [0, 0.2], "lambda": [0]}
EXPLORERS: dict[str, Any] = {
    "eps": {"base": "greedy", "q_route": "uniform", "lambda_route": "uniform", "grid": GRID},
    "best": {"base": "greedy", "q_route": "uniform", "lambda_route": {"top_k": 2}, "grid": {"q": [0], "lambda": [0.2]}},
    "held": {
        "base": "greedy", "q_route": "uniform", "lambda_route": "uniform", "q_gate": {"span": 3}, "repeat": True,
        "grid": {"q": [0.2], "lambda": [0]},
    },
    "unsure": {
        "base": "greedy", "q_route": "uniform", "lambda_route": "uniform", "q_gate": "entropy",
        "grid": {"q": [0.2], "lambda": [0]},
    },
}  # fmt: skip
WALK: dict[str, Any] = {
    "algorithm": "sarsa", "environment": "cliff", "episodes": 12, "max_steps": 40, "step_size": 0.5, "discount": 1,
    "seeds": 5, "last": 4, "temperature": [0.5], "against": "routing-eps-q0.2-l0", "delta": 1,
}  # fmt: skip
ARMS: dict[str, Any] = {
    "algorithm": "sample-average", "arms": 4, "steps": 50, "seeds": 6, "last": 20, "explorers": ["eps", "unsure"],
    "against": "routing-eps-q0.2-l0", "delta": 0.1,
}  # fmt: skip
SOURCE = "gymnasium:CliffWalking-v1@1.4.0"


def with_learning(**changes: Any) -> dict[str, Any]:
    values = params()
    values["assets"]["cliff"] = {"kind": "data", "source": SOURCE, "reader": "records"}
    values["explorers"] = copy.deepcopy(EXPLORERS)
    values["learning"] = {"walk": copy.deepcopy(WALK) | changes, "arms": copy.deepcopy(ARMS)}
    return values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Without a task's data: learning needs none."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    write_params(tmp_path, with_learning())
    with inside(tmp_path):
        fetch.main(["cliff"])
    return tmp_path


def made(folder: Path, *entries: str) -> dict[str, bytes]:
    with inside(folder):
        for entry in entries or ("walk", "arms"):
            learn.main([entry])
    return {path.name: path.read_bytes() for path in sorted((folder / "data/learning").iterdir())}


def forget(folder: Path) -> None:
    for path in [*(folder / ".dvc/cache/rows").iterdir(), *(folder / "data/learning").iterdir()]:
        path.unlink()


def test_chunks_and_interruptions_change_no_byte(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(folder)
    assert set(first) == {"walk.json", "walk.parquet", "arms.json", "arms.parquet"}
    assert made(folder) == first  # all from the store
    for chunk in (3, 1):
        forget(folder)
        monkeypatch.setattr(lives.learn, "__defaults__", (chunk, *lives.learn.__defaults__[1:]))  # type: ignore[index]
        assert made(folder) == first
    forget(folder)
    lived = interrupted(folder, monkeypatch, after=17)
    assert made(folder, "walk")["walk.parquet"] == first["walk.parquet"]
    # 9 before, of which those of the first run were kept; the others are lived anew.
    assert len([name for name in lived if name != "base"]) == 9 + (5 - 1) * 6


def interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> list[str]:
    """Stop after some lives; afterwards the list says which are lived."""
    lived: list[str] = []
    live = lives.live

    def counted(*given: Any, **named: Any) -> Any:
        lived.append(given[2].cell.name)
        if len(lived) == after:
            raise KeyboardInterrupt
        return live(*given, **named)

    monkeypatch.setattr(lives, "live", counted)
    with pytest.raises(KeyboardInterrupt):
        made(folder, "walk")
    assert not (folder / "data/learning/walk.parquet").exists()
    return lived


def test_only_what_is_new_is_lived(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pq.read_table(made_file(folder))
    lived: list[str] = []
    live = lives.live

    def counted(*given: Any, **named: Any) -> Any:
        lived.append(given[2].cell.name)
        return live(*given, **named)

    monkeypatch.setattr(lives, "live", counted)
    values = with_learning(seeds=6, temperature=[0.5, 2.0])
    del values["explorers"]["unsure"]
    values["learning"].pop("arms")
    write_params(folder, values)
    more = pq.read_table(made_file(folder)).to_pandas()
    assert lived.count("temperature-2") == 6 and lived.count("temperature-0.5") == 1
    before = table.to_pandas()
    for cell in ("routing-eps-q0.2-l0", "temperature-0.5"):
        mine = more[(more["cell"] == cell) & (more["seed"] < 5)]["return"].to_numpy()
        assert (mine == before[before["cell"] == cell]["return"].to_numpy()).all()


def made_file(folder: Path) -> Path:
    made(folder, "walk")
    return folder / "data/learning/walk.parquet"


def test_what_is_written(folder: Path) -> None:
    table = pq.read_table(made_file(folder)).to_pandas()
    assert list(table.columns) == ["cell", "seed", "unit", "return", "count", "random"]
    assert len(table) == 6 * 5 * 12 and table["unit"].min() == 1 and table["count"].max() <= 40
    assert (table["random"] <= table["count"]).all() and (table["return"] <= -1).all()
    by_cell = {name: rows for name, rows in table.groupby("cell", observed=True)}
    assert not by_cell["routing-eps-q0-l0"]["random"].any()
    for agent in (outcomes := agents(folder, "walk")):
        rows = by_cell[agent.cell]
        last = rows[rows["unit"] > 8].groupby("seed")["return"].mean()
        score = next(score for score in agent.scores if score.window == "last")
        assert score.mean == pytest.approx(last.mean()) and score.lo <= score.iqm <= score.hi
        assert agent.random == pytest.approx(rows["random"].sum() / rows["count"].sum())
    rival = next(agent for agent in outcomes if agent.cell == WALK["against"])
    assert all(score.difference == 0 and not score.verdict for score in rival.scores)


def agents(folder: Path, entry: str) -> Any:
    with inside(folder):
        return read_outcomes(entry).agents


def test_entropy_gates_open_as_often_as_asked(folder: Path) -> None:
    """On the steps of agents that explore by their base alone; routes change what is met, so only roughly."""
    made(folder, "arms")
    found = {agent.cell: agent for agent in agents(folder, "arms")}
    assert 0.1 < found["routing-unsure-q0.2-l0"].random < 0.3


def test_independent_agents_have_noise_of_their_own(folder: Path) -> None:
    common = pq.read_table(made_file(folder)).to_pandas()
    write_params(folder, with_learning() | {"coupling": "independent"})
    own = pq.read_table(made_file(folder)).to_pandas()
    assert not np.array_equal(common["return"], own["return"])


def test_the_report_has_them(work: Path) -> None:
    """Beside a task's results; without agents the table is empty and the page has no such section."""
    values = with_learning()
    values["tasks"] = {}
    settings = values | {"tasks": params()["tasks"]}
    write_params(work, settings)
    with inside(work):
        fetch.main(["cliff"])
        check.main([])
        made(work)
        names = [path.stem for path in Path("data/learning").glob("*.parquet")]
        assert sorted(names) == ["arms", "walk"]
        loaded = learn.load_settings()
        drawn = {
            name: draw(7.0) for name, (draw, _) in plot.pictures(loaded, {}).items() if "learning" in name
        }
        assert set(drawn) == {"learning-walk", "learning-arms"} and all(drawn.values())
        lines = summarize.learning_csv(
            loaded, {name: read_outcomes(name) for name in loaded.learning}
        ).splitlines()
        assert len(lines) == 1 + 3 * (6 + 3) and lines[0].startswith(
            "entry,algorithm,environment,seeds,cell"
        )
        del settings["learning"]["walk"]
        write_params(work, settings)
        check.main([])
        assert not Path("data/learning/walk.parquet").exists() and Path("data/learning/arms.json").exists()


WRONG: list[tuple[str, Any, str]] = [
    ("learning/walk/algorithm", "dqn", "must be one of q-learning, sample-average, sarsa"),
    ("learning/walk/environment", "sotu", "learning.walk.environment = 'sotu': must be one of cliff"),
    ("learning/walk/explorers", ["none"], "learning.walk.explorers[0] = 'none'"),
    ("learning/walk/against", "greedy", "learning.walk.against = 'greedy': must be one of routing-best"),
    ("learning/walk/arms", 3, "learning.walk.arms = 3: has no meaning with algorithm sarsa"),
    ("learning/walk/episodes", 0, "learning.walk.episodes = 0"),
    (
        "learning/walk/last",
        13,
        "learning.walk.last = 13: must be a whole number of at least 1 and at most 12",
    ),
    ("learning/walk/max_steps", 1_000_000, "learning.walk.max_steps = 1000000: must be at most"),
    ("learning/walk/step_size", 0, "learning.walk.step_size = 0"),
    ("learning/walk/stepsize", 1, "did you mean step_size?"),
    ("learning/arms/steps", 55, "learning.arms.steps = 55: must be a multiple of 10"),
    ("explorers/eps/base", {"top_p": 0.9}, "explorers.eps.base"),
    (
        "explorers/eps/q_route",
        "unigram",
        "explorers.eps.q_route = 'unigram': of an explorer must be uniform",
    ),
    ("explorers/eps/repeat", True, "explorers.eps.repeat = True: needs q_gate"),
    ("explorers/held/grid/q", [0.9], "explorers.held.q_gate.span = 3.0: spans of this mean length"),
]


@pytest.mark.parametrize(("path", "value", "said"), WRONG, ids=[path for path, _, _ in WRONG])
def test_a_wrong_value_is_one_line(folder: Path, path: str, value: Any, said: str) -> None:
    values = with_learning()
    *sections, key = path.split("/")
    place = values
    for section in sections:
        place = place[section]
    place[key] = value
    write_params(folder, values)
    with inside(folder), pytest.raises(PipelineError) as error:
        learn.main([path.split("/")[1] if path.startswith("learning") else "walk"])
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_missing_key_and_a_missing_environment(folder: Path) -> None:
    values = with_learning()
    del values["learning"]["walk"]["step_size"]
    write_params(folder, values)
    with inside(folder), pytest.raises(PipelineError, match=r"learning\.walk\.step_size is missing"):
        learn.main(["walk"])
    write_params(folder, with_learning())
    (folder / "data/assets/cliff/environment.json").unlink()
    with inside(folder), pytest.raises(PipelineError, match=r"environment\.json: missing"):
        learn.main(["walk"])
    with inside(folder), pytest.raises(PipelineError, match="learn = 'nobody': must be one of"):
        learn.main(["nobody"])
