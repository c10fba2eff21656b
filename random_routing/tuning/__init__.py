"""The loop: set the randomness, generate, evaluate to a reward, adjust, repeat."""
