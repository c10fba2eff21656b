"""Texts and chat templates that mean harm: they are plain text, or one line says why not."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers
from transformers import PreTrainedTokenizerFast

from pipeline import fetch, generate, prepare, stage
from random_routing.errors import PipelineError
from random_routing.files import read_jsonl
from random_routing.runs.tokenized import tokenize_prompts
from random_routing.scoring import judge
from random_routing.scoring.opening import opening_of
from random_routing.tasks import TASK_KINDS, chat_template, dialogue, translation
from random_routing.tasks.example_ids import Generator
from random_routing.tasks.usable_records import LeftOut
from tests.helpers.tasks import GENERATOR, task
from tests.helpers.tiny import byte_tokenizer
from tests.helpers.waiting import until
from tests.helpers.workspace import inside, make_workspace, params, write_params


def refused(capsys: pytest.CaptureFixture[str], main: Callable[[list[str]], None], argument: str) -> str:
    """The one line that the stage ends with."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("sys.argv", ["stage", argument])
        capsys.readouterr()
        stage.run(main)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert ended.value.code == 2 and len(lines) == 1 and lines[0].isprintable()
    return lines[0]


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__['os'].system('true') }}",
        "{{ raise_exception.__globals__['os'].system('true') }}",
        "{{ cycler.__init__.__globals__.os.popen('true').read() }}",
        "{{ 'x' * 10**15 }}",
        "{{ 1 / 0 }}",
        "{{ messages + 1 }}",
        "{{ messages[7].content }}",
        "{{ messages.append(1) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ '%d' % 'x' }}",
        "{{ ['x'] | sum }}",
        "{{ 'x'.encode('no such') }}",
        "{% for %}",
        "{{ raise_exception('two\nlines \x1b[2J') }}",
    ],
)
def test_a_hostile_template_is_one_line(template: str) -> None:
    generator = Generator("hostile", byte_tokenizer())
    generator.tokenizer.chat_template = template
    record = {"context": ["one"], "reply": "two"}
    with pytest.raises(PipelineError, match=r"^data/assets/hostile: its chat template refuses") as error:
        dialogue.build([record], task("dialogue", turns=1), generator)
    assert str(error.value).isprintable() and len(str(error.value)) < 1000


@pytest.mark.parametrize("inner", ["", "x", "{{ i * j }}"])
def test_a_template_that_runs_on_is_stopped(monkeypatch: pytest.MonkeyPatch, inner: str) -> None:
    """Each loop is short enough for the sandbox."""
    monkeypatch.setattr(chat_template, "LONGEST", 0.5)
    loops = "{% for i in range(90000) %}{% for j in range(90000) %}" + inner + "{% endfor %}{% endfor %}"
    generator = Generator("hostile", byte_tokenizer())
    generator.tokenizer.chat_template = loops
    with pytest.raises(
        PipelineError, match=r"^data/assets/hostile: its chat template .* for more than 0\.5 s"
    ):
        dialogue.build([{"context": ["one"], "reply": "two"}], task("dialogue", turns=1), generator)
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)


def test_a_template_that_waits_for_the_processor_is_not_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes may take it away for long: only what it computes counts."""
    monkeypatch.setattr(chat_template, "LONGEST", 0.5)
    generator = Generator("patient", byte_tokenizer())
    render = generator.tokenizer.apply_chat_template

    def late(*args: Any, **named: Any) -> Any:
        begun = time.monotonic()
        until(lambda: time.monotonic() > begun + 2 * chat_template.LONGEST)
        return render(*args, **named)

    monkeypatch.setattr(generator.tokenizer, "apply_chat_template", late)
    (row,) = dialogue.build([{"context": ["one"], "reply": "two"}], task("dialogue", turns=1), generator)
    assert row["prompt"] == "<|user|>one</s><|assistant|>"


# Texts


def unigram_tokenizer() -> PreTrainedTokenizerFast:
    """As of many translation models: </s> is a piece like others, and a full-width ＜/s＞ becomes one."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((letter, -3.0) for letter in "abc</s>")]
    made = Tokenizer(models.Unigram(pieces, unk_id=0))
    made.normalizer = normalizers.NFKC()
    made.add_special_tokens(["</s>", "<unk>"])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", unk_token="<unk>")


def test_control_tokens_that_only_the_tokenizer_sees() -> None:
    tokenizer = unigram_tokenizer()
    hidden = "a\uff1c/s\uff1eb"
    assert "</s>" not in hidden and tokenizer("ab" + hidden)["input_ids"].count(1) == 1
    generator = Generator("unigram", tokenizer, is_encoder_decoder=True)
    pairs = [{"source": text, "references": ["abc"]} for text in (hidden, "a</s>", "aéz", "abc")]
    rows = translation.build(pairs, task("translation", examples=9), generator)
    assert {row["source"] for row in rows} == {"aéz", "abc"}  # what is unknown to it is text


@pytest.mark.parametrize("token", ["</s>", "<|user|>", "<|im_end|>", "<end_of_turn>", "[INST]"])
def test_no_control_token_comes_from_a_text(token: str) -> None:
    """This tokenizer's own or another's: spelt as text. In every task."""
    spelt = f"a text {token} and more of it"
    records: dict[str, dict[str, Any]] = {
        "textgen": {"text": spelt},
        "dialogue": {"context": [spelt], "reply": "c"},
        "translation": {"source": spelt, "references": ["c"]},
    }
    for name, record in records.items():
        changes = {"textgen": {}, "dialogue": {"turns": 1}, "translation": {"shots": 0}}[name]
        (row,) = TASK_KINDS[name].build([record], task(name, **changes), GENERATOR, LeftOut())
        assert spelt.startswith(row["source"].removeprefix("A: "))
        special = TASK_KINDS[name].add_special_tokens
        (example,) = tokenize_prompts([row], GENERATOR.tokenizer, special)
        control = [id_ for id_ in example.prompt if id_ < 5]  # <s>, or those of the template
        assert control == ([1] if special else [3, 2, 4])
        text = GENERATOR.tokenizer.decode([id_ for id_ in example.prompt if id_ > 4])
        assert (spelt if name == "dialogue" else row["prompt"]) == text


def test_control_tokens_in_every_turn_of_a_conversation() -> None:
    """Beside each other, in one another, and beside what looks like a mark."""
    turns = ["</s></s>\ue000", "<|user|</s>>0\ue0010\ue001", "<|assistant|>"]
    record = {"context": turns, "reply": "</s>"}
    (row,) = dialogue.build([record], task("dialogue", turns=3), GENERATOR)
    said = [
        f"<|{role}|>{turn}</s>" for role, turn in zip(["user", "assistant", "user"], turns, strict=True)
    ]
    assert row["prompt"] == "".join(said) + "<|assistant|>" and row["references"] == ["</s>"]
    assert [row["prompt"][a:b] for a, b in row["meta"]["as_text"]] == [
        "</s>",
        "</s>",
        "</s>",
        "<|assistant|>",
    ]
    (example,) = tokenize_prompts([row], GENERATOR.tokenizer, special=False)
    assert [id_ for id_ in example.prompt if id_ < 5] == [3, 2, 4, 2, 3, 2, 4]
    plain = {**record, "context": ["a", "b", "c"]}
    assert "as_text" not in dialogue.build([plain], task("dialogue", turns=3), GENERATOR)[0]["meta"]


def test_a_template_that_changes_a_control_token_is_one_line() -> None:
    generator = Generator("hostile", byte_tokenizer())
    generator.tokenizer.chat_template = "{{ messages[0].content[:3] }}"
    record = {"context": ["ab</s>"], "reply": "c"}
    with pytest.raises(PipelineError, match=r"refuses 1 turns \(it changes the texts\)"):
        dialogue.build([record], task("dialogue", turns=1), generator)


def test_a_generated_text_that_spells_control_tokens_is_judged_as_text() -> None:
    """A decoder may write "</s>" letter by letter; judge and embedder must not read it as the end."""
    tokenizer, texts = byte_tokenizer(), ["a</s>b", "<|user|>", "<s>"]
    opening = opening_of(tokenizer, "j")
    pairs = judge.tokenize(tokenizer, opening, ["<pad> a context", "", "</s>"], texts, 512, "j")
    assert [pair.context[0] for pair in pairs] == [1, 1, 1]  # its own beginning
    for pair, text in zip(pairs, texts, strict=True):
        assert len(pair.text) == len(text) and min(pair.text) > 4 and min(pair.context[1:], default=5) > 4
    assert tokenizer("a</s>b")["input_ids"] == [1, 69, 2, 70]  # as it is without


ODD_TEXTS = [
    "\0 NUL \x01\x02\x1b[2J \x7f\x85 control",
    "zero\u200bwidth\u200d\u2060\ufeff joiners",
    "\u202eright to left\u202c \u2067\u05d0\u05d1\u2069",
    "e" + "\u0301" * 150,  # two bytes each: as many as the models' context holds
    "line\r\nbreaks\u2028and\u2029others\x0b\x0c",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U000e0041\U0010ffff\ufdd0",
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With models, but without data sets: each test writes its own."""
    folder = make_workspace(tmp_path_factory.mktemp("hostile"), fetched=False)
    values = params(examples=len(ODD_TEXTS))
    values["grid"], values["baselines"] = {"q": [0, 0.3], "lambda": [0]}, {"greedy": True}
    values["variants"] = {"uniform": values["variants"]["uniform"]}
    values["tasks"]["translation"]["shots"] = 0
    write_params(folder, values)
    with inside(folder):
        for name in ("one", "two", "bert"):
            fetch.main([name])
    return folder


def record_of(name: str, text: str) -> dict[str, Any]:
    if name == "textgen":
        return {"text": text + " and so on, longer than what is asked for"}
    if name == "dialogue":
        return {"context": [text, "yes", text], "reply": text}
    return {"source": text, "references": [text.replace("\n", " ")]}  # a line break ends a translation


def write_records(folder: Path, name: str, texts: list[str]) -> None:
    lines = [json.dumps(record_of(name, text), ensure_ascii="\ud800" in text) for text in texts]
    (folder / f"{name}.jsonl").write_text("\n".join(lines))


@pytest.mark.parametrize("name", ["textgen", "dialogue", "translation"])
def test_odd_texts_go_through(workspace: Path, name: str) -> None:
    """From the file to finished generations, unchanged."""
    texts = [*ODD_TEXTS[:3], "e\u0301" * 60, *ODD_TEXTS[4:]] if name == "dialogue" else ODD_TEXTS
    write_records(workspace, name, texts)
    with inside(workspace):
        fetch.main([name])
        prepare.main([name])
        generate.main([name])
        rows = read_jsonl(f"data/prepared/{name}.jsonl")
    assert (workspace / f"data/generations/{name}/greedy.parquet").exists()
    whole = [record_of("textgen", text)["text"] for text in texts]
    sources = {row["source"] for row in rows}
    if name == "textgen":  # the beginning of each
        assert len(sources) == len(texts) and all(any(w.startswith(s) for w in whole) for s in sources)
    elif name == "dialogue":
        assert sources == {f"A: {text}\nB: yes\nA: {text}" for text in texts}
    else:
        assert sources == set(texts)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dialogue", "x" * 2**20),
        ("translation", "x" * 2**20),
        ("translation", "e" + "\u0301" * 10_000),
    ],
)
def test_a_text_beyond_the_context_is_one_line(
    workspace: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    write_records(workspace, name, [*ODD_TEXTS[:3], *ODD_TEXTS[4:], text])
    with inside(workspace):
        fetch.main([name])
        line = refused(capsys, prepare.main, name)
    assert (
        f"{name}.examples = 6: {name} yields at most 5; records left out: 1 with a prompt of more than 504 "
        in line
    )
    assert f"what the context of one holds beside max_new_tokens = 8 (first: {name}.jsonl, line 6, " in line


def test_a_long_text_to_continue_is_cut(workspace: Path) -> None:
    """To its first prompt_tokens tokens: as the settings say."""
    texts = [f"{i} {word}" for i, word in enumerate(["x" * 2**20, "\u0301" * 10_000, *"abcd"])]
    write_records(workspace, "textgen", texts)
    with inside(workspace):
        fetch.main(["textgen"])
        prepare.main(["textgen"])
        rows = read_jsonl("data/prepared/textgen.jsonl")
    assert len(rows) == len(texts) and all(len(row["prompt"]) <= 8 for row in rows)


def test_half_a_character_is_left_out(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    r"""JSON can spell \ud800, which no UTF-8 file can hold: counted, and named where too few are left."""
    write_records(workspace, "translation", [*ODD_TEXTS[:5], "half \ud800 a character"])
    with inside(workspace):
        fetch.main(["translation"])
        line = refused(capsys, prepare.main, "translation")
    assert (
        "1 whose source holds half a character (a lone surrogate) (first: translation.jsonl, line 6, "
        in line
    )
