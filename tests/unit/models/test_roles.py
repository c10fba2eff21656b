"""Each role of a task gets the model that it needs, seen before any work: one line that names the key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from pipeline import evaluate, fetch, generate, prepare, tune
from random_routing.errors import PipelineError
from random_routing.models.roles import check_roles
from random_routing.settings import load_settings
from tests.helpers.errors import one_line
from tests.helpers.tiny import OTHERS, saved, tiny_model_folder
from tests.helpers.workspace import inside, params, write_params


@pytest.fixture(scope="module")
def project(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetched; each test makes one of its models another."""
    folder = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("project") / "work"))
    tiny_model_folder(folder / "models/mamba", "mamba")
    saved(OTHERS["BertForMaskedLM"](), folder / "models/masked")
    values = params()
    for name in ("mamba", "masked", "one"):
        kind = {"kind": "model", "source": f"file:models/{name}"}
        values["assets"][f"again-{name}"] = kind
    write_params(folder, values)
    with inside(folder):
        for name in ("mamba", "masked", "one"):
            fetch.main([f"again-{name}"])
    return folder


@pytest.mark.parametrize(
    ("role", "asset", "line"),
    [
        ("judge", "again-mamba", r"judge = again-mamba: data/assets/again-mamba/config\.json: model_type"),
        ("judge", "again-masked", r"tasks\.textgen\.judge = again-masked: .*BertForMaskedLM"),
        ("model", "again-mamba", r"tasks\.textgen\.model = again-mamba: .*state-space"),
        ("model", "again-masked", r"tasks\.textgen\.model = again-masked: .*BertForMaskedLM"),
        ("judge", "again-one", r"tasks\.textgen\.judge = again-one: has the same weights as the generator one"),
    ],
)  # fmt: skip
def test_prepare_refuses_every_role(project: Path, role: str, asset: str, line: str) -> None:
    values = params()
    values["assets"] |= {
        f"again-{name}": {"kind": "model", "source": f"file:models/{name}"}
        for name in ("mamba", "masked", "one")
    }
    values["tasks"]["textgen"][role] = asset
    write_params(project, values)
    with inside(project), pytest.raises(PipelineError, match=line) as error:
        prepare.main(["textgen"])
    one_line(error.value)


@pytest.mark.parametrize("stage", [evaluate, tune])
def test_evaluate_and_tune_refuse_the_generator_as_its_judge(project: Path, stage: ModuleType) -> None:
    values = params()
    values["assets"]["again-one"] = {"kind": "model", "source": "file:models/one"}
    values["tasks"]["textgen"]["judge"] = "again-one"
    write_params(project, values)
    with inside(project), pytest.raises(PipelineError, match="has the same weights as the generator one"):
        stage.main(["textgen"])


def test_generate_refuses_a_generator_by_itself(project: Path) -> None:
    values = params()
    values["assets"]["again-mamba"] = {"kind": "model", "source": "file:models/mamba"}
    values["tasks"]["textgen"]["model"] = "again-mamba"
    write_params(project, values)
    with inside(project), pytest.raises(PipelineError, match="state-space"):
        generate.main(["textgen"])


def test_a_missing_judge_is_named_before_any_work(project: Path) -> None:
    values = params()
    values["assets"]["third"] = {"kind": "model", "source": "file:models/two"}
    values["tasks"]["textgen"]["judge"] = "third"
    write_params(project, values)
    with (
        inside(project),
        pytest.raises(PipelineError, match="data/assets/third: missing; run dvc repro fetch@third"),
    ):
        prepare.main(["textgen"])


def test_an_embedder_is_checked_too(project: Path) -> None:
    values = params()
    write_params(project, values)
    with inside(project):
        settings = load_settings()
        check_roles(settings, settings.tasks["textgen"])
        path = Path("data/assets/bert/modules.json")
        path.write_text(json.dumps([{"type": "sentence_transformers.models.CNN", "path": ""}]))
        with pytest.raises(
            PipelineError, match=r"embedder = bert: data/assets/bert/modules\.json: type = CNN"
        ):
            check_roles(settings, settings.tasks["textgen"])
        path.unlink()
