"""The stages of the pipeline: `python -m pipeline.<stage>`, what `dvc.yaml` calls. The library is `random_routing`."""

import signal
import sys

# While Python looks for the module to run, argv begins with -m, and the module's name is where that stands.
if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].removeprefix("-m").startswith("pipeline."):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    from random_routing import interrupt

    interrupt.listen()  # first: what is imported next takes its time
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    from pipeline import commandline

    commandline.begin()
