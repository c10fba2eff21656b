"""What tests share: tiny models and projects, made-up numbers, servers and processes."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]  # the checkout
LONG = "LONG_TESTS" in os.environ  # `make test-long`: more draws, more moments, more generated cases
