"""The last run into MLflow: params.yaml as its parameters, summary.json as its metrics, reports/ as its artifacts."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pandas as pd

from random_routing.errors import PipelineError, short
from random_routing.files import read_json
from random_routing.progress import say
from random_routing.settings.yamlfile import read_yaml

SUMMARY = Path("reports/summary.json")
OWN = {
    "MLFLOW_ALLOW_FILE_STORE": "true",  # who names a folder wants one, though MLflow would rather have a database
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # its own 7 take minutes to say that nobody answers
}


def main(arguments: Namespace) -> None:
    """Raises `PipelineError` without a finished run or MLflow, or where MLflow refuses."""
    if not SUMMARY.is_file():
        raise PipelineError(f"{SUMMARY}: no finished run to export; make one first (dvc repro)")
    try:
        import mlflow  # an extra that few need
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError:
        raise PipelineError(
            "export: MLflow is not installed; pip install -r requirements-mlflow.txt"
        ) from None
    for name, value in OWN.items():
        os.environ.setdefault(name, value)
    try:
        mlflow.set_tracking_uri(arguments.address)
        mlflow.set_experiment(arguments.experiment)
        with mlflow.start_run() as run:
            mlflow.log_params(flat(read_yaml("params.yaml")))
            numbers = flat(read_json(SUMMARY))
            mlflow.log_metrics({name: number for name, number in numbers.items() if number is not None})
            mlflow.log_artifact("params.yaml")
            mlflow.log_artifacts("reports", "reports")
    except (MlflowException, OSError) as error:
        raise PipelineError(f"{arguments.address}: MLflow does not take the run ({short(error)})") from None
    say("export", f"run {run.info.run_name} ({run.info.run_id}) of experiment {arguments.experiment}")


def flat(values: Any) -> dict[str, Any]:
    """Keys of nested mappings as in grid.q; lists stay as they are."""
    return {str(key): value for key, value in pd.json_normalize(values).iloc[0].items()}
