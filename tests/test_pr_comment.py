"""scripts/pr-comment against a server that answers as GitHub's interface for comments does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "pr-comment"
HTML = "https://github.example/comment"


class Comments(ThreadingHTTPServer):
    """The comments of pull request 7 of o/r; ``forbidden``: the token may only read."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.comments: list[dict[str, Any]] = [{"id": k, "body": f"comment {k}"} for k in range(1, 151)]
        self.forbidden = False


class Handler(BaseHTTPRequestHandler):
    server: Comments

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        assert path == "/repos/o/r/issues/7/comments"
        page = int(dict(part.split("=") for part in query.split("&"))["page"])
        self._answer(200, self.server.comments[100 * (page - 1) : 100 * page])

    def do_POST(self) -> None:
        assert self.path == "/repos/o/r/issues/7/comments"
        self._write({"id": 1000 + len(self.server.comments)})

    def do_PATCH(self) -> None:
        number = int(self.path.removeprefix("/repos/o/r/issues/comments/"))
        self._write(next(comment for comment in self.server.comments if comment["id"] == number))

    def _write(self, comment: dict[str, Any]) -> None:
        assert self.headers["Authorization"] == "Bearer secret"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.forbidden:
            return self._answer(403, {"message": "Resource not accessible by integration"})
        comment |= {**body, "html_url": HTML}
        if comment not in self.server.comments:
            self.server.comments.append(comment)
        self._answer(200, comment)

    def _answer(self, status: int, content: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def github() -> Iterator[Comments]:
    server = Comments()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def comment(server: Comments, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    file = folder / "text.md"
    file.write_text(text)
    address = f"http://127.0.0.1:{server.server_port}"
    environment = {**os.environ, "GITHUB_API_URL": address, "GITHUB_TOKEN": "secret"}
    command = [sys.executable, str(SCRIPT), "o/r", "7", str(file)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_there_is_one_comment_and_it_is_kept_up_to_date(github: Comments, tmp_path: Path) -> None:
    assert comment(github, tmp_path, "<!-- mine -->\nfirst\n").stdout == f"Made {HTML}\n"
    assert comment(github, tmp_path, "<!-- mine -->\nsecond\n").stdout == f"Updated {HTML}\n"
    assert [c["body"] for c in github.comments[150:]] == ["<!-- mine -->\nsecond\n"]
    assert comment(github, tmp_path, "<!-- other -->\n").stdout == f"Made {HTML}\n"
    assert len(github.comments) == 152


def test_a_token_that_may_not_write_fails_nothing(github: Comments, tmp_path: Path) -> None:
    github.forbidden = True
    done = comment(github, tmp_path, "<!-- mine -->\n")
    assert done.returncode == 0 and "may not comment" in done.stdout


def test_a_text_without_a_marker_is_refused(github: Comments, tmp_path: Path) -> None:
    done = comment(github, tmp_path, "# A title\n")
    assert done.returncode == 1 and "the first line must be an HTML comment" in done.stderr
