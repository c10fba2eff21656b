"""Scores of single texts read back as they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from random_routing.errors import PipelineError
from random_routing.metrics import METRICS
from random_routing.results.text_scores import read_scores, write_scores

IDS = ["a", "b"]
SCORES = {
    "greedy": {"length": np.array([1.0, 2, 3, 4]), "chrf": np.array([10.0, np.nan, 30, 40])},
    "human": {"length": np.array([5.0, 6])},  # one text of each, and no chrF with itself
}


def test_they_read_back(tmp_path: Path) -> None:
    path = tmp_path / "dialogue.texts.parquet"
    write_scores(path, IDS, SCORES)
    rows = pq.read_table(path).to_pylist()
    places = [(row["decoder"], row["example_id"], row["sample"]) for row in rows]
    assert places[:4] == [("greedy", "a", 0), ("greedy", "a", 1), ("greedy", "b", 0), ("greedy", "b", 1)]
    assert places[4:] == [("human", "a", 0), ("human", "b", 0)]
    found = read_scores(path)
    assert list(found) == ["greedy", "human"]
    for decoder, of_decoder in SCORES.items():
        for name, values in of_decoder.items():
            assert np.array_equal(found[decoder][name], values.astype(np.float32), equal_nan=True)
    assert np.isnan(found["human"]["chrf"]).all()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(PipelineError, match=r"dialogue\.texts\.parquet: cannot be read"):
        read_scores(path)


def test_no_metric_but_of_several_texts(tmp_path: Path) -> None:
    write_scores(tmp_path / "texts.parquet", IDS, {"greedy": {}, "human": {}})
    assert read_scores(tmp_path / "texts.parquet") == {}


def test_which_metrics_a_text_has_by_itself() -> None:
    alone = {name for name, metric in METRICS.items() if metric.of_one_text}
    assert {"length", "chrf", "perplexity", "reference_similarity", "loops"} <= alone
    assert not {"distinct_2", "mauve", "sample_distinct_2", "human_distance", "self_bleu"} & alone
