"""The default parameters with the tasks of text alone: what most tests of the pipeline are about."""

from __future__ import annotations

from typing import Any

import yaml

from random_routing.settings.tasks import TEXT_KINDS
from tests.helpers import ROOT

BEYOND = ("trained", "learning")  # sections that no task of text needs


def text_params() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["tasks"] = {
        name: task for name, task in values["tasks"].items() if task.get("kind", name) in TEXT_KINDS
    }
    own = {*values["tasks"], *TEXT_KINDS}
    values["variants"] = {
        name: variant
        for name, variant in values["variants"].items()
        if not variant.get("tasks") or own & set(variant["tasks"])
    }
    contrasts, tune = values["comparison"]["contrasts"], values["tune"]
    for name in [name for name, one in contrasts.items() if one["variant"] not in values["variants"]]:
        del contrasts[name]
    tune["variants"] = [name for name in tune["variants"] if name in values["variants"]]
    for variant in values["variants"].values():
        variant.pop("tasks", None)
    values["tune"]["variants"] = [name for name in values["tune"]["variants"] if name in values["variants"]]
    values["comparison"]["contrasts"] = {
        name: contrast
        for name, contrast in values["comparison"]["contrasts"].items()
        if contrast["variant"] in values["variants"]
    }
    for name in BEYOND:
        if name in values:
            values[name] = {}
    return values
