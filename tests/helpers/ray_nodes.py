"""Ray with several nodes on this machine: raylets on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

from random_routing.settings import Cluster
from tests.helpers import ROOT

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-scale.txt"
)


@contextmanager
def nodes_of(cpus: int, *others: int) -> Iterator[Any]:
    """A node with so many CPUs and others beside it; all that they start is stopped at the end."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(ROOT))
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster as Nodes

    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
    try:
        for number in others:
            nodes.add_node(wait=False, num_cpus=number)
        nodes.wait_for_nodes(timeout=600)
        yield nodes
    finally:
        nodes.shutdown()
        patch.undo()


def at(nodes: Any, workers: int = 2) -> Cluster:
    return Cluster(nodes.address, workers, 1, 0)
