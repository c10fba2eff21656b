"""Models that are trained here: a literal table from `recipe:` to the function that trains one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from random_routing.settings import Asset, Trained
from random_routing.training.pixel_transformer import train_pixels
from random_routing.training.td_control import train_policy

# recipe → function(trained, its data asset, that asset's folder, folder for the model). The same bytes every time on
# one kind of machine; the folder gets config.json, safetensors and a tokenizer, as any model of transformers has them.
RECIPES: dict[str, Callable[[Trained, Asset, Path, Path], None]] = {
    "q-learning": train_policy,
    "sarsa": train_policy,
    "pixel-transformer": train_pixels,
}
