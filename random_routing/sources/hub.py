"""Models and data sets of the Hugging Face hub, at a fixed revision."""

from __future__ import annotations

import operator
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from random_routing.errors import PipelineError, short
from random_routing.files import sha256_file
from random_routing.settings import Asset
from random_routing.sources.as_json_lines import wanted_columns, write_records

# Never pickles or code. Weights are safetensors, or the one GGUF file that `member` names.
WANTED = ["*.json", "*.jinja", "tokenizer*", "*.model", "vocab*", "merges.txt", "*.spm"]
WEIGHTS = ["*.safetensors"]
RUNS_CODE = ["*.bin", "*.pt", "*.pth", "*.pkl", "*.py"]


def fetch_hub(asset: Asset, target: Path) -> None:
    """`hf:repo@revision` into `target`. Raises `PipelineError`."""
    repository, _, revision = asset.sources[0].removeprefix("hf:").rpartition("@")
    _silence()
    with _clear_errors(asset.name, repository, revision):
        if asset.kind == "data":
            _fetch_data(asset, repository, revision, target)
        else:
            _fetch_model(asset, repository, revision, target)


def _fetch_model(asset: Asset, repository: str, revision: str, target: Path) -> None:
    """Through the hub's own cache, which resumes what broke off and needs no network for what it has."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import filter_repo_objects

    wanted, unwanted = patterns(asset)
    folder = Path(
        snapshot_download(repository, revision=revision, allow_patterns=wanted, ignore_patterns=unwanted)
    )
    cached = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    for name in filter_repo_objects(cached, allow_patterns=wanted, ignore_patterns=unwanted):
        check_blob(asset.name, folder / name)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / name)


def patterns(asset: Asset) -> tuple[list[str], list[str]]:
    """Of the files of a model that are fetched, and of those among them that are not."""
    # An embedder's modules lie in 1_Pooling and the like
    others = "[!0-9]*/*" if asset.kind == "embedder" else "*/*"
    subfolders = [] if any("/" in member for member in asset.members) else [others]
    return [*WANTED, *(asset.members or WEIGHTS)], [*RUNS_CODE, ".git*", *subfolders]


def check_blob(name: str, path: Path) -> None:
    """A file of the cache is a link to its content, whose name is its hash. Raises `PipelineError`."""
    blob = path.resolve()
    if len(blob.name) != 64:  # a small file, named by git's SHA-1
        return
    digest = sha256_file(blob)
    if digest != blob.name:
        blob.unlink()  # else the next run would find it again
        raise PipelineError(
            f"assets.{name}: hash mismatch of {path.name}: the hub names sha256 {blob.name}, the downloaded file "
            f"has {digest}; it is deleted, run again"
        )


def _fetch_data(asset: Asset, repository: str, revision: str, target: Path) -> None:
    from datasets import load_dataset, load_dataset_builder
    from datasets.packaged_modules.csv.csv import CsvConfig

    wanted = wanted_columns(asset)
    builder = load_dataset_builder(repository, asset.config or None, revision=revision)
    # Its CSV reader guesses: "None" would be null, "007" a number.
    literal = (
        {
            "usecols": partial(operator.contains, wanted),
            "converters": dict.fromkeys(sorted(wanted), str),
            "na_filter": False,
        }
        if isinstance(builder.config, CsvConfig)
        else {}
    )
    rows = load_dataset(repository, asset.config or None, revision=revision, split=asset.split, **literal)
    heads = wanted | {name.partition(".")[0] for name in wanted}
    chosen = rows.select_columns([name for name in rows.column_names if name in heads])
    known, where = dict.fromkeys(rows.column_names), f"{asset.sources[0]} {asset.split}"
    write_records(asset, ((f"{where}, row {i}", known | row) for i, row in enumerate(chosen, 1)), target)


def _silence() -> None:
    """What goes wrong is our one line. A person at a terminal sees how far a model's download is."""
    import datasets
    import huggingface_hub

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    huggingface_hub.logging.set_verbosity(huggingface_hub.logging.CRITICAL)
    if not sys.stderr.isatty():
        huggingface_hub.utils.disable_progress_bars()


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
            f"{where} could not be downloaded (no network, or the hub is down): {short(error)}"
        ) from None
    except (DatasetsError, ValueError, FileNotFoundError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # a disk that is full, a folder of somebody else
            raise
        # No such name, configuration, split or file; a loading script; a file of another length than announced.
        hint = "; accept its terms on the hub and set HF_TOKEN" if "gated" in str(error) else ""
        raise PipelineError(f"{where}: {short(error.__cause__ or error)}{hint}") from None
