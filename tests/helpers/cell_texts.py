"""Made-up texts of a cell, and the value that a metric has of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from random_routing.environments.episode_tokens import FIRST
from random_routing.metrics import METRICS, CellTexts
from random_routing.metrics.helpers.words import words
from tests.helpers.policies import CLIFF, world


def cell(texts: list[str], **given: Any) -> CellTexts:
    rows = len(texts)
    unit = np.tile([1.0, 0.0], (rows, 1))
    values: dict[str, Any] = {
        "texts": texts,
        "token_ids": [list(text.encode()) for text in texts],
        "model_logprobs": [np.full(len(text.encode()), -1.0) for text in texts],
        "example": np.arange(rows),
        "examples": rows,
        "references": [[text] for text in texts],
        "sources": [f"before {row}" for row in range(rows)],
        "entropies": [np.full(len(text.encode()), 1.0) for text in texts],
        "judge_nll": np.array([2.0 * len(text) for text in texts]),
        "judge_tokens": np.array([len(text) for text in texts]),
        "text_embeddings": unit,
        "source_embeddings": unit,
        "reference_embeddings": unit,
        "human_nll": np.full(rows, 9.0),
        "human_tokens": np.full(rows, 4),
        "vocabulary": 300,
    }
    return CellTexts(**{**values, **given})


def cell_for(name: str, texts: list[str]) -> CellTexts:
    """As `cell`, with what metrics of other kinds read: each byte is an action, a text an image or a label."""
    kinds, rows = METRICS[name].kinds, len(texts)
    if kinds == ("rl",):
        actions = [[FIRST + byte % 4 for byte in text.encode()] for text in texts]
        return cell(texts, token_ids=actions, meta=[{"seed": 1}] * rows, world=world(CLIFF))
    if kinds == ("images",):
        features = np.array(
            [[len(text), text.count("a"), len({*text})] for text in texts], dtype=np.float64
        )
        real = [np.array([[row, 1.0 + i, i % 3] for i in range(7)]) for row in features[:, 0]]
        predicted = features[:, 0].astype(int) % 10
        return cell(
            texts, features=features, real_features=real, predicted=predicted, meta=[{"label": 3}] * rows
        )
    if kinds == ("sentiment",):
        law = np.tile([0.25, 0.75], (rows, 1))
        return cell(texts, references=[["good"]] * rows, choices=(" bad", " good"), choice_probs=law)
    return cell(texts)


def value(name: str, texts: CellTexts) -> float:
    metric = METRICS[name]
    return float(np.mean(metric.aggregate(metric.stats(texts).sum(0))))  # the mean of MAUVE's seeds


def nltk_self_bleu(texts: list[str]) -> list[float]:
    tokens = [list(words(text)) for text in texts]
    smooth = SmoothingFunction().method1
    return [
        float(sentence_bleu(tokens[:i] + tokens[i + 1 :], row, smoothing_function=smooth))
        for i, row in enumerate(tokens)
    ]
