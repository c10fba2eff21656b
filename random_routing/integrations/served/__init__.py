"""A model behind an OpenAI-compatible endpoint as the generator: vLLM's server, with the processor installed there."""

from random_routing.integrations.served.run import run_served

__all__ = ["run_served"]
