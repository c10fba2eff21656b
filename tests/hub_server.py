"""A small HTTP server that stands in for the hub: the few addresses that its client asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Repositories = dict[str, dict[str, bytes]]  # models/owner/name or datasets/owner/name → files


@contextmanager
def hub(repositories: Repositories, gated: set[str]) -> Iterator[str]:
    """Serve `repositories` at revision `main` (or its commit); yields the server's address."""

    class Handler(_Handler):
        pass

    Handler.repositories, Handler.gated = repositories, gated
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    repositories: Repositories
    gated: set[str]

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
        elif revision not in ("main", COMMIT):
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif rest and rest[0] == "tree":
            self._json(
                [{"type": "file", "path": p, "size": len(d), "oid": _oid(d)} for p, d in files.items()]
            )
        else:
            siblings = [{"rfilename": path} for path in files]
            self._json(
                {"id": name.partition("/")[2], "sha": COMMIT, "siblings": siblings, "private": False}
            )

    def do_POST(self) -> None:  # paths-info: those of the asked paths that exist
        parts = urlsplit(self.path).path.strip("/").split("/")
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["paths"]
        files = self.repositories["/".join(parts[1:4])]
        self._json(
            [{"type": "file", "path": p, "size": len(files[p]), "oid": "0"} for p in asked if p in files]
        )

    def _file(self, name: str, revision: str, path: str) -> None:
        files = self.repositories.get(name, {})
        if name in self.gated:
            self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif path not in files:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            self._answer(200, files[path], {"ETag": f'"{_oid(files[path])}"', "X-Repo-Commit": COMMIT})

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _oid(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
