"""Stage fetch: one pinned asset → `data/assets/<name>/`, with the hashes of its files in `asset.json`."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from pipeline import stage
from pipeline.asset_folder import asset_folder
from random_routing.errors import PipelineError
from random_routing.files import read_json
from random_routing.settings import Asset, load_settings
from random_routing.settings.checks import choice
from random_routing.sources import SOURCES
from random_routing.sources.gguf import convert_gguf

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "source.spm",
)  # fmt: skip


def main(argv: list[str]) -> None:
    assets = load_settings().assets
    asset = assets[choice("fetch", stage.argument(argv, "an asset"), assets)]
    with asset_folder("fetch", asset.name, asset.kind, asset.sources) as folder:
        SOURCES[asset.sources[0].partition(":")[0]](asset, folder)
        if asset.kind in ("model", "embedder"):
            finish_model(asset, folder)


def finish_model(asset: Asset, folder: Path) -> None:
    """Convert a GGUF file; make sure that the folder is a whole model. Raises `PipelineError`."""
    convert_weights(asset, folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    missing = []
    if not (folder / "config.json").is_file():
        missing.append("config.json")
    if not asset.served:
        if not any(folder.glob("*.safetensors")):
            missing.append("weights (*.safetensors or *.gguf)")
        missing += missing_shards(folder)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        missing.append(f"a tokenizer ({' or '.join(TOKENIZER_FILES)})")
    if missing:
        places = asset.tokenizer or ", ".join(asset.sources)
        raise PipelineError(f"assets.{asset.name}: {places} lacks {', '.join(missing)}")
    for weights in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(weights, framework="np"):
                pass
        except SafetensorError as error:  # a pickle under that name, or half a file
            raise PipelineError(
                f"assets.{asset.name}: {weights.name} is no safetensors file ({error})"
            ) from None


def missing_shards(folder: Path) -> list[str]:
    """What the model's index names that is no safetensors file here, such as after half a download."""
    index = folder / "model.safetensors.index.json"
    shards = read_json(index).get("weight_map", {}).values() if index.is_file() else ()
    present = {path.name for path in folder.glob("*.safetensors")}
    return sorted({str(shard) for shard in shards} - present)


def convert_weights(asset: Asset, folder: Path) -> None:
    """Safetensors stay as they are; without them, the one GGUF file is converted."""
    ggufs = sorted(folder.rglob("*.gguf"))
    if any(folder.glob("*.safetensors")):
        for gguf in ggufs:
            gguf.unlink()
    elif len(ggufs) > 1:
        names = ", ".join(gguf.name for gguf in ggufs)
        raise PipelineError(f"assets.{asset.name}: several GGUF files ({names}); choose one with `member`")
    elif ggufs:
        convert_gguf(ggufs[0], folder)


if __name__ == "__main__":
    stage.run(main)
