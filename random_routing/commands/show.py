"""DVC's table of experiments without what does not fit a terminal: code and data, and all numbers but the gains."""

from __future__ import annotations

import subprocess
from argparse import Namespace

from random_routing.commands.workspace import dvc

LEFT_OUT = r"^((random_routing|pipeline|data|dvc|params\.yaml)|(lo|hi|sampling|tuned|held_out)\.)"


def main(arguments: Namespace) -> int:
    return subprocess.run(
        [dvc(), "exp", "show", "--only-changed", "--drop", LEFT_OUT], check=False
    ).returncode
