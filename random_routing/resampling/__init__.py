"""The bootstrap over examples: weights and intervals."""
