"""Judge and embedder work on portions of the texts of all cells, the judge also in several processes, generator
and judge on few texts at once where memory is little; that leaves no trace in the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from pipeline import evaluate
from random_routing.decode.row_counts import Work
from random_routing.metrics.helpers import portions
from random_routing.runs.recheck import Sample
from random_routing.runs.store import Store
from random_routing.scoring import judge
from random_routing.scoring.embedding import Embeddings
from random_routing.scoring.judge import Scored, Scores
from tests.helpers import LONG
from tests.helpers.workspace import inside, params, write_params

MADE = [Path(f"data/metrics/textgen.{kind}") for kind in ("json", "stats.parquet")]


@pytest.mark.long
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
    monkeypatch.setattr(Sample, "lots", lambda *kind: iter(()))  # what a stage makes again is not counted
    values = params()
    if not LONG:
        values["grid"] = {"q": [0.1], "lambda": [0]}
    write_params(work, values)
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
    write_params(work, values | {"workers": 2, "max_rows": 3})
    monkeypatch.setattr(judge, "score_unit", score_unit)  # other processes import their own
    with inside(work):
        evaluate.main(["textgen"])
        assert [path.read_bytes() for path in MADE] == whole


def test_no_text_is_judged_twice_while_workers_are_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is at work somewhere is not in the store yet."""
    monkeypatch.setattr(portions, "PORTION", 2)
    a, b, c = (Scored((1,), (token,)) for token in (5, 6, 7))
    given: list[Scored] = []
    told: list[tuple[int, int]] = []

    def ahead(load: Any, run: Any, units: Iterable[Sequence[Scored]], on_step: Any) -> Iterator[Any]:
        """As many workers: all units are handed out before the first is done."""
        handed = list(units)
        given.extend(pair for unit in handed for pair in unit)
        for unit in handed:
            yield run(load(), unit, on_step)

    def score_unit(model: Any, unit: Sequence[Scored], on_step: Any, **options: int) -> Any:
        return {pair: np.full(1, pair.text[0], np.float32) for pair in unit}, Work()

    def no_model() -> Any:
        return Mock()

    monkeypatch.setattr(judge, "score_unit", score_unit)
    scores = Scores({}, Store(tmp_path / "rows.sqlite"))
    work = scores.compute(ahead, no_model, [[a, b], [b, c], [a]], 2, 1, lambda *state: told.append(state))
    assert given == [a, b, c] and work.texts == 3 and told == [(1, 3), (2, 3), (3, 3)]
    assert [values.tolist() for values in scores.read([c, a, b])] == [[7], [5], [6]]
