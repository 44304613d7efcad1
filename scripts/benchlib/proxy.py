"""A proxy in front of a storage emulator: enforces what the emulator forgets, and fails on demand.

It stands for the server as tests see it. For Google Cloud Storage it enforces ``ifGenerationMatch``, which
gcp-storage-emulator ignores; for S3 it compares the checksums that come with a body, which moto does not.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

FAULTS = ("reset before", "reset after", "503", "429", "truncated", "damaged", "stall")
"""What can happen to a request: its connection is reset before or after the server has seen it, an answer
that asks to wait (any status will do), a body that ends half way or has a wrong byte, no answer in time."""

Plan = Callable[[str, str, int], str | None]
"""(method, path with query, bytes of the body) -> a fault, or None; called once a request, one at a time."""


class Proxy:
    """``http://127.0.0.1:{port}`` in front of ``upstream``; use as a context."""

    def __init__(self, upstream: int, rules: type[Rules], stall_s: float = 0.6) -> None:
        self.upstream, self.stall_s = upstream, stall_s
        self.rules = rules(upstream)
        self.plan: Plan = lambda method, path, size: None
        self.requests = 0
        self._planning = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next_fault(self, method: str, path: str, size: int) -> str | None:
        """What happens to this request."""
        with self._planning:
            self.requests += 1
            return self.plan(method, path, size)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed break their connections."""


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: object) -> None:
            """Nothing is logged."""

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return lambda: _serve(self, proxy)
            raise AttributeError(name)

    return Handler


def _serve(handler: BaseHTTPRequestHandler, proxy: Proxy) -> None:
    if handler.headers.get("Expect", "").lower() == "100-continue":
        handler.send_response_only(100)
        handler.end_headers()
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    fault = proxy.next_fault(handler.command, handler.path, len(body))
    if fault is not None and fault.isdigit():
        _answer(handler, int(fault), [], b"")
        return
    if fault == "stall":
        time.sleep(proxy.stall_s)
    if fault in ("stall", "reset before"):
        _reset(handler)
        return
    if fault == "damaged":
        body = _damaged(body)
    cut = len(body) // 2 if fault == "truncated" and body else None
    status, headers, content = proxy.rules.forward(
        handler.command, handler.path, dict(handler.headers), body, cut
    )
    if fault == "damaged" and not body:
        content = _damaged(content)
    if cut is not None or fault == "reset after":
        _reset(handler)
    elif fault == "truncated" and len(content) > 1:
        _answer(handler, status, headers, content, cut=len(content) // 2)
        time.sleep(0.05)  # it is waiting for the rest when the connection breaks
        _reset(handler)
    else:
        mine = [(k, v.replace(f":{proxy.upstream}/", f":{proxy.port}/")) for k, v in headers]
        _answer(handler, status, mine, content)


def _damaged(content: bytes) -> bytes:
    at = max(len(content) - 60, 0)  # of multipart/related: before the last boundary
    return content[:at] + bytes(byte ^ 1 for byte in content[at : at + 1]) + content[at + 1 :]


def _answer(
    handler: BaseHTTPRequestHandler,
    status: int,
    headers: list[tuple[str, str]],
    content: bytes,
    cut: int | None = None,
) -> None:
    handler.send_response_only(status)
    known = {name.lower() for name, _ in headers}
    for name, value in headers:
        if name.lower() not in ("transfer-encoding", "connection"):
            handler.send_header(name, value)
    if "content-length" not in known and status != 204:
        handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content[:cut])


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """Close with RST, as a crashed peer or a broken middlebox does."""
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


Answer = tuple[int, list[tuple[str, str]], bytes]


class Rules:
    """Forwards requests; subclasses refuse what the real server would."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.writing = threading.Lock()

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes, cut: int | None
    ) -> Answer:
        """The upstream's answer to a request of whose body ``cut`` bytes arrive (None: all)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders()
            connection.send(body[:cut])
            if cut is not None and connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_WR)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException):
            if cut is None:
                raise
            return 502, [], b""  # nobody waits for it
        finally:
            connection.close()


class GcsRules(Rules):
    """``ifGenerationMatch`` of uploads, sessions, downloads and deletions, one writer at a time.

    A session that has no byte yet says so by no Range at all, where the emulator says ``bytes=0-0``.
    """

    def __init__(self, upstream: int) -> None:
        super().__init__(upstream)
        self._sessions: dict[str, tuple[str, str, str]] = {}

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes, cut: int | None
    ) -> Answer:
        """See Rules."""
        url = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        names = unquote(url.path).split("/b/", 1)[-1].split("/o", 1)
        bucket, name = names[0], names[-1].lstrip("/")
        wanted = query.get("ifGenerationMatch")
        session = self._sessions.get(query.get("upload_id", ""))
        if session is not None:
            bucket, name, wanted = session
        elif method == "POST" and wanted is not None:
            name = query.get("name") or _name_in(body)
        with self.writing:
            if wanted is not None and not headers.get("Content-Range", "").startswith("bytes */"):
                found = self._generation(bucket, name)
                if found != wanted:
                    error = {"code": 412, "message": "At least one of the pre-conditions did not hold."}
                    return 412, [("Content-Type", "application/json")], json.dumps({"error": error}).encode()
            answer = super().forward(method, path, headers, body, cut)
        if answer[0] == 308:
            kept = [(name, value) for name, value in answer[1] if value != "bytes=0-0"]
            answer = (308, kept, answer[2])
        location = {key.lower(): value for key, value in answer[1]}.get("location")
        if location and wanted is not None:
            upload_id = parse_qs(urlsplit(location).query)["upload_id"][0]
            self._sessions[upload_id] = (bucket, name, wanted)
        return answer

    def _generation(self, bucket: str, name: str) -> str:
        path = f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        status, _, content = super().forward("GET", path, {"Host": f"127.0.0.1:{self.upstream}"}, b"", None)
        return "0" if status == 404 else str(json.loads(content)["generation"])


def _name_in(body: bytes) -> str:
    """Of an upload's JSON, alone or the first part of multipart/related."""
    start = body.index(b"{")
    document, _ = (
        json.JSONDecoder().raw_decode(body[start : body.index(b"\r\n--", start)].decode())
        if (b"\r\n--" in body)
        else (json.loads(body), 0)
    )
    return str(document["name"])


class S3Rules(Rules):
    """Checksums that come with a body, and one conditional write at a time."""

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes, cut: int | None
    ) -> Answer:
        """See Rules."""
        given = {name.lower(): value for name, value in headers.items()}
        if method == "PUT" and any(given.get(k, v) != v for k, v in _checksums(body[:cut]).items()):
            error = "<Error><Code>BadDigest</Code><Message>The checksum does not match.</Message></Error>"
            return 400, [("Content-Type", "application/xml")], error.encode()
        if "if-match" in given or "if-none-match" in given:
            with self.writing:
                return super().forward(method, path, headers, body, cut)
        return super().forward(method, path, headers, body, cut)


def _checksums(body: bytes) -> dict[str, str]:
    return {
        "content-md5": base64.b64encode(hashlib.md5(body).digest()).decode(),
        "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
        "x-amz-checksum-crc32": base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
    }
