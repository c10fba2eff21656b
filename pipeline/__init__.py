"""Random routing in decoding: a stage each in `python -m pipeline.<stage>`, and the library that they call."""

import os
import sys

# Read by OpenMP when torch is loaded: threads that wait sleep. Spinning ones would take the time of those that work
# wherever other processes are busy too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if sys.argv[:1] == ["-m"]:  # so it is while Python looks for the module to run
    from pipeline import commandline

    commandline.begin()
