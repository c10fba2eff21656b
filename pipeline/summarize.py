"""Stage summarize: results of all tasks → the tables in `reports/`, `reports/summary.json` and `data/pooled.json`."""

from __future__ import annotations

import json

from pipeline import stage
from random_routing.comparison.replicates import pool
from random_routing.files import write_text
from random_routing.metrics import METRICS
from random_routing.progress import say
from random_routing.report.findings import findings
from random_routing.report.input import read_results
from random_routing.report.tables.cells_csv import to_csv
from random_routing.report.tables.learning import learning_csv
from random_routing.report.tables.small_tables import TABLES, table_to_csv
from random_routing.report.tables.summary import summary
from random_routing.results.learned import read_outcomes
from random_routing.results.pooled import write_pooled
from random_routing.settings import load_settings


def main(argv: list[str]) -> None:
    settings = load_settings(metrics=METRICS)
    results = read_results(settings.tasks)
    together = pool(settings)
    write_pooled(together)
    measured = [of_task.measured for of_task in results.values()]
    numbers = summary(results, settings.variants)
    write_text("reports/cells.csv", to_csv(measured, settings))
    write_text(
        "reports/summary.json", json.dumps(numbers, indent=2, allow_nan=False) + "\n"
    )  # in their order
    for name, table in TABLES.items():
        write_text(f"reports/{name}.csv", table_to_csv(table, results, settings.tasks, together))
    learned = {name: read_outcomes(name) for name in settings.learning}
    write_text("reports/learning.csv", learning_csv(settings, learned))
    write_text("reports/findings.md", findings(settings, results, together))
    say(
        "summarize",
        f"{sum(len(m.cells) for m in measured)} rows of {len(measured)} tasks in reports/cells.csv, "
        f"{sum(map(len, numbers.values()))} numbers in reports/summary.json",
    )


if __name__ == "__main__":
    stage.run(main)
