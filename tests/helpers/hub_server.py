"""A small HTTP server that stands in for the hub: the few addresses that its client asks for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.helpers.loopback import served

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# For its clients: they are other processes, and all of them may be slow.
PATIENT = {"HF_HUB_DOWNLOAD_TIMEOUT": "300", "HF_HUB_ETAG_TIMEOUT": "300"}
Repositories = dict[str, dict[str, bytes]]  # models/owner/name or datasets/owner/name → files


@dataclass
class Faults:
    """What goes wrong, by a file's path; `asked` collects (path, Range) of every request for content."""

    cut: dict[str, int] = field(default_factory=dict)  # the connection breaks after these bytes, once
    sent: dict[str, bytes] = field(default_factory=dict)  # other content than the hashes are of
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def hub(repositories: Repositories, gated: set[str], faults: Faults | None = None) -> Iterator[str]:
    """Serve `repositories` at revision `main`, a pull request's, or the commit; yields the server's address."""

    class Handler(_Handler):
        pass

    Handler.repositories, Handler.gated, Handler.faults = repositories, gated, faults or Faults()
    with served(Handler) as address:
        yield address


class _Handler(BaseHTTPRequestHandler):
    repositories: Repositories
    gated: set[str]
    faults: Faults

    def do_GET(self) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[0] == "api":
            self._api("/".join(parts[1:4]), parts[4:])
        else:
            parts = parts if parts[0] == "datasets" else ["models", *parts]
            self._file("/".join(parts[:3]), parts[4], "/".join(parts[5:]))

    do_HEAD = do_GET

    def _api(self, name: str, rest: list[str]) -> None:
        files = self.repositories.get(name)
        revision = rest[1] if len(rest) > 1 else "main"
        if files is None:
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", "refs/pr/45", COMMIT):
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif rest and rest[0] == "tree":
            self._json([_entry(path, data) for path, data in files.items()])
        else:
            siblings = [{"rfilename": path} for path in files]
            self._json(
                {"id": name.partition("/")[2], "sha": COMMIT, "siblings": siblings, "private": False}
            )

    def do_POST(self) -> None:  # paths-info: those of the asked paths that exist
        parts = urlsplit(self.path).path.strip("/").split("/")
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["paths"]
        files = self.repositories["/".join(parts[1:4])]
        self._json([_entry(path, files[path]) for path in asked if path in files])

    def _file(self, name: str, revision: str, path: str) -> None:
        files = self.repositories.get(name, {})
        if name in self.gated:
            self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif path not in files:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            self._content(path, files[path])

    def _content(self, path: str, data: bytes) -> None:
        headers = {
            "ETag": f'"{_etag(path, data)}"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
        }
        data = self.faults.sent.get(path, data)
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if self.command == "GET":
            self.faults.asked.append((path, self.headers.get("Range", "")))
            if path in self.faults.cut:
                self._answer(200, data, headers, self.faults.cut.pop(path))
                self.close_connection = True
                return
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self._answer(206 if first else 200, data[first:], headers)

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str], sent: int | None = None) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _entry(path: str, data: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": len(data), "oid": _etag("", data)}
    if _is_large(path):
        entry["lfs"] = {"oid": _etag(path, data), "size": len(data), "pointerSize": 100}
    return entry


def _is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".parquet", ".gguf"))


def _etag(path: str, data: bytes) -> str:
    """As the hub has it: the SHA-256 of a large file, git's hash of another."""
    return (
        hashlib.sha256(data).hexdigest()
        if _is_large(path)
        else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    )
