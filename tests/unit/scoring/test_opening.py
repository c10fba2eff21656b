"""What a judge reads before a document: tiny tokenizers with control tokens and templates of well-known families."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from random_routing.files import read_jsonl, write_json
from random_routing.metrics import METRICS
from random_routing.models.loading import load_model
from random_routing.runs.store import Store
from random_routing.scoring.add_scores import Judge, add_judge
from random_routing.scoring.judge import Scored, score_unit, tokenize
from random_routing.scoring.opening import NONE, Opening, opening_of
from random_routing.scoring.recovery import Judged
from random_routing.settings import Settings, load_settings
from random_routing.tasks import TASK_KINDS
from tests.helpers.cell_texts import cell
from tests.helpers.tiny import tiny_model_folder
from tests.helpers.workspace import inside, params, write_params

MARKED = (  # the form of ChatML
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADED = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>{% endif %}"
)
TURNS = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
EXCHANGES = (  # each question and its answer are a document
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]"
    "{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
ENDED = (  # a template that uses the end of a text to end a turn
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}<|assistant|>\n"
)
REFUSING = "{{ raise_exception('no') }}<|im_start|><|im_end|>"


@dataclass(frozen=True)
class Kind:
    """special: control tokens; adds: the tokenizer's own post-processing."""

    special: tuple[str, ...]
    bos: str | None = None
    eos: str | None = None
    adds: str = "$A"
    template: str | None = None


CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
KINDS = {
    "gpt-2": (Kind(("<|endoftext|>",), "<|endoftext|>", "<|endoftext|>"), "<|endoftext|>"),
    "smollm2-instruct": (Kind(CHATML, "<|im_start|>", "<|im_end|>", template=MARKED), "<|endoftext|>"),
    "qwen": (Kind(CHATML, None, "<|endoftext|>", template=MARKED), "<|endoftext|>"),
    "qwen-instruct": (Kind(CHATML, None, "<|im_end|>", template=MARKED), "<|endoftext|>"),
    "its template cannot be rendered": (
        Kind(CHATML, "<|im_start|>", "<|im_end|>", template=REFUSING), "<|endoftext|>",
    ),
    "a marker that the tokenizer adds": (
        Kind(CHATML, "<|im_start|>", "<|im_end|>", "<|im_start|> $A", MARKED), "<|endoftext|>",
    ),
    "llama-3-instruct": (
        Kind(
            ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
            "<|begin_of_text|>", "<|eot_id|>", "<|begin_of_text|> $A", HEADED,
        ),
        "<|begin_of_text|>",
    ),
    "gemma-it": (
        Kind(("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"), "<bos>", "<eos>", "<bos> $A", TURNS), "<bos>",
    ),
    "mistral-instruct": (Kind(("<s>", "</s>"), "<s>", "</s>", "<s> $A", EXCHANGES), "<s>"),
    "phi-3": (Kind(("<s>", "<|end|>", "<|endoftext|>"), "<s>", "<|endoftext|>", "$A", ENDED), "<s>"),
    "stablelm": (Kind(("<|endoftext|>",), "<|endoftext|>", "<|endoftext|>", template=ENDED), "<|endoftext|>"),
    "an end after each text": (Kind(("<s>", "</s>"), "<s>", "</s>", "<s> $A </s>"), "<s>"),
    "two tokens": (Kind(("[gMASK]", "<sop>"), None, None, "[gMASK] <sop> $A"), "[gMASK]<sop>"),
    "only markers": (Kind(CHATML[1:], "<|im_start|>", "<|im_end|>", template=MARKED), NONE),
    "nothing": (Kind(()), NONE),
}  # fmt: skip


def tokenizer_of(kind: Kind) -> PreTrainedTokenizerFast:
    """A token a byte, after the control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*kind.special, *alphabet])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(kind.special))
    known = [(token, vocabulary[token]) for token in kind.special]
    made.post_processor = processors.TemplateProcessing(single=kind.adds, special_tokens=known)
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token=kind.bos, eos_token=kind.eos)
    fast.chat_template = kind.template
    return fast


@pytest.mark.parametrize(("kind", "expected"), KINDS.values(), ids=KINDS)
def test_the_opening_bounds_documents_and_marks_no_role(kind: Kind, expected: str) -> None:
    tokenizer = tokenizer_of(kind)
    opening = opening_of(tokenizer, "j")
    assert opening.name == expected
    assert "".join(tokenizer.convert_ids_to_tokens(list(opening.before))) == (
        "" if expected == NONE else expected
    )
    assert opening.after == ()  # an end would cut the text off from its context


def test_all_contexts_begin_with_the_opening() -> None:
    """SmolLM2's tokenizer adds nothing to a prompt or to turns, which begin a document all the same."""
    tokenizer = tokenizer_of(KINDS["smollm2-instruct"][0])
    pairs = tokenize(tokenizer, opening_of(tokenizer, "j"), ["", "ab"], ["cd", "<|im_end|>"], 99, "j")
    assert [pair.context for pair in pairs] == [(0,), (0, *tokenizer("ab")["input_ids"])]
    assert len(pairs[1].text) == len("<|im_end|>")  # which is text here


def test_an_encoder_reads_its_contexts_as_its_tokenizer_makes_them() -> None:
    tokenizer = tokenizer_of(Kind(("</s>",), None, "</s>", "$A </s>"))
    opening = opening_of(tokenizer, "j", is_encoder_decoder=True)
    assert opening == Opening((), "the decoder's start", (0,))
    assert tokenize(tokenizer, opening, [""], ["a"], 99, "j") == [
        Scored((0,), tuple(tokenizer("a", add_special_tokens=False)["input_ids"]))
    ]


def test_without_an_opening_the_first_token_is_context() -> None:
    """Its bytes are not scored; after a context all tokens are; a text of one token has nothing to score."""
    tokenizer = tokenizer_of(KINDS["only markers"][0])
    a, b, half, other = tokenizer("abé")["input_ids"]
    texts = ["ab", "ab", "a", "éa", ""]
    pairs = tokenize(tokenizer, Opening((), NONE), ["", "b", "", "", ""], texts, 99, "j")
    assert pairs == [
        Scored((a,), (b,), 1), Scored((b,), (a, b)), Scored((a,), (), 1), Scored((half,), (other, a), 2),
        Scored((), ()),
    ]  # fmt: skip


def without_opening(folder: Path) -> Settings:
    """A project of one task, whose judge has chat markers alone."""
    values = params()
    values["tasks"] = {"translation": values["tasks"]["translation"]}
    write_params(folder, values | {"device": "cpu", "batch_size": 256, "max_rows": 1024})
    judge = folder / "data/assets/two"
    tiny_model_folder(judge)
    tokenizer_of(KINDS["only markers"][0]).save_pretrained(judge)
    write_json(judge / "asset.json", {"files": {}})
    return load_settings()


def test_counts_of_texts_whose_first_token_is_not_scored(tmp_path: Path) -> None:
    """Three texts of three, one and no bytes: two tokens and two bytes are scored, and 'a' counts nowhere."""
    with inside(tmp_path):
        settings = without_opening(tmp_path)
        rows: list[dict[str, Any]] = [
            {"id": str(i), "source": "x", "references": ["abc"]} for i in range(3)
        ]
        texts = cell(["abc", "a", ""], references=[["abc"]] * 3)
        judge = Judge(settings, settings.tasks["translation"])
        given = {"one": texts, "human": cell(["abc"] * 3, references=[["abc"]] * 3)}
        store = Store(tmp_path / "rows.sqlite")
        found = add_judge(judge, rows, given, store, lambda done, total: None)[0]["one"]
        assert judge.opening.name == NONE
        (a, b, c), model = judge.tokenizer("abc")["input_ids"], judge.model
    alone = score_unit(model, [Scored((a,), (b, c))], lambda n: None, batch_size=2)[0]
    (expected,) = alone.values()
    assert found.judge_tokens.tolist() == [2, 0, 0]
    assert found.judge_unread.tolist() == [1, 1, 0]
    assert found.judge_nll.tolist() == pytest.approx([-expected.sum(dtype=float), 0, 0])
    per_byte = METRICS["nats_per_byte"]
    assert per_byte.stats(found)[:, 1].tolist() == [2, 0, 0]
    assert per_byte.aggregate(per_byte.stats(found).sum(0)) == pytest.approx(-expected.sum(dtype=float) / 2)
    assert all(math.isnan(per_byte.aggregate(row)) for row in per_byte.stats(found)[1:])


def test_a_token_that_is_not_scored_has_no_log_probability() -> None:
    """'éab': the judge scores all bytes but the first of é, and the generator's token for é is not known."""
    tokenizer = tokenizer_of(KINDS["only markers"][0])
    ids = tokenizer("éab")["input_ids"]
    scored = cell(["éab"], token_ids=[ids], judge_logprobs=[np.array([-1.0, -2.0, -4.0])])
    found = Judged(tokenizer, tokenizer, TASK_KINDS["textgen"], [()])(scored, 0)
    assert np.isnan(found[:2]).all() and found[2:].tolist() == [-2.0, -4.0]


@pytest.mark.real
def test_the_real_judge_s_opening() -> None:
    """Not the chat marker, which is `bos` there."""
    settings = load_settings()
    assert Judge(settings, settings.tasks["translation"]).opening.name == "<|endoftext|>"


@pytest.mark.long
@pytest.mark.real
def test_people_s_translations_under_the_real_judge() -> None:
    """Perplexity 256.6 after the end of a text; after the chat marker, which is `bos` there, it is 441.3."""
    settings = load_settings()
    judge = Judge(settings, settings.tasks["translation"])
    rows = read_jsonl("data/prepared/translation.jsonl")
    assert len(rows) == 16
    model = load_model(judge.folder)

    def perplexity(pairs: list[Scored]) -> float:
        found = score_unit(model, pairs, lambda n: None, batch_size=64)[0].values()
        return math.exp(-sum(v.sum(dtype=float) for v in found) / sum(map(len, found)))

    pairs = judge.pairs(rows, [row["references"][0] for row in rows])
    assert perplexity(pairs) == pytest.approx(256.55, abs=0.01)
    marked = (judge.tokenizer.bos_token_id,)
    assert perplexity([Scored(marked, pair.text) for pair in pairs]) == pytest.approx(441.27, abs=0.1)
