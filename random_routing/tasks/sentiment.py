"""Sentiment: the model chooses among label words, after a few rated texts of each label."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest
from typing import Any

from random_routing.errors import PipelineError
from random_routing.models.tokens import encode_as_text
from random_routing.settings import Task
from random_routing.tasks.example_ids import CONTROL, Generator, in_stable_order
from random_routing.tasks.usable_records import LeftOut, Record, usable

VADER = "vader"  # key of `meta`: the label that VADER gives
COMPOUND = 0.05  # VADER's own threshold, of Hutto & Gilbert 2014
SHOT_LENGTHS = range(40, 61)  # characters of a text in the prompt: a sentence, and a short one


def build(
    records: Iterable[Record], task: Task, generator: Generator, left: LeftOut | None = None
) -> list[dict[str, Any]]:
    """records: {text, rating, set}. A rating of at least `neutral` is positive, of at most −`neutral` negative, and
    others neutral; with two labels those are left out. Sets take turns, so that each has the same share of examples.

    The texts in the prompt are the clearest short ones of each label, and are never tested.
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # it is not where vLLM is

    left = left or LeftOut()
    labelled = list(_labelled(records, task, left))
    shots = _shots(task, labelled, generator, left)
    shown = "".join(f"Text: {text}\nSentiment:{label}\n\n" for text, label in shots)
    analyzer = SentimentIntensityAnalyzer()
    rows: list[dict[str, Any]] = []
    in_prompt = {text for text, _ in shots}
    for id_, record in _in_turn(item for item in labelled if item[1]["text"] not in in_prompt):
        if len(rows) == task.examples:
            break
        text, label = record["text"], record["label"]
        if generator.cannot_spell([text]):
            left.add(CONTROL, record, "text", text)
            continue
        prompt = f"{shown}Text: {text}\nSentiment:"
        if generator.cannot_take(encode_as_text(generator.tokenizer, [prompt])["input_ids"][0]):
            left.add(generator.too_long(task), record, "text", text)
            continue
        compound = float(analyzer.polarity_scores(text)["compound"])
        meta = {
            "set": record["set"], "rating": record["rating"], "compound": compound,
            VADER: label_of(compound, COMPOUND, task.labels),
        }  # fmt: skip
        rows.append({"id": id_, "prompt": prompt, "source": text, "references": [label], "meta": meta})
    return rows


def label_of(value: float, threshold: float, labels: tuple[str, ...]) -> str:
    """labels: negative, neutral where there are three, positive. Of two the sign decides, and 0 is positive."""
    if len(labels) == 2:
        return labels[value >= 0]
    return labels[2] if value >= threshold else labels[0] if value <= -threshold else labels[1]


def _labelled(records: Iterable[Record], task: Task, left: LeftOut) -> Iterator[tuple[str, Record]]:
    """(id, record) with its label, in stable order."""
    texts = ((record["text"], record) for record in _rated(usable(records, {"text": str}, left), left))
    for id_, record in in_stable_order(texts, left):
        if len(task.labels) == 2 and abs(record["rating"]) < task.neutral:
            left.add("rated neutral, for which there is no label", record)
        else:
            yield id_, {**record, "label": label_of(record["rating"], task.neutral, task.labels)}


def _rated(records: Iterable[Record], left: LeftOut) -> Iterator[Record]:
    """With the rating as a number; a data set of one's own is one set."""
    for record in records:
        try:
            rating = float(record["rating"])
        except (KeyError, TypeError, ValueError):
            rating = math.nan
        if math.isfinite(rating):
            yield {"set": "", **record, "rating": rating}
        else:
            left.add("without a number as rating", record, "rating", record.get("rating"))


def _shots(
    task: Task, labelled: list[tuple[str, Record]], generator: Generator, left: LeftOut
) -> list[tuple[str, str]]:
    """Texts and their labels in turn: for each label the short ones that were rated the clearest."""
    columns = []
    for label in task.labels:
        neutral = len(task.labels) == 3 and label == task.labels[1]
        fit = [
            (abs(record["rating"]) * (1 if neutral else -1), id_, record["text"])
            for id_, record in labelled
            if record["label"] == label and len(record["text"]) in SHOT_LENGTHS
        ]
        spelt = (text for _, _, text in sorted(fit) if not generator.cannot_spell([text]))
        chosen = list(islice(spelt, task.shots))
        if len(chosen) < task.shots:
            raise PipelineError(
                f"params.yaml: tasks.{task.name}.shots = {task.shots}: {task.data} has {len(chosen)} texts of "
                f"{SHOT_LENGTHS[0]} to {SHOT_LENGTHS[-1]} characters with the label{label}{left.after}"
            )
        columns.append([(text, label) for text in chosen])
    return [shot for turn in zip(*columns, strict=True) for shot in turn]


def _in_turn(labelled: Iterable[tuple[str, Record]]) -> Iterator[tuple[str, Record]]:
    """One of each set after the other, each set in its own order."""
    sets: dict[str, list[tuple[str, Record]]] = {}
    for id_, record in labelled:
        sets.setdefault(record["set"], []).append((id_, record))
    for turn in zip_longest(*(sets[name] for name in sorted(sets))):
        yield from (item for item in turn if item is not None)
