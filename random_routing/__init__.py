"""Random routing in language-model decoding: the law, the decoder, the metrics, the comparison.

What a program of your own needs stands here; it is loaded when it is first asked for, so that importing the package
stays quick:

    from random_routing import RandomRoutingLogitsProcessor, Route, vocabulary_of
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from random_routing import threads

if TYPE_CHECKING:
    from random_routing.integrations.grid import run_grid
    from random_routing.integrations.processor import RandomRoutingLogitsProcessor, vocabulary_of
    from random_routing.integrations.served.run import run_served
    from random_routing.integrations.structural_routes import random_routing
    from random_routing.law.mixing import effective_rate, mix
    from random_routing.law.noise import Source
    from random_routing.law.vocabulary import Vocabulary
    from random_routing.settings import Base, Gate, Route, Schedule

# vLLM loads this package as a plugin, and its processes choose for themselves.
if "vllm" not in sys.modules:
    threads.choose()

__all__ = [
    "Base",
    "Gate",
    "RandomRoutingLogitsProcessor",
    "Route",
    "Schedule",
    "Source",
    "Vocabulary",
    "effective_rate",
    "mix",
    "random_routing",
    "run_grid",
    "run_served",
    "vocabulary_of",
]

HOMES = {
    "RandomRoutingLogitsProcessor": "integrations.processor",
    "vocabulary_of": "integrations.processor",
    "random_routing": "integrations.structural_routes",
    "run_grid": "integrations.grid",
    "run_served": "integrations.served.run",
    "effective_rate": "law.mixing",
    "mix": "law.mixing",
    "Source": "law.noise",
    "Vocabulary": "law.vocabulary",
    "Base": "settings",
    "Gate": "settings",
    "Route": "settings",
    "Schedule": "settings",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
