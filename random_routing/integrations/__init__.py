"""The law in other programs: transformers, vLLM, and models that somebody serves."""
