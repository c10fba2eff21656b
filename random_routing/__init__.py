"""Random routing in language-model decoding: the law, the decoder, the metrics, the comparison."""

import os

# Read by OpenMP when torch is loaded: threads that wait sleep. Spinning ones would take the time of those that work
# wherever other processes are busy too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
