"""A run of a person's own choices, in a workspace of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

import yaml

from random_routing.commands.choices import Choice, parameters
from random_routing.commands.signals import waiting
from random_routing.commands.workspace import INPUTS, dvc, make_workspace, project_file
from random_routing.errors import PipelineError, short
from random_routing.files import sha256_file
from random_routing.law.cells import routing_cells
from random_routing.metrics import METRICS
from random_routing.progress import say
from random_routing.settings import Settings, parse_settings
from random_routing.sources.local import fetch_local


def main(arguments: Namespace) -> int:
    base = Path(arguments.params) if arguments.params else project_file("params.yaml")
    if not base.is_file():
        raise PipelineError(f"--params {base}: is no file")
    given = vars(arguments)
    names = ("task", "models", "tokenizer", "judge", "data", "q", "lam", "variants", "temperature", "examples",
             "samples", "tokens", "seeds", "languages")  # fmt: skip
    choice = Choice(**{name: given[name] for name in names}, fields=dict(arguments.fields))
    params = parameters(read_text(base), choice, str(base), base.parent)
    settings = parse_settings(yaml.safe_load(params), METRICS)
    if note := nothing_routed(settings):
        say("run", note)
    read_data(settings)
    folder = Path(arguments.folder or f"data/runs/{choice.task}")
    data, copy = Path(choice.data.removeprefix("file:")), None
    if data.is_file():  # a copy under the name of its content: DVC sees when it has changed
        copy = Path(INPUTS) / sha256_file(data)[:12] / data.name
        params = params.replace(f"file:{data.resolve()}", f"file:{copy}")
    make_workspace(folder, params)
    if copy:
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(data, folder / copy)
    say("run", f"{folder}/params.yaml is written; `dvc repro` in {folder} repeats the run")
    return 0 if arguments.only_write else run_in(folder)


def read_data(settings: Settings) -> None:
    """A person's own records, before models are fetched. Raises `PipelineError` for those that no task can have."""
    for asset in settings.assets.values():
        if asset.kind == "data" and asset.sources[0].startswith("file:"):
            with tempfile.TemporaryDirectory() as folder:
                fetch_local(asset, Path(folder))


def nothing_routed(settings: Settings) -> str:
    """A note on rates that take no random step; empty for others."""
    if any(cell.r for task in settings.tasks.values() for cell in routing_cells(settings, task)):
        return ""
    return "note: every rate is 0, so no step is random, and plain decoders are compared; --q 0 0.03 would sweep q"


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise PipelineError(f"--params {path}: is no text in UTF-8 ({short(error)})") from None


def run_in(folder: Path) -> int:
    """The pipeline in a workspace; its status. Ctrl-C is for the process there, which a terminal tells as well."""
    process = subprocess.Popen([sys.executable, "-m", "random_routing", "repro"], cwd=folder)
    with waiting():
        status = process.wait()
    if not status:  # models are large: what a stage has made are copies, which become links into the cache
        subprocess.run([dvc(), "checkout", "--quiet", "--relink"], cwd=folder, check=False)
    return status
