"""Seeds of a study are more texts of the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.statistics import Population, simulate, stability
from benchmarks.study import finished, params_of
from random_routing.comparison.replicates import pooled
from random_routing.errors import PipelineError
from random_routing.law.cells import all_cells
from random_routing.results.compared import Compared
from random_routing.scoring.statistics_file import Statistics, write_stats
from random_routing.settings import Settings, parse_settings
from tests.helpers.workspace import params

TASK, EXAMPLES = "dialogue", 64
TRUTH = {
    "temperature-0.7": (0.4, 0.5), "temperature-1": (0.8, 0.3), "routing-uniform-q0.1-l0": (0.6, 0.45),
    "routing-uniform-q0.3-l0": (0.7, 0.2),
}  # fmt: skip


def settings() -> Settings:
    values = params()
    values["tune"]["variants"] = "all"
    values["tasks"] = {TASK: values["tasks"][TASK]}
    values["variants"] = {"uniform": values["variants"]["uniform"]}
    values["grid"] = {"q": [0, 0.1, 0.3], "lambda": [0]}
    values["comparison"]["contrasts"] = {
        "small": {"variant": "uniform", "against": "temperature", "r": [0.05, 0.15]},
        "large": {"variant": "uniform", "against": "temperature", "r": [0.2, 0.4]},
    }
    return parse_settings(values)


def statistics(seed: int, noise: float = 0.05) -> Statistics:
    random, ones = np.random.default_rng(seed), np.ones(EXAMPLES)
    shared = random.normal(0, noise, EXAMPLES)
    made: Statistics = {}
    for name in (cell.name for cell in all_cells(settings(), settings().tasks[TASK])):
        diversity, quality = TRUTH.get(name, (0.5, 0.4))
        own = random.normal(0, noise, (2, EXAMPLES))
        unique = 100 * np.clip(diversity + 0.1 * own[0], 0, 1)
        made[name] = {
            "ead_2": np.stack([unique, 100 * ones, 1e9 * ones, ones], axis=1),
            "reference_similarity": np.stack([quality + shared + own[1], ones], axis=1),
        }
    return made


def write(folder: Path, stats: Statistics, first: int = 0) -> Path:
    (folder / "data/metrics").mkdir(parents=True)
    ids = [f"{first + i:04}" for i in range(EXAMPLES)]
    write_stats(folder / f"data/metrics/{TASK}.stats.parquet", ids, stats)
    return folder


def together(folders: Sequence[Path]) -> Compared:
    files = [folder / f"data/metrics/{TASK}.stats.parquet" for folder in folders]
    return pooled(settings(), [settings().tasks[TASK]] * len(files), files)


def test_the_same_texts_twice_are_the_same_verdict(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, statistics(1)) for name in ("one", "other"))
    alone, both = together([one]), together([one, other])
    for a, b in zip(alone.contrasts, both.contrasts, strict=True):
        assert (b.estimate, b.error, b.verdict) == (
            pytest.approx(a.estimate),
            pytest.approx(a.error),
            a.verdict,
        )
        assert (b.prompts, b.texts) == (a.prompts, 2 * a.texts)


def test_other_noise_makes_errors_smaller(tmp_path: Path) -> None:
    one, other = (write(tmp_path / str(seed), statistics(seed)) for seed in (1, 2))
    runs = ([one], [other], [one, other])
    first, second, both = (together(run).contrasts for run in runs)
    for a, b, c in zip(first, second, both, strict=True):
        assert c.estimate == pytest.approx((a.estimate + b.estimate) / 2, abs=0.003)
        assert c.error < 0.9 * (a.error + b.error) / 2
    third = write(tmp_path / "3", statistics(3), first=1)
    with pytest.raises(PipelineError, match="its examples are not those of"):
        together([one, third])


def test_a_seed_is_finished_with_its_parameters(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 0\ntasks: {}\n")
    assert not finished(tmp_path, 5)
    (tmp_path / "5").mkdir()
    (tmp_path / "5/params.yaml").write_text("tasks: {}\nseed: 5\n")  # of before there were other sections
    assert finished(tmp_path, 5)
    (tmp_path / "5/params.yaml").write_text(params_of(tmp_path, 5))
    assert yaml.safe_load(params_of(tmp_path, 5)) == {"seed": 5, "tasks": {}, "trained": {}, "learning": {}}
    assert finished(tmp_path, 5) and not finished(tmp_path, 6)
    (tmp_path / "params.yaml").write_text("seed: 0\ntasks: {more: 1}\n")
    assert not finished(tmp_path, 5)


def test_studies_drawn_from_a_run_are_judged_as_the_truth_is(tmp_path: Path) -> None:
    """The rates of 200 studies of 16 of 64 prompts, within what so few leave open."""
    population = Population.of(settings(), TASK, write(tmp_path / "one", statistics(1)))
    found = simulate([population], 16, studies=200)
    assert found["any_false_claim"] < 0.12
    for rates in found["hypotheses"].values():
        assert rates["known"] == 1 and abs(rates["bias"]) < 0.5
        assert 0.88 < rates["covered"] <= 1 and rates["false_equivalent"] < 0.12 and rates["found"] > 0.65
    assert all(0.88 < rate <= 1 for rate in found["covered"].values())
    words = stability(population)["verdicts"]
    assert words == {"small": ["better"], "large": ["worse"]}
