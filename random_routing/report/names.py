"""How figures name metrics, and write their values."""

from __future__ import annotations

from dataclasses import dataclass

from random_routing.settings import BY_R


@dataclass(frozen=True)
class MetricName:
    role: str
    name: str  # with its unit
    better: str = ""


METRIC_NAMES = {
    "distinct_1": MetricName("diversity", "distinct-1 (distinct / all words)"),
    "distinct_2": MetricName("diversity", "distinct-2 (distinct / all word pairs)"),
    "distinct_3": MetricName("diversity", "distinct-3 (distinct / all word triples)"),
    "ead_1": MetricName("diversity", "EAD-1 (distinct / expected tokens)"),
    "ead_2": MetricName("diversity", "EAD-2 (distinct / expected token pairs)"),
    "ead_3": MetricName("diversity", "EAD-3 (distinct / expected token triples)"),
    "entropy_2": MetricName("diversity", "entropy of word pairs (nats)"),
    "zipf": MetricName("diversity", "Zipf coefficient"),
    "distinct_texts": MetricName("diversity", "different / all texts"),
    "seq_rep_4": MetricName("repetition", "seq-rep-4 (repeated / all 4-grams of a text)"),
    "length": MetricName("length", "tokens of a text"),
    "empty": MetricName("failures", "empty / all texts", "lower is better"),
    "broken": MetricName("failures", "broken / all characters", "lower is better"),
    "thinking": MetricName("failures", "texts with thinking / all texts", "lower is better"),
    "oracle_similarity": MetricName(
        "quality", "best text's similarity to reference (cosine)", "higher is better"
    ),
    "oracle_bleu": MetricName("quality", "best text's BLEU (0–100)", "higher is better"),
    "oracle_chrf": MetricName("quality", "best text's chrF (0–100)", "higher is better"),
    "self_bleu": MetricName("sameness", "self-BLEU", "lower is more diverse"),
    "compression_ratio": MetricName("sameness", "compression ratio", "lower is more diverse"),
    "vendi": MetricName("diversity", "Vendi score (effective number of texts)"),
    "sample_distinct_2": MetricName(
        "diversity", "distinct-2 among a prompt's texts (distinct / all word pairs)"
    ),
    "pairwise_bleu": MetricName("sameness", "pairwise BLEU of a prompt's texts", "lower is more diverse"),
    "mauve": MetricName("quality", "MAUVE (0–1)", "higher is better"),
    "perplexity": MetricName("fluency", "judge perplexity (per token)", "nearer to human is better"),
    "nats_per_byte": MetricName("fluency", "judge's nats per byte", "nearer to human is better"),
    "fluency_gap": MetricName("quality", "fluency gap to human (nats / token)", "lower is better"),
    "generator_perplexity": MetricName("fluency", "generator perplexity (per token)"),
    "context_similarity": MetricName("relevance", "similarity to context (cosine)", "higher is better"),
    "reference_similarity": MetricName("quality", "similarity to reference (cosine)", "higher is better"),
    "bleu": MetricName("quality", "BLEU (0–100)", "higher is better"),
    "bleu_2": MetricName("quality", "BLEU-2 (0–100)", "higher is better"),
    "chrf": MetricName("quality", "chrF (0–100)", "higher is better"),
    "ter": MetricName("quality", "TER (edits / 100 words)", "lower is better"),
}


def axis_label(metric: str) -> str:
    known = METRIC_NAMES[metric]
    return f"{known.role}: {known.name}"


def with_better(metric: str) -> str:
    """The axis label and, on a line of its own, which way is better."""
    better = METRIC_NAMES[metric].better
    return axis_label(metric) + (f"\n{better}" if better else "")


def panel_title(metric: str) -> str:
    known = METRIC_NAMES[metric]
    return ", ".join(filter(None, (known.role, known.better))) + f"\n{known.name}"


def route_name(route: str) -> str:
    """route: as the tables have it, q, λ or `BY_R`."""
    return route if route == BY_R else f"{route}-route"


def one_route(route: str) -> str:
    """Of a law that takes this route and no other."""
    return route if route == BY_R else f"{route_name(route)} alone"


def short(value: float) -> str:
    """Three digits in as little room as they need: 0.874, 27.3, 154, 12.3k."""
    if abs(value) < 1:
        return f"{value:.3f}"
    for step, unit in ((1.0, ""), (1e3, "k"), (1e6, "M")):
        if abs(value) < 999.5 * step:
            scaled = value / step
            return f"{scaled:.{2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0}f}{unit}"
    return f"{value:.0e}"
