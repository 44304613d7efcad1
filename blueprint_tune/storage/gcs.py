"""A store in a bucket of Google Cloud Storage. Importing this needs the extra ``gcs``."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import google_crc32c
import requests as http
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption

from blueprint_tune.storage.base import Content, Requests
from blueprint_tune.storage.bucket import (
    ABSENT,
    BROKEN,
    BucketStore,
    Damaged,
    Entry,
    bytes_of,
    part_of,
    size_of,
)
from blueprint_tune.storage.retry import Fault

_PASSING = (408, 429, 500, 502, 503, 504)
_DAMAGED = re.compile(r"(?i)(crc32c|md5).*(match|validation)")
"""Of the words with which what arrived is refused; the status is 400, or 412 from Google's testbench."""
_NOBODY = re.compile(r"(?i)refused|resolve|unreachable|ConnectTimeout")
_ASKED = re.compile(r"^[A-Z]+ https?://\S+ ")
"""How google-api-core begins: the request, whose URL may be a session's key."""
_RANGE = re.compile(r"bytes=0-(\d+)")


_Answer = int | dict[str, Any]
"""Of an upload session: how many bytes have arrived, or the object that they became."""


class _Changed(Exception):
    """The object was replaced between two requests that belong together."""


class _SessionLost(Exception):
    """An upload session cannot go on; a new one may."""


class GcsStore(BucketStore):
    """Conditions are generations; CRC-32C is checked by the server on arrival, and here when read."""

    permissions: ClassVar[Mapping[str, str]] = {
        "read": "storage.objects.get",
        "list": "storage.objects.list",
        "write": "storage.objects.create (with storage.objects.delete where an object is replaced)",
        "delete": "storage.objects.delete",
    }
    credentials_advice = (
        "Run 'gcloud auth application-default login', or let GOOGLE_APPLICATION_CREDENTIALS name a"
        " service account's key file."
    )

    def __init__(self, bucket: str, requests: Requests) -> None:
        super().__init__(f"gs://{bucket}", requests)
        self._name = bucket

    @cached_property
    def _bucket(self) -> Any:
        """Credentials are looked for here: STORAGE_EMULATOR_HOST and plain HTTP are asked without any."""
        endpoint = self.requests.endpoint
        options = {"api_endpoint": endpoint} if endpoint else None
        anonymous = AnonymousCredentials() if (endpoint or "").startswith("http://") else None
        project = "none" if anonymous else None
        client = storage.Client(project=project, credentials=anonymous, client_options=options)
        return client.bucket(self._name)

    @property
    def _once(self) -> dict[str, Any]:
        """A single try: whether to try again is decided in one place."""
        return {"retry": None, "timeout": self.requests.timeout_s}

    def head(self, key: str) -> Entry:
        """The object's metadata."""
        return _entry(self._blob(key))

    def get(self, key: str, at_most: int | None) -> tuple[bytes, Entry]:
        """Metadata, then the content of that very generation."""
        blob = self._blob(key)
        entry, checksum = _entry(blob), blob.crc32c  # a download writes what its headers say into the blob
        self._check_size(key, entry.size, at_most)
        try:
            # raw: as it is stored, of the size and checksum that it is known by; gzip would be unpacked else
            content = blob.download_as_bytes(
                raw_download=True, if_generation_match=blob.generation, checksum="crc32c", **self._once
            )
        except (api.PreconditionFailed, api.NotFound):
            raise _Changed("it was replaced while it was read") from None
        if _crc32c(content) != checksum:
            raise Damaged("its content does not have the checksum (CRC-32C) the bucket has for it")
        return content, entry

    def put(self, key: str, content: Content, metadata: Mapping[str, str], version: str | None) -> None:
        """One request, or an upload session that goes on from where it was interrupted."""
        blob = self._bucket.blob(key)
        blob.metadata = dict(metadata)
        condition = None if version is None else 0 if version == ABSENT else int(version)
        if isinstance(content, Path) and size_of(content) > min(self.requests.part_mib, 8) * 2**20:
            self._put_parts(blob, content, condition)
        else:
            whole = bytes_of(content)
            blob.upload_from_string(
                whole, _TYPE, if_generation_match=condition, checksum="crc32c", **self._once
            )
            _compare(blob.crc32c, _crc32c(whole), blob.metadata, metadata)

    def names(self, prefix: str, limit: int | None = None) -> list[str]:
        """From pages of a listing."""
        return [
            b.name for b in self._bucket.list_blobs(prefix=prefix or None, max_results=limit, **self._once)
        ]

    def prefixes(self, prefix: str) -> list[str]:
        """From pages of a listing with a delimiter."""
        listing = self._bucket.list_blobs(prefix=prefix or None, delimiter="/", **self._once)
        return sorted({name for page in listing.pages for name in page.prefixes})

    def remove(self, key: str) -> None:
        """Whatever generation is there."""
        self._bucket.blob(key).delete(**self._once)

    def _blob(self, key: str) -> Any:
        blob = self._bucket.blob(key)
        blob.reload(**self._once)
        return blob

    def _put_parts(self, blob: Any, file: Path, condition: int | None) -> None:
        """Begin a session, then send part after part; after a failure the session says how far it is."""
        size, checksum = size_of(file), _crc32c(file)
        blob.crc32c = checksum  # the server refuses what arrives otherwise
        url = blob.create_resumable_upload_session(_TYPE, size, if_generation_match=condition, **self._once)
        answer: _Answer = 0
        try:
            while isinstance(answer, int):
                answer = self._put_part(url, file, answer, size)
        except _SessionLost as error:
            raise Damaged(str(error)) from error
        _compare(answer.get("crc32c"), checksum, answer.get("metadata"), blob.metadata)

    def _put_part(self, url: str, file: Path, start: int, size: int) -> _Answer:
        """Send one part of the file."""
        if start >= size:
            raise _SessionLost("the upload session has every byte, and makes no object of them")
        again = False

        def attempt() -> _Answer:
            nonlocal again
            if again and (arrived := self._send(url, b"", f"bytes */{size}")) != start:
                return arrived
            again = True
            part = part_of(file, start, min(self.requests.part_mib * 2**20, size - start))
            return self._send(url, part, f"bytes {start}-{start + len(part) - 1}/{size}")

        return self._persist(f"'{file.name}'", attempt)

    def _send(self, url: str, part: bytes, content_range: str) -> _Answer:
        """The session's URL is its own permission: no credentials are sent along."""
        answer = http.put(
            url,
            data=part,
            headers={"Content-Range": content_range},
            timeout=self.requests.timeout_s,
            allow_redirects=False,
        )
        if answer.status_code == 308:
            arrived = _RANGE.fullmatch(answer.headers.get("Range", ""))
            return int(arrived[1]) + 1 if arrived else 0
        damaged = answer.status_code == 412 and _DAMAGED.search(answer.text)
        if answer.status_code in (400, 404, 410) or damaged:
            raise _SessionLost(f"the upload session ended with {answer.status_code}")
        if answer.status_code not in (200, 201):
            raise api.from_http_response(answer)
        resource: dict[str, Any] = answer.json()
        return resource

    def fault_of(self, error: Exception) -> Fault | None:
        """From exceptions of requests, google-auth and google-api-core, and of urllib3 below them."""
        if isinstance(error, (http.ConnectionError, http.Timeout, auth.TransportError)):
            return self._fault_on_the_way(error)
        if isinstance(error, (http.RequestException, DataCorruption, _Changed)):
            return Fault("passing", BROKEN if isinstance(error, http.RequestException) else _line(error))
        if isinstance(error, urllib3.exceptions.HTTPError):  # a raw download is not read by requests
            return Fault("passing", BROKEN)
        if isinstance(error, auth.GoogleAuthError):
            return Fault("unknown", _line(error))
        if isinstance(error, api.GoogleAPICallError):
            return _fault_of_status(error.code, error.message or str(error))
        return None

    def _fault_on_the_way(self, error: Exception) -> Fault:
        if _NOBODY.search(str(error)):
            asked = getattr(error, "request", None)
            server = urlsplit(asked.url).netloc if asked is not None and asked.url else "the server"
            return Fault("unreachable", f"{server} does not answer")
        waited = isinstance(error, http.Timeout)
        return Fault("passing", f"no answer within {self.requests.timeout_s:g} s" if waited else BROKEN)


_TYPE = "application/octet-stream"


def _fault_of_status(status: int | None, text: str) -> Fault:
    text = _ASKED.sub("", text.partition("\n")[0])[:300]
    if status in _PASSING or (status in (400, 412) and _DAMAGED.search(text)):
        return Fault("passing", f"the server answered {status}")
    if status == 404:
        return Fault("no bucket" if "bucket does not exist" in text else "absent", text)
    if status == 412:
        return Fault("conflict", text)
    if status == 401:
        return Fault("unknown", "the credentials are not accepted.")
    return Fault("denied" if status == 403 else "other", text)


def _entry(blob: Any) -> Entry:
    return Entry(str(blob.generation), int(blob.size or 0), dict(blob.metadata or {}))


def _crc32c(content: Content) -> str:
    """As the API writes it: big-endian, base64."""
    checksum = google_crc32c.Checksum()
    if isinstance(content, bytes):
        checksum.update(content)
    else:
        with content.open("rb") as source:
            while block := source.read(2**20):
                checksum.update(block)
    return base64.b64encode(checksum.digest()).decode()


def _compare(
    theirs: str | None, ours: str, held: Mapping[str, str] | None, sent: Mapping[str, str] | None
) -> None:
    """No checksum of Google's covers the metadata, which holds ours."""
    kept = held or {}  # a server may have added something of its own
    if theirs != ours or any(kept.get(name) != value for name, value in (sent or {}).items()):
        raise Damaged("what the bucket holds is not what was sent")


def _line(error: Exception) -> str:
    """Its first line, short."""
    return str(error).partition("\n")[0][:200]
