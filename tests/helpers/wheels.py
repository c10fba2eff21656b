"""Handmade wheels."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from random_routing.files import sha256_file
from random_routing.settings import Asset

INFO = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> tuple[Path, str]:
    """A wheel of version 1.0 that pip accepts, and its hash."""
    path, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path, sha256_file(path)


def source_distribution(
    folder: Path, name: str, files: dict[str, bytes], setup: str = ""
) -> tuple[Path, str]:
    """One of version 1.0 that pip accepts, and its hash. setup: what its setup.py does besides."""
    path, top = folder / f"{name}-1.0.tar.gz", f"{name}-1.0"
    folder.mkdir(parents=True, exist_ok=True)
    script = f"from setuptools import setup\n{setup}\nsetup(name={name!r}, version='1.0')\n"
    own = {"setup.py": script.encode(), "PKG-INFO": INFO.format(name).encode()}
    path.write_bytes(tar_of({f"{top}/{member}": data for member, data in (files | own).items()}))
    return path, sha256_file(path)


def tar_of(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A compressed tar file. links: name → where it points to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def asset(*members: str, **others: Any) -> Asset:
    return Asset("toy", "data", ("pypi:toy==1.0",), members=members, **others)
