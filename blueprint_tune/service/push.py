"""A push says that an object arrived; it is only a reason to look at storage, never believed further.

Understood: Pub/Sub push bodies around a Cloud Storage notification, Cloud Storage events of EventArc
(CloudEvents, structured or with their attributes in headers), and a bare object resource.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from blueprint_tune.errors import BlueprintTuneError, ConfigError, StorageError
from blueprint_tune.service.marker import scene_of

BODY_BYTES = 1 << 20
SCENES = 10_000
"""So many scenes may wait to be looked at."""
_READ_S = 30.0
"""How long a client may take to send what it announced."""
_FINALIZED = ("OBJECT_FINALIZE", "google.cloud.storage.object.v1.finalized")


def scene_of_push(body: bytes, root_uri: str, event_type: str | None = None) -> str | None:
    """The scene whose marker a push announces; None for any other object or event.

    ``event_type`` is the header ``ce-type`` where there is one. Raises StorageError for what is no such push,
    and for path tricks in the object's name.
    """
    tree = _mapping(_json(body), "the body")
    kind = event_type
    if "message" in tree:
        message = _mapping(tree["message"], "message")
        attributes = _mapping(message.get("attributes") or {}, "message.attributes")
        kind = attributes.get("eventType", kind)
        bucket, name = attributes.get("bucketId"), attributes.get("objectId")
        if name is None:
            data = _mapping(_json(_decoded(message.get("data"))), "message.data")
            bucket, name = data.get("bucket"), data.get("name")
    else:
        kind = tree.get("type", kind) if "specversion" in tree else kind
        data = _mapping(tree["data"], "data") if "specversion" in tree and "data" in tree else tree
        bucket, name = data.get("bucket"), data.get("name")
    if not isinstance(bucket, str) or not isinstance(name, str):
        raise StorageError("This push names no bucket and object; expected a Cloud Storage notification.")
    key = _below(root_uri, bucket, name)
    return None if key is None or (kind is not None and kind not in _FINALIZED) else scene_of(key)


class Announced:
    """Scenes that were announced and not looked at yet, each once and not without end."""

    def __init__(self) -> None:
        self._scenes, self._lock = set[str](), Lock()

    def add(self, scene_id: str) -> bool:
        """Remember a scene; False when there are too many."""
        with self._lock:
            if len(self._scenes) >= SCENES and scene_id not in self._scenes:
                return False
            self._scenes.add(scene_id)
            return True

    def take(self) -> list[str]:
        """All of them, sorted; they are forgotten."""
        with self._lock:
            scenes, self._scenes = self._scenes, set()
        return sorted(scenes)


@contextmanager
def push_server(address: str, root_uri: str, told: Callable[[str], bool]) -> Iterator[int]:
    """Serve pushes on ``[HOST:]PORT`` (127.0.0.1 unless given). Yields the port.

    ``told`` gets each scene, and says False when it can take no more: then whoever pushed is to come again.

    Raises ConfigError when the address is none, or is taken.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"--push-port {address}: give a port, or HOST:PORT, for example 0.0.0.0:8080.")

    class Handler(_Handler):
        def announced(self, body: bytes) -> bool:
            scene = scene_of_push(body, root_uri, self.headers.get("ce-type"))
            return scene is None or told(scene)

    try:
        server = ThreadingHTTPServer((host or "127.0.0.1", int(port)), Handler)
    except OSError as error:
        raise ConfigError(f"--push-port {address}: {error.strerror or error}. Choose another.") from error
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="push", daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """POST anywhere: 204 when it was understood, 400 with the reason, 503 for too many. GET /health: 200."""

    timeout = _READ_S

    def announced(self, body: bytes) -> bool:
        """Take in a push; False when there are too many. Raises BlueprintTuneError for one that is none."""
        return True

    def do_POST(self) -> None:
        """A push."""
        length = self.headers.get("Content-Length") or ""
        if not length.isdecimal() or int(length) > BODY_BYTES:
            return self._answer(400, f"Content-Length must be a number up to {BODY_BYTES}.")
        try:
            taken = self.announced(self.rfile.read(int(length)))
        except BlueprintTuneError as error:
            return self._answer(400, str(error))
        if not taken:
            return self._answer(503, "Too many scenes wait to be looked at. Push again later.")
        return self._answer(204, "")

    def do_GET(self) -> None:
        """Whether the watcher lives."""
        if self.path == "/health":
            return self._answer(200, '{"status": "healthy"}')
        return self._answer(404, "POST a push here; GET /health says whether the watcher lives.")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what a push leads to is told by the watcher."""

    def _answer(self, code: int, text: str) -> None:
        content = f"{text}\n".encode() if text else b""
        self.send_response(code)
        if code != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _below(root_uri: str, bucket: str, name: str) -> str | None:
    """The object's key below the root; None for one elsewhere. A local root takes any bucket."""
    if "://" not in root_uri:
        return name
    scheme, _, rest = root_uri.partition("://")
    root, uri = f"{scheme}://{rest.strip('/')}/", f"{scheme}://{bucket}/{name}"
    return uri.removeprefix(root) if uri.startswith(root) else None


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"This push is not JSON: {str(error)[:200]}") from error


def _decoded(data: Any) -> bytes:
    try:
        return base64.b64decode(data or "", validate=True)
    except (ValueError, TypeError) as error:
        raise StorageError("This push's message.data is not base64.") from error


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StorageError(f"This push's {what} is not an object; expected a Cloud Storage notification.")
    return value
