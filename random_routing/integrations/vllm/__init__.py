"""The law in vLLM, for each request its own. What needs no vLLM is in `settings` and `batch`."""
