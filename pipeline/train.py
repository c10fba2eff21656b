"""Stage train: a model of the section `trained` → `data/assets/<name>/`, as fetch writes models."""

from __future__ import annotations

from pipeline import stage
from pipeline.asset_folder import ASSETS, asset_folder
from random_routing.errors import PipelineError
from random_routing.settings import load_settings
from random_routing.settings.checks import choice
from random_routing.training import RECIPES


def main(argv: list[str]) -> None:
    settings = load_settings()
    trained = settings.trained[choice("train", stage.argument(argv, "a model"), settings.trained)]
    data = ASSETS / trained.data
    if not data.is_dir():
        raise PipelineError(f"{data}: missing; run dvc repro fetch@{trained.data}")
    with asset_folder("train", trained.name, trained.kind, trained.sources) as folder:
        RECIPES[trained.recipe](trained, settings.assets[trained.data], data, folder)


if __name__ == "__main__":
    stage.run(main)
