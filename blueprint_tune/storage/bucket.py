"""What stores in buckets have in common: checksums, conditional writes, retries, sentences.

A client (``gcs.py``, ``s3.py``) makes single requests; everything that must hold together is here, once.

A write whose answer was lost may have happened. Each conditional write therefore leaves a mark of its
own in the object's metadata; when the repeated request is refused because the object has changed, the
mark says whether it was this very write that changed it. Updates hand on the marks of those before them,
so that the mark is found although another has written since.
"""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from blueprint_tune.errors import ClaimTaken, ObjectNotFound, StorageError
from blueprint_tune.storage.base import Content, Requests, Store, is_plain
from blueprint_tune.storage.retry import Fault, Refused, persist

Result = TypeVar("Result")
BROKEN = "the connection broke"
ABSENT = ""
"""The version of an object that is not there."""
_MARKS = 32
"""So many writers an object remembers."""


@dataclass(frozen=True)
class Entry:
    """What a bucket says of an object, without its content."""

    version: str
    size: int
    metadata: Mapping[str, str]

    @property
    def marks(self) -> list[str]:
        """Of its last conditional writes, the newest last."""
        return [mark for mark in self.metadata.get("writers", "").split(",") if mark]


class Damaged(Exception):
    """Content does not have the checksum it was stored with."""


class BucketStore(Store):
    """Objects in a bucket; ``prefix`` is the path's affair."""

    permissions: ClassVar[Mapping[str, str]]
    """What the bucket's owner has to grant for ``read``, ``list``, ``write`` and ``delete``."""
    credentials_advice: ClassVar[str]
    """What to do when there are no credentials, or not the right ones."""

    def __init__(self, uri: str, requests: Requests) -> None:
        self.uri = uri
        self.requests = requests
        self._found_bucket = False

    @abstractmethod
    def fault_of(self, error: Exception) -> Fault | None:
        """What a client's exception means; None when it is not about a request."""

    @abstractmethod
    def head(self, key: str) -> Entry:
        """One request for what is there, without the content."""

    @abstractmethod
    def get(self, key: str, at_most: int | None) -> tuple[bytes, Entry]:
        """One consistent look at content and entry, checksums verified; the entry's size is judged first."""

    @abstractmethod
    def put(self, key: str, content: Content, metadata: Mapping[str, str], version: str | None) -> None:
        """Store content whole, where ``version`` is there (ABSENT: nothing; None: whatever is there)."""

    @abstractmethod
    def names(self, prefix: str, limit: int | None = None) -> list[str]:
        """Names that begin with ``prefix``."""

    @abstractmethod
    def prefixes(self, prefix: str) -> list[str]:
        """The beginnings up to and with the next ``/`` that names below ``prefix`` share, each once."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove the object; absent is a fault."""

    def check(self) -> None:
        """Ask whether the bucket is there and may be listed."""
        self._ask("list", "its root", lambda: self.names("", limit=1))

    def read(self, key: str, at_most: int | None = None) -> bytes:
        """The object's content, its checksum verified."""
        return self._ask("read", f"'{key}'", lambda: self._verified(key, at_most))[0]

    def exists(self, key: str) -> bool:
        """Whether there is an object under this key."""
        return self._entry(key) is not None

    def keys(self, prefix: str) -> list[str]:
        """Keys below ``prefix`` without what no path could name, such as the folders that consoles make."""
        below = f"{prefix}/" if prefix else ""
        found = self._ask("list", f"'{prefix}'", lambda: self.names(below))
        return sorted(name for name in found if is_plain(name))

    def folders(self, prefix: str) -> list[str]:
        """Folders are what names have in common up to a ``/``."""
        below = f"{prefix}/" if prefix else ""
        found = self._ask("list", f"'{prefix}'", lambda: self.prefixes(below))
        names = (name.removeprefix(below).rstrip("/") for name in found)
        return sorted(name for name in names if is_plain(name))

    def put_all(self, objects: Sequence[tuple[str, Content]], withdraw: Sequence[str] = ()) -> None:
        """Upload one object after the other; one that is there with the same content is not sent again.

        All local files are read before anything is changed, so that one that is missing changes nothing.
        """
        digests = [_sha256(key, content) for key, content in objects]
        for key in withdraw:
            try:
                self.delete(key)
            except ObjectNotFound:
                continue
        for (key, content), digest in zip(objects, digests, strict=True):
            there = self._entry(key)
            if there is None or there.metadata.get("sha256") != digest:
                self._write(key, content, {"sha256": digest}, None)

    def create(self, key: str, content: bytes) -> None:
        """Upload on the condition that there is nothing."""
        mark = uuid.uuid4().hex[:12]
        metadata = {"sha256": _sha256(key, content), "writers": mark}
        if not self._write(key, content, metadata, ABSENT):
            raise ClaimTaken(f"storage {self.uri}: '{key}' is there already.")

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Read, change, and upload on the condition that nobody has written since; else begin again."""
        mark, began = uuid.uuid4().hex[:12], time.monotonic()
        while True:
            before, version, marks = self._before(key)
            content = change(before)
            writers = ",".join([*marks, mark][-_MARKS:])
            metadata = {"sha256": _sha256(key, content), "writers": writers}
            if self._write(key, content, metadata, version):
                return
            if time.monotonic() - began > self.requests.retry_s:
                raise StorageError(
                    f"storage {self.uri}: '{key}' is being changed by others all the time. Try again later."
                )
            time.sleep(random.uniform(0.0, 0.1))

    def delete(self, key: str) -> None:
        """Remove the object; that it is gone when a lost answer is asked for again is no error."""
        asked = 0

        def remove() -> None:
            nonlocal asked
            asked += 1
            self.remove(key)

        try:
            self._ask("delete", f"'{key}'", remove)
        except ObjectNotFound:
            if asked == 1:
                raise

    def _before(self, key: str) -> tuple[bytes | None, str, list[str]]:
        try:
            content, entry = self._ask("read", f"'{key}'", lambda: self._verified(key))
        except ObjectNotFound:
            return None, ABSENT, []
        return content, entry.version, entry.marks

    def _verified(self, key: str, at_most: int | None = None) -> tuple[bytes, Entry]:
        content, entry = self.get(key, at_most)
        expected = entry.metadata.get("sha256")
        if expected is not None and _sha256(key, content) != expected:
            raise Damaged("its content does not have the checksum (SHA-256) it was stored with")
        return content, entry

    def _entry(self, key: str) -> Entry | None:
        try:
            return self._ask("read", f"'{key}'", lambda: self.head(key))
        except ObjectNotFound:
            return None

    def _is_ours(self, key: str, metadata: Mapping[str, str]) -> bool:
        """Whether the write with this metadata is among those that made what is there."""
        entry = self._entry(key)
        return entry is not None and metadata["writers"].split(",")[-1] in entry.marks

    def _write(self, key: str, content: Content, metadata: Mapping[str, str], version: str | None) -> bool:
        """Whether it was written, be it by a request whose answer was lost."""
        asked = 0

        def put() -> None:
            nonlocal asked
            asked += 1
            self.put(key, content, metadata, version)

        try:
            self._persist(f"'{key}'", put)
        except Refused as refused:
            kind = refused.fault.kind
            if version is not None and (kind == "conflict" or (kind == "absent" and version != ABSENT)):
                return asked > 1 and self._is_ours(key, metadata)
            raise self._error("write", f"'{key}'", refused.fault) from refused
        return True

    def _ask(self, verb: str, what: str, request: Callable[[], Result]) -> Result:
        try:
            result = self._persist(what, request)
        except Refused as refused:
            raise self._error(verb, what, refused.fault) from refused
        self._found_bucket = True
        return result

    def _persist(self, what: str, request: Callable[[], Result]) -> Result:
        return persist(request, self._fault_of, self.requests.retry_s, f"storage {self.uri}: {what}")

    def _fault_of(self, error: Exception) -> Fault | None:
        return Fault("passing", str(error)) if isinstance(error, Damaged) else self.fault_of(error)

    def _error(self, verb: str, what: str, fault: Fault) -> StorageError:
        """A sentence; that a bucket is missing is asked for, because not every answer says it."""
        start = f"storage {self.uri}: {what} cannot be {_DONE[verb]}: "
        if fault.kind == "absent" and not self._found_bucket and what != "its root":
            self.check()
        if fault.kind == "absent" and self._found_bucket:
            return ObjectNotFound(f"{start}there is no such object.")
        if fault.kind in ("absent", "no bucket"):
            return StorageError(f"{start}there is no such bucket. Create it, or correct storage.root.")
        if fault.kind == "denied":
            return StorageError(f"{start}the permission {self.permissions[verb]} is missing. {fault.text}")
        if fault.kind == "unknown":
            return StorageError(f"{start}{fault.text} {self.credentials_advice}")
        if fault.kind == "unreachable":
            return StorageError(f"{start}the server cannot be reached: {fault.text}. Is the endpoint right?")
        tried = f" for {self.requests.retry_s:g} s (storage.retry_s)" if fault.kind == "passing" else ""
        return StorageError(f"{start}{fault.text}{tried}.")


_DONE = {"read": "read", "list": "listed", "write": "written", "delete": "deleted"}


def _sha256(key: str, content: Content) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    try:
        with content.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        kind = ObjectNotFound if isinstance(error, FileNotFoundError) else StorageError
        raise kind(f"'{key}' cannot be stored: {content}: {error.strerror}.") from error


def size_of(content: Content) -> int:
    """Bytes."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def bytes_of(content: Content) -> bytes:
    """The content, read if it is a file."""
    return content if isinstance(content, bytes) else content.read_bytes()


def part_of(file: Path, start: int, length: int) -> bytes:
    """Bytes ``start`` to ``start + length`` of a file."""
    with file.open("rb") as source:
        source.seek(start)
        return source.read(length)
