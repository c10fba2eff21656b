"""A connection to Ray, or one line on why there is none."""

from __future__ import annotations

import os
import socket
from typing import Any

from random_routing import interrupt
from random_routing.errors import PipelineError, short
from random_routing.settings import Cluster


def connect(cluster: Cluster) -> Any:
    """The module ray, connected. Raises `PipelineError`."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would call home
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of its own defaults
    try:
        import ray
    except ImportError:
        raise PipelineError(
            "params.yaml: executor = 'ray': Ray is not installed; pip install -r requirements-scale.txt"
        ) from None
    cores = len(os.sched_getaffinity(0))
    if not cluster.address and cluster.cpus_per_worker > cores:
        raise PipelineError(
            f"params.yaml: ray.cpus_per_worker = {cluster.cpus_per_worker}: this machine has {cores} cores"
        )
    where = cluster.address or "local"
    if ":" in where:
        _knock(where)
    # With "local" Ray never takes a cluster that happens to run here.
    local_node: dict[str, Any] = {} if cluster.address else {"num_cpus": cores, "include_dashboard": False}
    try:
        ray.init(address=where, log_to_driver=False, **local_node)
    except Exception as error:  # Ray raises this very class where its node does not start within 30 s
        raise _nobody(where, error) from None
    interrupt.listen_again()  # Ray has handlers of its own
    return ray


def _knock(address: str) -> None:
    """Ray itself tries a dead address for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise _nobody(address, error) from None


def _nobody(where: str, error: Exception) -> PipelineError:
    return PipelineError(f"params.yaml: ray.address = {where!r}: no Ray there ({short(error)})")
