"""The intervals of `data/learning/` beside those of rliable itself: `python -m benchmarks.against_rliable`.

rliable 1.2.0 needs arch below 8, which imports what pandas 3 no longer has: it gets an environment of its own, in
a temporary folder (about 300 MB from PyPI). Prints a line for each agent; the resamples are other ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pyarrow.parquet as pq

from random_routing.results.learned import outcomes_file, read_outcomes
from random_routing.settings import load_settings

PACKAGES = ("rliable==1.2.0", "arch==7.2.0", "pandas<3", "numpy<3")
SCRIPT = """
import json, sys
import numpy
from rliable import library, metrics
found = {}
for name, runs in json.load(sys.stdin).items():
    numpy.random.seed(0)  # rliable draws from the global generator
    point, ends = library.get_interval_estimates(
        {"x": numpy.array(runs)[:, None]}, lambda s: numpy.array([metrics.aggregate_iqm(s)]), reps=10000)
    found[name] = [float(point["x"][0]), *map(float, ends["x"].ravel())]
print(json.dumps(found))
"""


def main() -> None:
    ours, runs = {}, {}
    for name, entry in load_settings().learning.items():
        table = pq.read_table(outcomes_file(name).with_suffix(".parquet")).to_pandas()
        end = table[table["unit"] > entry.units - entry.last].astype({"return": float})
        for agent in read_outcomes(name).agents:
            key = f"{name} {agent.cell}"
            score = next(score for score in agent.scores if score.window == "last")
            ours[key] = (score.iqm, score.lo, score.hi)
            runs[key] = end[end["cell"] == agent.cell].groupby("seed")["return"].mean().tolist()
    theirs = by_rliable(runs)
    for key, mine in ours.items():
        print(f"{key:60s} ours {'{:.4g} ({:.4g} to {:.4g})'.format(*mine)}", end="  ")
        print("rliable {:.4g} ({:.4g} to {:.4g})".format(*theirs[key]))


def by_rliable(runs: dict[str, list[float]]) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin/python"
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, stdout=sys.stderr
        )
        done = subprocess.run(
            [python, "-c", SCRIPT], input=json.dumps(runs), text=True, stdout=subprocess.PIPE, check=True
        )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
