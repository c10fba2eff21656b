"""Models that a server runs: `served:http://host:port/v1`. Their configuration and tokenizer lie elsewhere."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from random_routing.endpoint import API_KEY, Endpoint
from random_routing.errors import PipelineError
from random_routing.files import ENDPOINT, write_json
from random_routing.settings import Asset
from random_routing.sources.hub import fetch_hub
from random_routing.sources.local import fetch_local

CONFIG = "config.json"


def fetch_served(asset: Asset, target: Path) -> None:
    """`ENDPOINT` with what the server says of the model, beside its tokenizer and configuration. The address is not
    in it: content keys are made of these files, and another port is no other model. Raises `PipelineError`.
    """
    with Endpoint(asset.sources[0].removeprefix("served:"), os.environ.get(API_KEY)) as endpoint:
        about = endpoint.about(asset.served_name)
    scheme, _, place = asset.tokenizer.partition(":")
    if scheme == "file" and not (Path(place) / CONFIG).is_file():
        raise PipelineError(
            f"assets.{asset.name}.tokenizer = {asset.tokenizer}: must be a folder with {CONFIG}"
        )
    files = replace(asset, sources=(asset.tokenizer,), members=(CONFIG,))  # and so no weights
    (fetch_hub if scheme == "hf" else fetch_local)(files, target)
    write_json(target / ENDPOINT, about, indent=1)
