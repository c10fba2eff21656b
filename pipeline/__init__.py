"""Random routing in decoding: a stage each in `python -m pipeline.<stage>`, and the library that they call."""

import sys

if sys.argv[:1] == ["-m"]:  # so it is while Python looks for the module to run
    from pipeline import commandline

    commandline.begin()
