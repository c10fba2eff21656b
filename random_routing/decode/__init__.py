"""The decoder: prefill, step, fork. Turns (prompts, decoders, noise) into token ids."""
