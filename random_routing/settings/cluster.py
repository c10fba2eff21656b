"""The section `ray` of `params.yaml`: where `executor: ray` runs."""

from __future__ import annotations

from typing import Any

from random_routing.errors import fail
from random_routing.settings import checks
from random_routing.settings.schema import Cluster


def parse_cluster(value: Any) -> Cluster:
    """Raises `SettingsError`."""
    section = checks.mapping("ray", value)
    checks.keys("ray", section, ("address", "workers", "cpus_per_worker", "gpus_per_worker"))
    gpus = checks.number("ray.gpus_per_worker", section["gpus_per_worker"], 0, 64)
    if gpus > 1 and gpus != int(gpus):
        raise fail("ray.gpus_per_worker", section["gpus_per_worker"], "above 1 it must be a whole number")
    return Cluster(
        address=_address(section["address"]),
        workers=checks.integer("ray.workers", section["workers"], 1, 10_000),
        cpus_per_worker=checks.integer("ray.cpus_per_worker", section["cpus_per_worker"], 1, 1024),
        gpus_per_worker=gpus,
    )


def _address(value: Any) -> str:
    allowed = "must be local (Ray is started on this machine), auto, or host:port"
    text = checks.text("ray.address", value)
    if text == "local":
        return ""
    host, colon, port = text.rpartition(":")
    if text != "auto" and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise fail("ray.address", value, allowed)
    return text
