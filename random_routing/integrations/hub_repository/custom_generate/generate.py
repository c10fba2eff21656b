"""The recipe that `generate(custom_generate=…)` loads."""

from random_routing.integrations.custom_generate import generate

__all__ = ["generate"]
