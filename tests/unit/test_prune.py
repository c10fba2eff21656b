"""What left params.yaml leaves data/ and reports/, and nothing else does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline import check, evaluate, generate
from random_routing.files import sealed, write_json
from tests.helpers.workspace import inside, params, write_params

KEPT = [
    "data/notes.txt",
    "data/metrics/textgen.json.bak",
    "data/prepared/textgen-own.jsonl",
    "data/generations/textgen/own.csv",
    "data/assets/own/model.safetensors",  # without asset.json: not fetched
    "data/assets/copied/asset.json",  # whose name is another's
    "data/assets/textgen/own.txt",
    "data/tune/textgen-own.json",
    "models/one/config.json",
]


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for top in ("data", "reports", "models") for path in (folder / top).rglob("*") if path.is_file()
    }  # fmt: skip


def test_a_removed_task_and_its_assets(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with inside(work):
        check.main([])
        evaluate.main(["textgen"])
        write_json("data/tune/textgen.json", {})
        for name in KEPT[:-1]:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text("{}")
        write_json("data/assets/copied/asset.json", sealed({"name": "other", "files": {"a": ""}}))
        before = files(work)
        check.main([])
        assert files(work) == before, "all of params.yaml is there"
        capsys.readouterr()
        values = params()
        del values["tasks"]["textgen"], values["assets"]["textgen"]
        values["comparison"]["quality"].pop("textgen")
        write_params(work, values)
        check.main([])
        said = capsys.readouterr().out
    assert "check: removed what is no longer in params.yaml: task textgen, asset textgen\n" in said
    after = files(work)
    gone = before - after
    assert set(KEPT) <= after and all("textgen" in name for name in gone)
    assert {name for name in after if "textgen" in name} == {name for name in KEPT if "textgen" in name}
    assert {"data/generations/textgen/greedy.parquet", "data/assets/textgen/asset.json"} <= gone
    assert {"data/prepared/dialogue.jsonl", "data/generations/dialogue/greedy.parquet"} <= after


def test_it_comes_back_without_computing(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = params()
    del values["tasks"]["textgen"]
    with inside(work):
        shutil.copy("data/prepared/textgen.jsonl", "kept")
        write_params(work, values)
        check.main([])
        assert not Path("data/generations/textgen").exists()
        write_params(work, params())
        shutil.copy("kept", "data/prepared/textgen.jsonl")
        capsys.readouterr()
        generate.main(["textgen"])
    assert "all of them were there already" in capsys.readouterr().out


def test_a_task_of_a_name_of_its_own_is_known_by_the_lock(work: Path) -> None:
    ours = ["data/prepared/tales.jsonl", "data/generations/tales/greedy.parquet", "data/tune/tales.json"]
    others = ["data/prepared/notes.jsonl", "data/metrics/notes.json"]
    ran = ("check", "generate@tales", "fetch@notes", "tune@../notes")
    lock = {"stages": {stage: {"cmd": ""} for stage in ran}}
    with inside(work):
        for name in (*ours, *others):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text("{}")
        for text in (None, "[", "- a list", "stages:\n", "stages: 5\n"):
            Path("dvc.lock").unlink(missing_ok=True)
            if text:
                Path("dvc.lock").write_text(text)
            check.main([])
            assert all(Path(name).exists() for name in (*ours, *others)), "no lock says whose they are"
        Path("dvc.lock").write_text(json.dumps(lock))
        check.main([])
        assert not any(Path(name).exists() for name in ours)
        assert all(Path(name).exists() for name in others)


def test_a_list_that_leads_elsewhere_removes_nothing_there(work: Path) -> None:
    record = {"name": "odd", "files": {"../../../params.yaml": "", "/etc/hostname": "", "inside": ""}}
    folder = work / "data/assets/odd"
    folder.mkdir()
    (folder / "inside").touch()
    (folder / "asset.json").write_text(json.dumps(sealed(record)))
    with inside(work):
        check.main([])
    assert (work / "params.yaml").exists() and Path("/etc/hostname").exists() and not folder.exists()


def test_too_few_examples_are_said_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = params()
    values["comparison"]["quality"]["textgen"] = ["human_distance"]
    values["comparison"]["diversity"] = "sample_distinct_2"
    write_params(tmp_path, values)
    with inside(tmp_path):
        check.main([])
    said = capsys.readouterr().out
    why = "sample_distinct_2 needs 2 texts an example; there is 1; human_distance needs 8 examples; there are 4"
    assert f"textgen: there will be no comparison: {why}" in said
    assert (
        "dialogue: there will be no comparison: sample_distinct_2 needs 2 texts an example; there is 1\n"
        in said
    )
    values["comparison"]["diversity"] = "ead_2"
    write_params(tmp_path, values)
    with inside(tmp_path):
        check.main([])
    assert "dialogue: there will" not in capsys.readouterr().out
