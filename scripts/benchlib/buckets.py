"""Real servers on loopback that speak the clouds' protocols, for tests and measurements."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchlib.proxy import GcsRules, Proxy, S3Rules
from blueprint_tune.storage.base import Requests
from blueprint_tune.storage.path import StoragePath, open_path

KINDS = ("gcs", "s3")
BUCKET = "bkt"
_GCS = ("gcp_storage_emulator", "start", "--host=127.0.0.1", "--in-memory", "--quiet", "--port={port}")
_S3 = ("moto.server", "-H", "127.0.0.1", "-p", "{port}")
_STARTS_S = 60.0
SMALL_REQUESTS = {"timeout_s": 5.0, "retry_s": 60.0, "part_mib": 5}


@dataclass(frozen=True)
class Bucket:
    """An emulator with an empty bucket, and the proxy in front of it."""

    kind: str
    proxy: Proxy

    def requests(self, **changes: float) -> Requests:
        """How to ask it; the proxy is what a client sees."""
        return Requests(endpoint=self.proxy.url, **{**SMALL_REQUESTS, **changes})  # type: ignore[arg-type]

    def root(self, prefix: str, **changes: float) -> StoragePath:
        """A path in the bucket; the credentials of S3 are in the environment, see ``environment``."""
        scheme = {"gcs": "gs", "s3": "s3"}[self.kind]
        return open_path(f"{scheme}://{BUCKET}/{prefix}", self.requests(**changes))

    def environment(self) -> dict[str, str]:
        """What a process needs to find the server as it would find the cloud."""
        if self.kind == "gcs":
            return {"STORAGE_EMULATOR_HOST": self.proxy.url}
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.proxy.url}


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def bucket(kind: str) -> Iterator[Bucket]:
    """An emulator of its own, on a free port, with a proxy; both end with the context."""
    port = _free_port()
    words = [word.format(port=port) for word in (_GCS if kind == "gcs" else _S3)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        [sys.executable, "-m", *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        _make_bucket(kind, port)
        with Proxy(port, GcsRules if kind == "gcs" else S3Rules) as proxy:
            yield Bucket(kind, proxy)
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTS_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            _request(port, "GET", "/")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the storage emulator did not start (exit status {process.poll()})")


def _make_bucket(kind: str, port: int) -> None:
    if kind == "gcs":
        body = json.dumps({"name": BUCKET}).encode()
        _request(port, "POST", "/storage/v1/b?project=test", body, {"Content-Type": "application/json"})
    else:
        authorization = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"
        _request(port, "PUT", f"/{BUCKET}", b"", {"Authorization": authorization})


def _request(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300 and method != "GET":
            raise RuntimeError(f"{method} {path}: {answer.status}")
    finally:
        connection.close()
