"""What tests share: tiny models and projects, made-up numbers, servers and processes."""

from pathlib import Path

ROOT = Path(__file__).parents[2]  # the checkout
