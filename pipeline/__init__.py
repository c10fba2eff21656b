"""The stages of the pipeline: `python -m pipeline.<stage>`, what `dvc.yaml` calls. The library is `random_routing`."""

import sys

if sys.argv[:1] == ["-m"]:  # so it is while Python looks for the module to run
    from pipeline import commandline

    commandline.begin()
