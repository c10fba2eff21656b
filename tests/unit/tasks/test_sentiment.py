"""Rows of sentiment: labels from ratings, texts in the prompt, sets in turn; and VADER beside the paper's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import pearsonr
from sklearn.metrics import precision_recall_fscore_support
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from random_routing.errors import PipelineError
from random_routing.settings import Task
from random_routing.tasks import sentiment
from random_routing.tasks.usable_records import LeftOut
from tests.helpers import ROOT
from tests.helpers.tasks import GENERATOR, SETTINGS, read, task

LABELS = ("-", "0", "+")


def records(count: int = 30) -> list[dict[str, Any]]:
    """Ratings of −3 to 3, from two sets, of texts that fit the prompt."""
    return [
        {"text": f"{i:02d} {'a text that somebody wrote about a thing ' * 2}"[:50], "rating": i % 7 - 3.0,
         "set": "ab"[i % 2]}
        for i in range(count)
    ]  # fmt: skip


def small(**changes: Any) -> Task:
    return task("sentiment", **{"labels": LABELS, "shots": 1, "examples": 12, **changes})


def test_labels_from_ratings() -> None:
    assert [sentiment.label_of(x, 0.5, LABELS) for x in (-0.5, -0.49, 0, 0.49, 0.5)] == list("-000+")
    assert [sentiment.label_of(x, 0.5, ("-", "+")) for x in (-0.1, 0, 2)] == list("-++")


def test_prompts_and_rows() -> None:
    rows = sentiment.build(records(), small(), GENERATOR)
    assert len({row["id"] for row in rows}) == 12
    head = rows[0]["prompt"].rpartition("Text: ")[0]
    assert head.count("Sentiment:") == 3 and [head.count(f"Sentiment:{x}\n") for x in LABELS] == [1, 1, 1]
    for row in rows:
        assert row["prompt"] == f"{head}Text: {row['source']}\nSentiment:"
        assert f"Text: {row['source']}\n" not in head  # never tested
        assert row["references"] == [sentiment.label_of(row["meta"]["rating"], 0.5, LABELS)]
        assert row["meta"]["vader"] in LABELS
    assert [row["meta"]["set"] for row in rows] == list("ab" * 6)


def test_more_examples_only_extend() -> None:
    few, many = (sentiment.build(records(), small(examples=n), GENERATOR) for n in (5, 12))
    assert many[:5] == few


def test_two_labels_leave_neutral_texts_out() -> None:
    left = LeftOut()
    rows = sentiment.build(records(), small(labels=("-", "+")), GENERATOR, left)
    assert {row["references"][0] for row in rows} == {"-", "+"}
    assert left.counts == {"rated neutral, for which there is no label": 4}


def test_wrong_ratings_are_counted_and_too_few_shots_named() -> None:
    left = LeftOut()
    odd = [{"text": "x" * 50, "rating": "good"}, {"text": "y" * 50}, {"text": "z" * 50, "rating": "nan"}]
    with pytest.raises(PipelineError, match=r"shots = 9: vader has 4 texts of 40 to 60 .* label0"):
        sentiment.build([*records(), *odd], small(shots=9), GENERATOR, left)
    assert left.counts == {"without a number as rating": 3}


def test_the_reader(tmp_path: Path) -> None:
    (tmp_path / "tweets_GroundTruth.txt").write_text(
        "1\t2.5\t a\u2028b \r\n2\t-1\tc\n", encoding="utf-8-sig"
    )
    assert read(tmp_path, "x", "vader", SETTINGS.tasks["sentiment"]) == [
        {"text": "a\u2028b", "rating": 2.5, "set": "tweets"},
        {"text": "c", "rating": -1.0, "set": "tweets"},
    ]


@pytest.mark.parametrize("line", ["1\t2.5", "1\tgood\ttext", "1\t4.5\ttext", "1\tnan\ttext"])
def test_the_reader_names_a_wrong_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "tweets_GroundTruth.txt").write_text(f"1\t1\tfine\n{line}\n")
    with pytest.raises(PipelineError, match=r"tweets_GroundTruth\.txt: line 2: "):
        read(tmp_path, "x", "vader", SETTINGS.tasks["sentiment"])


PAPER = {  # set: correlation with the mean rating; precision, recall and F1 (Hutto & Gilbert 2014, table 4)
    "tweets": (0.881, 0.99, 0.94, 0.96),
    "movieReviewSnippets": (0.451, 0.70, 0.55, 0.61),
    "amazonReviewSnippets": (0.565, 0.78, 0.55, 0.63),
}


@pytest.mark.real
@pytest.mark.parametrize("name", PAPER)
def test_vader_beside_the_paper(name: str) -> None:
    """The published figures within 0.035, of a later version of VADER: with a neutral class of ratings below 0.05, and
    metrics that are weighted by the classes' sizes."""
    rows = [
        row
        for row in read(ROOT / "data/assets/vader", "x", "vader", SETTINGS.tasks["sentiment"])
        if row["set"] == name
    ]
    analyzer = SentimentIntensityAnalyzer()
    compound = [analyzer.polarity_scores(row["text"])["compound"] for row in rows]
    ratings = [row["rating"] for row in rows]
    true, given = (
        [sentiment.label_of(value, 0.05, LABELS) for value in values] for values in (ratings, compound)
    )
    precision, recall, f1, _ = precision_recall_fscore_support(true, given, average="weighted")
    found = (pearsonr(compound, ratings)[0], precision, recall, f1)
    assert found == pytest.approx(PAPER[name], abs=0.035)
