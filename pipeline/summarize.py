"""Stage summarize: `data/metrics/<task>.json` → the tables in `reports/` and `reports/summary.json`."""

from __future__ import annotations

from pipeline import stage
from random_routing.files import write_json, write_text
from random_routing.metrics import METRICS
from random_routing.progress import say
from random_routing.report.findings import findings
from random_routing.report.results import read_measured
from random_routing.report.tables.cells import rows_of, to_csv
from random_routing.report.tables.records import TABLES, records_to_csv
from random_routing.report.tables.summary import summarize_task
from random_routing.settings import load_settings


def main(argv: list[str]) -> None:
    settings = load_settings(metrics=METRICS)
    measured = read_measured(settings.tasks)
    tables = {task: rows_of(found, settings.lambda_means) for task, found in measured.items()}
    rows = [row for table in tables.values() for row in table]
    summary = {
        task: summarize_task(table, measured[task]["comparison"], settings.variants)
        for task, table in tables.items()
    }
    write_text("reports/cells.csv", to_csv(rows, settings.metrics))
    write_json("reports/summary.json", summary, indent=2)
    for name, table in TABLES.items():
        records = [
            {"task": task, **record} for task, found in measured.items() for record in table.records(found)
        ]
        write_text(f"reports/{name}.csv", records_to_csv(records, table.columns))
    write_text("reports/findings.md", findings(settings, measured))
    say(
        "summarize",
        f"{len(rows)} rows of {len(tables)} tasks in reports/cells.csv, "
        f"{sum(map(len, summary.values()))} numbers in reports/summary.json",
    )


if __name__ == "__main__":
    stage.run(main)
