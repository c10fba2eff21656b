"""The digits that scikit-learn ships, as an asset; a folder with a transformer of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import sklearn
import yaml

from random_routing.files import sealed, sha256_file, write_json
from random_routing.settings import Asset, Settings, Trained, parse_settings
from random_routing.training import RECIPES
from tests.helpers import ROOT
from tests.helpers.tiny import tiny_embedder_folder
from tests.helpers.workspace import write_params

FILE = Path(sklearn.__file__).parent / "datasets/data/digits.csv.gz"
ASSET = Asset("digits", "data", ("file:x",), reader="digits")


def digits_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(FILE, folder / FILE.name)).parent


def image_params(**changes: Any) -> dict[str, Any]:
    """The file, with images alone: few and by a small transformer. changes: of the task."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["tasks"] = {"images": values["tasks"]["images"] | {"examples": 24, "samples": 2} | changes}
    values["trained"] = {"digits-transformer": values["trained"]["digits-transformer"] | SMALL}
    values["assets"] = {
        "digits": values["assets"]["digits"],
        "bert": {"kind": "embedder", "source": "file:bert"},
    }
    values["baselines"] = {"greedy": True, "temperature": [0.5, 1.0, 1.5], "top_p": [0.8], "min_p": [0.1]}
    values["embedder"], values["workers"], values["learning"] = "bert", 1, {}
    values["bootstrap"]["resamples"], values["report"]["formats"] = 100, []
    values["tune"] |= {"trials": 2, "batch": 2, "schedules": ["constant"]}
    return values


SMALL = {"width": 16, "layers": 2, "heads": 2, "steps": 20}


def trained(**changes: Any) -> Trained:
    settings: Settings = parse_settings(image_params())
    return replace(settings.trained["digits-transformer"], **changes)


def train(folder: Path, data: Path, **changes: Any) -> Path:
    """A transformer's folder. data: of `digits_folder`."""
    folder.mkdir()
    model = trained(**changes)
    RECIPES[model.recipe](model, ASSET, data, folder)
    return folder


def image_workspace(folder: Path, **changes: Any) -> Path:
    """A project that is fetched and trained."""
    assets = folder / "data/assets"
    digits_folder(assets / "digits")
    train(assets / "digits-transformer", assets / "digits")
    tiny_embedder_folder(assets / "bert")
    for asset in assets.iterdir():
        files = {path.name: sha256_file(path) for path in sorted(asset.iterdir())}
        about = {"name": asset.name, "kind": "data", "sources": ["file:x"], "files": files}
        write_json(asset / "asset.json", sealed(about))
    write_params(folder, image_params(**changes))
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    return folder
