"""A data set of any origin as one JSON Lines file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.checks import PipelineError
from pipeline.files import write_jsonl
from pipeline.settings import Asset

RECORDS = "records.jsonl"


def write_records(asset: Asset, rows: Iterable[Any], target: Path) -> None:
    """Raises `PipelineError` for a column that JSON cannot hold, such as pictures, dates or NaN."""
    try:
        write_jsonl(target / RECORDS, [dict(row) for row in rows])
    except UnicodeDecodeError:  # of the file that the rows come from: who reads it names it
        raise
    except (TypeError, ValueError) as error:
        raise PipelineError(
            f"assets.{asset.name}: {asset.sources[0]} has a value that is no text, number or list ({error})"
        ) from None
