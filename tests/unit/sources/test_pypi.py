"""Members of handmade wheels: pip sees a folder instead of the network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from random_routing.errors import PipelineError
from random_routing.sources.pypi import download_wheel, extract, fetch_pypi, join
from tests.helpers.wheels import asset, sha, source_distribution, tar_of, wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip sees."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "index"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_members_of_a_wheel_are_extracted(index: Path, target: Path) -> None:
    _, digest = wheel(index, "toy", {"toy/a.txt": b"A", "toy/b.bin": b"B", "toy/__init__.py": b"1/0"})
    fetch_pypi(asset("toy/*.txt", sha256=(digest,)), target)
    assert {p.name: p.read_bytes() for p in target.rglob("*") if p.is_file()} == {"a.txt": b"A"}


def test_hash_mismatch_gives_both_hashes(index: Path, tmp_path: Path) -> None:
    _, digest = wheel(index, "toy", {"toy/a.txt": b"A"})
    expected = "0" * 64
    with pytest.raises(PipelineError, match=rf"hash mismatch of toy==1\.0.*{expected}.*{digest}"):
        download_wheel("toy", "toy==1.0", expected, tmp_path)


def test_missing_wheel_is_no_hash_mismatch(index: Path, tmp_path: Path) -> None:
    index.mkdir()
    with pytest.raises(
        PipelineError, match=r"^assets\.toy: wheel toy==1\.0 could not be downloaded"
    ) as error:
        download_wheel("toy", "toy==1.0", "0" * 64, tmp_path)
    assert "mismatch" not in str(error.value) and "\n" not in str(error.value)


def test_half_a_wheel_is_a_hash_mismatch(index: Path, tmp_path: Path) -> None:
    path, digest = wheel(index, "toy", {"toy/a.txt": os.urandom(5000)})
    path.write_bytes(path.read_bytes()[:2500])
    with pytest.raises(PipelineError, match=f"hash mismatch.*{digest}"):
        download_wheel("toy", "toy==1.0", digest, tmp_path)


def test_a_damaged_zip_is_named(tmp_path: Path, target: Path) -> None:
    path, _ = wheel(tmp_path, "toy", {"toy/a.txt": os.urandom(5000)})
    data = bytearray(path.read_bytes())
    data[2000:2010] = b"0123456789"  # inside the member: its checksum must tell
    path.write_bytes(data)
    with pytest.raises(PipelineError, match=r"assets\.toy: toy-1\.0-py3-none-any\.whl is damaged"):
        extract(asset("toy/*"), path, target)
    path.write_bytes(data[:2500])
    with pytest.raises(PipelineError, match="is damaged"):
        extract(asset("toy/*"), path, target)


@pytest.mark.parametrize("name", ["toy/../../evil", "toy//tmp/evil", "toy/x/../../../evil"])
def test_no_path_leaves_the_folder(tmp_path: Path, target: Path, name: str) -> None:
    path, _ = wheel(tmp_path, "toy", {name: b"evil"})
    with pytest.raises(PipelineError, match="unsafe path"):
        extract(asset("toy/"), path, target)
    assert not list(target.rglob("evil")) and not (tmp_path / "evil").exists()


def test_missing_member_is_named(tmp_path: Path, target: Path) -> None:
    path, _ = wheel(tmp_path, "toy", {"toy/a.txt": b"A"})
    with pytest.raises(PipelineError, match=r"assets\.toy\.member = 'toy/\*\.gguf'.*no such file"):
        extract(asset("toy/*.gguf"), path, target)


def test_parts_are_joined_in_the_order_of_their_names(target: Path) -> None:
    for name, data in {"m.gguf.part01": b"two", "m.gguf.part00": b"one"}.items():
        (target / name).write_bytes(data)
    parts = [target / "m.gguf.part01", target / "m.gguf.part00"]
    join(asset(joined_sha256=sha(b"onetwo")), parts)
    assert [(p.name, p.read_bytes()) for p in target.iterdir()] == [("m.gguf", b"onetwo")]


def test_joined_hash_is_checked(target: Path) -> None:
    (target / "m.part00").write_bytes(b"one")
    with pytest.raises(PipelineError, match=rf"joined file.*{'0' * 64}.*{sha(b'one')}"):
        join(asset(joined_sha256="0" * 64), [target / "m.part00"])


def test_members_of_a_source_distribution_and_of_an_archive_in_it(index: Path, target: Path) -> None:
    """The pinned hash says which file of a release is wanted."""
    wheel(index, "toy", {"toy/a.txt": b"of the wheel"})
    inner = tar_of({"data/a.txt": b"A", "data/b.bin": b"B"})
    _, digest = source_distribution(index, "toy", {"more/data.tar.gz": inner, "c.txt": b"C"})
    fetch_pypi(asset("*/a.txt", "toy-1.0/c.txt", sha256=(digest,)), target)
    found = {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert found == {"toy-1.0/more/data.tar.gz/data/a.txt": b"A", "toy-1.0/c.txt": b"C"}


def test_nothing_of_another_source_distribution_runs(index: Path, tmp_path: Path) -> None:
    """pip checks the hash before it asks a setup.py for the name."""
    mark = tmp_path / "mark"
    source_distribution(index, "toy", {}, setup=f"open({str(mark)!r}, 'w')")
    with pytest.raises(PipelineError, match="hash mismatch"):
        download_wheel("toy", "toy==1.0", "0" * 64, tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["toy/../../evil", "toy//tmp/evil"])
def test_no_path_of_a_source_distribution_leaves_the_folder(
    tmp_path: Path, target: Path, name: str
) -> None:
    path = tmp_path / "toy-1.0.tar.gz"
    path.write_bytes(tar_of({name: b"evil"}))
    with pytest.raises(PipelineError, match="unsafe path"):
        extract(asset("toy/"), path, target)
    assert not list(target.rglob("evil")) and not (tmp_path / "evil").exists()


def test_links_are_no_files(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "toy-1.0.tar.gz"
    path.write_bytes(tar_of({"toy/a.txt": b"A"}, links={"toy/b.txt": "/etc/passwd"}))
    assert extract(asset("toy/*"), path, target) == ["toy/a.txt"]
    with pytest.raises(PipelineError, match="no such file"):
        extract(asset("toy/b.txt"), path, target)


def test_a_damaged_source_distribution_is_named(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "toy-1.0.tar.gz"
    data = tar_of({"toy/a.txt": os.urandom(50_000)})
    for broken in (data[: len(data) // 2], b"no archive", data[:20_000] + bytes(100) + data[20_100:]):
        path.write_bytes(broken)
        with pytest.raises(PipelineError, match=r"assets\.toy: toy-1\.0\.tar\.gz is damaged"):
            extract(asset("toy/*"), path, target)
