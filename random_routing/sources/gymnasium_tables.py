"""Environments of the installed gymnasium: `gymnasium:name@version`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from random_routing.environments.tabular import from_gymnasium, write_environment
from random_routing.errors import PipelineError
from random_routing.settings import Asset


def fetch_gymnasium(asset: Asset, target: Path) -> None:
    """Write the environment's tables. Raises `PipelineError`, also where another version is installed."""
    name, _, wanted = asset.sources[0].removeprefix("gymnasium:").partition("@")
    where = f"assets.{asset.name}.source = {asset.sources[0]}"
    try:
        installed = version("gymnasium")
    except PackageNotFoundError:
        raise PipelineError(
            f"{where}: gymnasium is not installed; pip install gymnasium=={wanted}"
        ) from None
    if installed != wanted:
        raise PipelineError(
            f"{where}: gymnasium {installed} is installed; install {wanted} or name that one"
        )
    write_environment(target, from_gymnasium(name), {"gymnasium": installed})
