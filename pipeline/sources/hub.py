"""Models and data sets of the Hugging Face hub, at a fixed revision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.checks import PipelineError
from pipeline.settings import Asset
from pipeline.sources.records import write_records

# Never pickles or code. Weights are safetensors, or the one GGUF file that `member` names.
WANTED = ["*.json", "*.jinja", "tokenizer*", "*.model", "vocab*", "merges.txt", "*.spm"]
WEIGHTS = ["*.safetensors"]
RUNS_CODE = ["*.bin", "*.pt", "*.pth", "*.pkl", "*.py"]


def fetch_hub(asset: Asset, target: Path) -> None:
    """`hf:repo@revision` into `target`. Raises `PipelineError`."""
    repository, _, revision = asset.sources[0].removeprefix("hf:").rpartition("@")
    with _clear_errors(asset.name, repository, revision):
        if asset.kind == "data":
            _fetch_data(asset, repository, revision, target)
        else:
            _fetch_model(asset, repository, revision, target)


def _fetch_model(asset: Asset, repository: str, revision: str, target: Path) -> None:
    from huggingface_hub import snapshot_download

    subfolders = [] if any("/" in member for member in asset.members) else ["*/*"]
    snapshot_download(
        repository,
        revision=revision,
        local_dir=target,
        allow_patterns=[*WANTED, *(asset.members or WEIGHTS)],
        ignore_patterns=[*RUNS_CODE, ".git*", *subfolders],
    )


def _fetch_data(asset: Asset, repository: str, revision: str, target: Path) -> None:
    from datasets import load_dataset

    write_records(asset, load_dataset(repository, revision=revision, split=asset.split), target)


@contextmanager
def _clear_errors(name: str, repository: str, revision: str) -> Iterator[None]:
    """The hub's exceptions as one `PipelineError` line each."""
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
        XetDownloadError,
    )

    where = f"assets.{name}: hub repository {repository}"
    try:
        yield
    except GatedRepoError:
        raise PipelineError(
            f"{where} is gated: accept its terms on the hub and set the variable HF_TOKEN"
        ) from None
    except RevisionNotFoundError:
        raise PipelineError(f"{where} has no revision {revision}") from None
    except RepositoryNotFoundError:
        raise PipelineError(f"{where} does not exist, or is private (then set HF_TOKEN)") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, HTTPError, ConnectionError, XetDownloadError) as error:
        raise PipelineError(
            f"{where} could not be downloaded (no network, or the hub is down): {_short(error)}"
        ) from None
    except (DatasetsError, ValueError, FileNotFoundError) as error:  # no such name, split or file
        hint = "; accept its terms on the hub and set HF_TOKEN" if "gated" in str(error) else ""
        raise PipelineError(f"{where}: {_short(error)}{hint}") from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
