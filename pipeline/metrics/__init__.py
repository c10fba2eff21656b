"""The metrics: a literal table. To add one, write its statistics and add a line."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from pipeline.metrics import diversity, fluency, relevance, translation
from pipeline.metrics.base import CellTexts, Metric, ratio

__all__ = ["METRICS", "CellTexts", "Metric"]

WORDS = f"tok:wordpunct|case:mixed|nltk:{version('nltk')}"
COSINE = "cosine of mean-pooled unit vectors|embedder:{embedder}|max:256 tokens"

METRICS = {
    metric.name: metric
    for metric in (
        *(
            Metric(
                f"distinct_{n}",
                f"distinct-{n} (unique / all {n}-grams)",
                None,
                f"n:{n}|scope:cell|{WORDS}",
                partial(diversity.distinct_stats, n=n),
                ratio,
            )
            for n in (1, 2, 3)
        ),
        *(
            Metric(
                f"ead_{n}",
                f"EAD-{n} (unique / expected {n}-grams)",
                None,
                f"n:{n}|scope:cell|tok:generator|V:the tokenizer's vocabulary",
                partial(diversity.ead_stats, n=n),
                diversity.ead,
            )
            for n in (1, 2, 3)
        ),
        Metric(
            "entropy_2",
            "entropy of word pairs (nats)",
            None,
            f"n:2|scope:cell|{WORDS}",
            partial(diversity.entropy_stats, n=2),
            ratio,
        ),
        Metric(
            "self_bleu",
            "self-BLEU (0 to 1)",
            False,
            f"n:4|smooth:method1|refs:all other texts|{WORDS}",
            diversity.self_bleu_stats,
            ratio,
        ),
        Metric(
            "seq_rep_4",
            "seq-rep-4 (share of repeated 4-grams in a text)",
            None,
            "n:4|tok:generator",
            diversity.seq_rep_stats,
            ratio,
        ),
        Metric(
            "perplexity",
            "judge perplexity (exp nats per token)",
            None,
            "exp of nats per judge token, text given its context|judge:{judge}|dtype:{dtype}",
            fluency.judge_stats,
            fluency.perplexity,
        ),
        Metric(
            "nats_per_byte",
            "judge's nats per byte",
            None,
            "nats per UTF-8 byte, text given its context|judge:{judge}|dtype:{dtype}",
            fluency.byte_stats,
            ratio,
        ),
        Metric(
            "fluency_gap",
            "fluency gap (nats per token)",
            False,
            "|log perplexity - log perplexity of the human texts||judge:{judge}|dtype:{dtype}",
            fluency.gap_stats,
            fluency.gap,
        ),
        Metric(
            "generator_perplexity",
            "generator perplexity (exp nats per token)",
            None,
            "exp of nats per generator token, before any base decoder|model:{model}|dtype:{dtype}",
            fluency.generator_stats,
            fluency.perplexity,
        ),
        Metric(
            "context_similarity",
            "similarity to the context (cosine)",
            True,
            COSINE,
            relevance.context_stats,
            ratio,
        ),
        Metric(
            "reference_similarity",
            "similarity to the human text (cosine)",
            True,
            COSINE,
            relevance.reference_stats,
            ratio,
        ),
        Metric("length", "length (generator tokens)", None, "tok:generator", diversity.length_stats, ratio),
        Metric("empty", "share of empty texts", False, "white space only", diversity.empty_stats, ratio),
        Metric(
            "bleu",
            "BLEU (0 to 100)",
            True,
            translation.BLEU_SIGNATURE,
            translation.bleu_stats,
            translation.bleu,
        ),
        Metric(
            "chrf",
            "chrF2 (0 to 100)",
            True,
            translation.CHRF_SIGNATURE,
            translation.chrf_stats,
            translation.chrf,
        ),
        Metric(
            "ter",
            "TER (edits per 100 reference words)",
            False,
            translation.TER_SIGNATURE,
            translation.ter_stats,
            translation.ter,
        ),
    )
}
