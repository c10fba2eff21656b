"""Judge and embedder work on portions of the texts of all cells, which leaves no trace in the metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import evaluate
from pipeline.metrics import portions
from pipeline.metrics.embedding import Embeddings
from pipeline.metrics.judge import Scores
from tests.workspace import inside

MADE = [Path(f"data/metrics/textgen.{kind}") for kind in ("json", "stats.parquet")]


def test_small_portions_give_the_same_bytes(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: dict[str, list[int]] = {"judge": [], "embedder": []}
    judged, embedded = Scores.compute, Embeddings.compute

    def judge(self: Scores, model: object, pairs: list, *given: object) -> object:
        counts["judge"].append(len(pairs))
        return judged(self, model, pairs, *given)  # type: ignore[arg-type]

    def embed(self: Embeddings, texts: list[str]) -> None:
        counts["embedder"].append(len(texts))
        embedded(self, texts)

    monkeypatch.setattr(Scores, "compute", judge)
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
