"""Wheels and source distributions as what they are, archives: their files by name. Nothing of them is imported."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

# What a damaged archive raises, of either kind.
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError,
)  # fmt: skip
INNER = (".tar.gz", ".tgz")


class Archive(Protocol):
    """Its files by name, folders left out."""

    def names(self) -> list[str]: ...

    def open(self, name: str) -> IO[bytes]: ...


class Wheel:
    """A zip file."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)

    def names(self) -> list[str]:
        return [name for name in self._archive.namelist() if not name.endswith("/")]

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(name)


class SourceDistribution:
    """A compressed tar file; one that lies in it is a folder: outer.tar.gz/inner.txt.

    Links and devices are no files here, so that nothing outside the archive can be reached by them.
    """

    def __init__(self, path: Path) -> None:
        with gzip.open(path) as whole:  # to its end, where its checksum is
            while whole.read(1 << 20):
                pass
        self._archive = tarfile.open(path, "r:gz")  # noqa: SIM115 (read as long as this object is)
        self._files = dict(_files(self._archive, ""))

    def names(self) -> list[str]:
        return list(self._files)

    def open(self, name: str) -> IO[bytes]:
        archive, member = self._files[name]
        file = archive.extractfile(member)
        assert file is not None  # a regular file has content
        return file


def _files(
    archive: tarfile.TarFile, before: str
) -> Iterator[tuple[str, tuple[tarfile.TarFile, tarfile.TarInfo]]]:
    for member in archive:
        if not member.isreg():
            continue
        yield before + member.name, (archive, member)
        if not before and member.name.endswith(INNER):  # no deeper: an archive may hold itself
            inner = tarfile.open(fileobj=archive.extractfile(member), mode="r:gz")  # noqa: SIM115
            yield from _files(inner, f"{member.name}/")


def opened(path: Path) -> Archive:
    """Raises one of `DAMAGED`."""
    return Wheel(path) if path.suffix == ".whl" else SourceDistribution(path)
