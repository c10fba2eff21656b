"""Judge and embedder work on portions of the texts of all cells, the judge also in several processes; that leaves no
trace in the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline import evaluate
from pipeline.metrics import judge, portions
from pipeline.metrics.embedding import Embeddings
from pipeline.metrics.judge import Scored
from tests.workspace import inside, params, write_params

MADE = [Path(f"data/metrics/textgen.{kind}") for kind in ("json", "stats.parquet")]


def test_small_portions_give_the_same_bytes(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: dict[str, list[int]] = {"judge": [], "embedder": []}
    score_unit, embedded = judge.score_unit, Embeddings.compute

    def count_unit(model: Any, unit: Sequence[Scored], *rest: Any, **options: Any) -> Any:
        counts["judge"].append(len(unit))
        return score_unit(model, unit, *rest, **options)

    def embed(self: Embeddings, texts: list[str]) -> None:
        counts["embedder"].append(len(texts))
        embedded(self, texts)

    monkeypatch.setattr(judge, "score_unit", count_unit)
    monkeypatch.setattr(Embeddings, "compute", embed)
    with inside(work):
        evaluate.main(["textgen"])
        whole, distinct = [path.read_bytes() for path in MADE], dict(counts)
        assert [len(found) for found in counts.values()] == [1, 1]  # few texts are one portion
        counts.update(judge=[], embedder=[])
        (store,) = Path.cwd().rglob("rows.sqlite")
        store.unlink()
        monkeypatch.setattr(portions, "PORTION", 5)
        evaluate.main(["textgen"])
        assert [path.read_bytes() for path in MADE] == whole
    for name, found in counts.items():
        assert len(found) > 2 and sum(found) == sum(distinct[name]), name  # none is computed twice
        assert max(found) < 10, name  # what is left of one portion, and another
    store.unlink()
    write_params(work, params() | {"workers": 2, "max_rows": 7})
    monkeypatch.setattr(judge, "score_unit", score_unit)  # other processes import their own
    with inside(work):
        evaluate.main(["textgen"])
        assert [path.read_bytes() for path in MADE] == whole
