"""The stages of the pipeline. Threads that wait sleep: spinning ones cost a busy machine far more than they gain."""

import os

# Read by OpenMP when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
