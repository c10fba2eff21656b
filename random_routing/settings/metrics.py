"""The metrics that `params.yaml` may ask for, and those that decoders may be compared by."""

from __future__ import annotations

# Each with the tasks that can have it; METRICS has what they are.
EVERY = ("textgen", "dialogue", "translation")
METRIC_TASKS = {
    **dict.fromkeys(
        (
            "distinct_1", "distinct_2", "distinct_3", "ead_1", "ead_2", "ead_3", "entropy_2", "zipf", "self_bleu",
            "compression_ratio", "vendi", "distinct_texts", "seq_rep_4", "sample_distinct_2", "pairwise_bleu",
            "perplexity", "nats_per_byte", "fluency_gap", "generator_perplexity", "mauve", "reference_similarity",
            "oracle_similarity", "length", "empty", "broken", "thinking",
        ),
        EVERY,
    ),
    "context_similarity": ("textgen", "dialogue"),  # the embedder reads English; translation's source is not
    "bleu_2": ("dialogue",),
    **dict.fromkeys(("chrf", "oracle_chrf"), ("dialogue", "translation")),
    **dict.fromkeys(("bleu", "ter", "oracle_bleu"), ("translation",)),
}  # fmt: skip
DIVERSITY = (
    "ead_1", "ead_2", "ead_3", "distinct_1", "distinct_2", "distinct_3", "entropy_2", "self_bleu",
    "compression_ratio", "vendi", "sample_distinct_2", "pairwise_bleu",
)  # fmt: skip
CURVES = {"temperature": "temperature", "top_p": "top-p"}  # baselines that routing is compared with: names
QUALITY = (
    "mauve", "fluency_gap", "context_similarity", "reference_similarity", "bleu", "bleu_2", "chrf", "ter",
)  # fmt: skip
