"""What `params.yaml` says of some tasks alone: variants, baselines, diversity, models that are trained here."""

from __future__ import annotations

from typing import Any

import pytest

from random_routing.errors import SettingsError
from random_routing.law.cells import all_cells
from random_routing.metrics import METRICS
from random_routing.settings import parse_settings
from tests.helpers.text_params import text_params
from tests.helpers.wrong_values import LESSON


@pytest.fixture
def raw() -> dict[str, Any]:
    return text_params()


def test_a_variant_and_its_hypotheses_are_of_the_tasks_that_it_names(raw: dict[str, Any]) -> None:
    raw["variants"]["plausible"]["tasks"] = ["dialogue"]
    settings = parse_settings(raw, METRICS)
    of = {
        name: {cell.variant for cell in all_cells(settings, task)} for name, task in settings.tasks.items()
    }
    assert "plausible" in of["dialogue"] and "plausible" not in of["textgen"] | of["translation"]
    assert settings.comparison.contrasts["plausible-lambda"].tasks == ("dialogue",)
    assert "plausible-plain" not in settings.comparison.contrasts  # of translation alone
    assert settings.comparison.contrasts["small-uniform"].tasks == tuple(settings.tasks)


def test_a_task_without_a_variant_is_refused(raw: dict[str, Any]) -> None:
    for variant in raw["variants"].values():
        variant["tasks"] = ["textgen", "translation"]
    with pytest.raises(SettingsError, match=r"tasks\.dialogue = 'dialogue': must have a variant"):
        parse_settings(raw, METRICS)


def test_a_task_has_the_baselines_that_it_names(raw: dict[str, Any]) -> None:
    raw["tasks"]["textgen"]["baselines"] = ["greedy", "temperature"]
    settings = parse_settings(raw, METRICS)
    families = {cell.family for cell in all_cells(settings, settings.tasks["textgen"])}
    assert families == {"greedy", "temperature", "routing"}
    assert "top_p" in {cell.family for cell in all_cells(settings, settings.tasks["dialogue"])}


def test_diversity_by_task(raw: dict[str, Any]) -> None:
    names = {"textgen": "vendi", "dialogue": "sample_spread", "translation": "pairwise_bleu"}
    raw["comparison"]["diversity"] = names
    assert parse_settings(raw, METRICS).comparison.diversity == names
    raw["comparison"]["diversity"] = "sample_spread"
    assert set(parse_settings(raw, METRICS).comparison.diversity.values()) == {"sample_spread"}
    raw["comparison"]["diversity"] = names | {"dialogue": "chrf"}
    with pytest.raises(SettingsError, match=r"comparison\.diversity\.dialogue = 'chrf'"):
        parse_settings(raw, METRICS)


def test_a_trained_model_is_a_model_as_others_are(raw: dict[str, Any]) -> None:
    raw["trained"] = {"own": {"recipe": "sarsa", "data": "sotu", **LESSON}}
    raw["tasks"]["textgen"]["model"] = "own"
    settings = parse_settings(raw, METRICS)
    assert settings.tasks["textgen"].model == "own" and settings.all_assets["own"].kind == "model"
    del raw["trained"]
    with pytest.raises(SettingsError, match=r"tasks\.textgen\.model = 'own'"):
        parse_settings(raw, METRICS)
