"""Stage check: read params.yaml whole, so that a wrong value stops before any work."""

from __future__ import annotations

from pipeline import stage
from pipeline.files import write_text
from pipeline.routing.cells import all_cells
from pipeline.settings import load_settings


def main(argv: list[str]) -> None:
    settings = load_settings()
    counts = {name: len(all_cells(settings, task)) for name, task in settings.tasks.items()}
    # The same bytes for every good file: later stages depend on their own parameters only.
    write_text("data/params.checked", "params.yaml is well formed\n")
    stage.say(
        "check", "params.yaml is well formed; cells " + ", ".join(f"{n} {c}" for n, c in counts.items())
    )


if __name__ == "__main__":
    stage.run(main)
