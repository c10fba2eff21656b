"""The stage tune on tiny models: killed and run again, told of nonsense, switched off."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import generate, tune
from random_routing.files import read_json
from random_routing.law.cells import all_cells
from random_routing.settings import parse_settings
from random_routing.tuning.tune_task import setting_of
from tests.helpers import ROOT
from tests.helpers.attempts import Killed, Listed, attempt
from tests.helpers.tensorboard import scalars
from tests.helpers.workspace import inside, params, write_params

TASK = "translation"


def run(folder: Path) -> dict[str, Any]:
    with inside(folder):
        tune.main([TASK])
    return read_json(folder / f"data/tune/{TASK}.json")


@pytest.mark.long  # robustness/test_interruptions.py kills it too
def test_killed_and_run_again_it_is_as_if_it_had_not_been(work: Path, tmp_path: Path) -> None:
    """kill -9 when a part of the texts is stored; the rerun ends with the bytes of an undisturbed run."""
    other = Path(shutil.copytree(work, tmp_path / "other"))
    assert attempt(other, "tune", TASK, first=[Listed(tmp_path / "kinds")]).status == 0
    expected = (other / f"data/tune/{TASK}.json").read_bytes()
    commits = (tmp_path / "kinds").read_text().split().count("COMMIT")
    for share in (0.2, 0.4):
        killed = Killed("COMMIT", round(share * commits))
        assert attempt(work, "tune", TASK, first=[killed]).status == -signal.SIGKILL
        assert not (work / f"data/tune/{TASK}.json").exists()
    assert attempt(work, "tune", TASK).status == 0
    assert (work / f"data/tune/{TASK}.json").read_bytes() == expected


def test_what_it_finds(work: Path) -> None:
    with inside(work):
        write_params(work, params() | {"tensorboard": True})
        found = run(work)
        rewards = scalars(Path(f"reports/tensorboard/tune-{TASK}"))
    assert set(found["families"]) == {"routing", "temperature", "top_p"}
    assert not set(found["split"]["tune"]) & set(found["split"]["test"])
    for family, own in found["families"].items():
        trials = own["trials"]
        assert len(trials) == 4 and own["ended"] == "all 4 trials"
        whole = [t["reward"] for t in trials if t["state"] == "complete"]
        assert own["winner"]["tune"]["reward"] == pytest.approx(max(whole))
        assert [value for _, value in rewards[f"reward/{family}"]] == pytest.approx(
            [t["reward"] for t in trials]
        )
    plain = {family: own["trials"][0]["reward"] for family, own in found["families"].items()}
    assert len(set(plain.values())) == 1  # all begin with plain sampling, which is one decoder
    grid = {cell["cell"]: cell["reward"] for cell in found["grid"]["cells"]}
    assert grid["temperature-1"] == pytest.approx(plain["routing"])


def test_the_grid_s_texts_are_not_made_again(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arms and grid are there already; only trials are computed."""
    computed: list[int] = []
    real = tune.Scorer.scores

    def counted(self: Any, *args: Any) -> Any:
        before = self.work.texts
        result = real(self, *args)
        computed.append(self.work.texts - before)
        return result

    monkeypatch.setattr(tune.Scorer, "scores", counted)
    found = run(work)
    assert computed[-1] == 0 and sum(computed) <= found["texts"]
    assert sum(computed) > 0
    computed.clear()
    with inside(work):
        generate.main([TASK])
    assert run(work) == found and sum(computed) == 0  # everything is there


def test_switched_off(work: Path) -> None:
    values = params()
    values["tune"]["enabled"] = False
    write_params(work, values)
    assert run(work) is None
    outs = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["tune"]["do"]["outs"]
    names = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    assert len(names) == 2 and all((work / name.replace("${key}", TASK)).exists() for name in names)


def test_three_examples_are_too_few_to_split(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = params()
    values["tune"]["share"] = 0.3
    write_params(work, values)
    assert run(work) is None
    assert "left out, 1 examples to tune on and 3 to test on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("comparison", "why"),
    [
        ({"quality": {TASK: "mauve"}}, "quality.translation = mauve: needs 200 examples; there are 2"),
        ({"diversity": "vendi"}, "diversity = vendi: needs 100 examples; there are 2"),
        (
            {"diversity": "sample_distinct_2"},
            "diversity = sample_distinct_2: needs 2 texts an example; there is 1",
        ),
    ],
)
def test_a_metric_that_there_are_too_few_texts_for(
    work: Path, capsys: pytest.CaptureFixture[str], comparison: dict[str, Any], why: str
) -> None:
    """It is missing in the grid too, whose report goes without tuning then."""
    values = params()
    for name, value in comparison.items():
        values["comparison"][name] = values["comparison"][name] | value if name == "quality" else value
    write_params(work, values)
    assert run(work) is None and f"left out, params.yaml: comparison.{why}" in capsys.readouterr().out


def test_texts_without_a_reward(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One token is seldom two words: there are no pairs to count."""
    values = params(steps=1)
    values["comparison"]["diversity"] = "distinct_2"
    write_params(work, values)
    assert run(work) is None and "left out, no trial of routing has a reward" in capsys.readouterr().out


def test_without_time_every_family_has_a_batch(work: Path) -> None:
    values = params()
    values["tune"]["minutes"] = 0
    write_params(work, values)
    families = run(work)["families"]
    assert {own["ended"] for own in families.values()} == {"0 minutes are over"}
    assert [len(own["trials"]) for own in families.values()] == [2, 2, 2]


def test_several_texts_an_example(work: Path) -> None:
    """Diversity is that of one text an example, as people wrote; all texts are counted."""
    one = run(work)
    values = params()
    values["tasks"][TASK]["samples"] = 3
    write_params(work, values)
    several = run(work)
    first = [found["families"]["routing"]["trials"][0] for found in (one, several)]  # plain sampling
    assert first[0]["diversity"] == first[1]["diversity"] and first[0]["quality"] != first[1]["quality"]
    counts = [(f["texts"], f["grid"]["texts"]) for f in (one, several)]
    assert counts[1] == tuple(3 * count for count in counts[0])


def test_lambda_of_the_grid_is_the_random_route_s() -> None:
    """As of the trials that it is drawn beside."""
    values = params() | {"lambda_means": "exploit"}
    settings = parse_settings(values)
    cells = [cell for cell in all_cells(settings, settings.tasks[TASK]) if cell.variant == "uniform"]
    assert {(cell.lam, setting_of(cell, settings)["weight"]) for cell in cells} == {(0.0, 1.0), (0.1, 0.9)}
