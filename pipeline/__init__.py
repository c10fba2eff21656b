"""The stages of the pipeline: `python -m pipeline.<stage>`, what `dvc.yaml` calls. The library is `random_routing`."""

import signal
import sys

if sys.argv[:1] == ["-m"]:  # so it is while Python looks for the module to run
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of Ctrl-C before stages listen
    from pipeline import commandline

    commandline.begin()
