"""One path type for every store."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blueprint_tune.errors import ObjectNotFound, StorageError
from blueprint_tune.storage.base import Content, Requests, Store, is_plain
from blueprint_tune.storage.local import LocalStore

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_SCHEMES = ("gs", "s3")
_PLACES = "a folder, gs://bucket/prefix or s3://bucket/prefix"


class StorageSettings(Protocol):
    """What is needed of the config's ``storage`` group."""

    @property
    def root(self) -> str:
        """A folder (``~`` is the home folder), ``gs://bucket/prefix`` or ``s3://bucket/prefix``."""

    @property
    def endpoint(self) -> str | None:
        """See ``Requests``, and so the three below."""

    @property
    def timeout_s(self) -> float | None:
        """None = as ``Requests`` has it."""

    @property
    def retry_s(self) -> float | None:
        """None = as ``Requests`` has it."""

    @property
    def part_mib(self) -> int | None:
        """None = as ``Requests`` has it."""


def open_root(cfg: StorageSettings) -> StoragePath:
    """The root of the configured storage; nothing is created or asked for yet.

    Raises StorageError as ``open_path`` does.
    """
    if not cfg.root.strip() or "\0" in cfg.root:
        raise StorageError(f"storage.root is {cfg.root!r}. Give {_PLACES} where results are published.")
    names = ("endpoint", "timeout_s", "retry_s", "part_mib")
    given = {name: getattr(cfg, name) for name in names}
    return open_path(cfg.root, Requests(**{name: v for name, v in given.items() if v is not None}))


def open_path(uri: str, requests: Requests | None = None) -> StoragePath:
    """A folder, ``gs://bucket/prefix`` or ``s3://bucket/prefix``; nothing is created or asked for yet.

    Raises StorageError for anything else, and where the bucket's client is not installed.
    """
    if not uri.strip() or "\0" in uri:
        raise StorageError(f"{uri!r} is no place to store in. Give {_PLACES}.")
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return StoragePath(LocalStore(Path(uri)), "")
    if scheme not in _SCHEMES:
        raise StorageError(f"'{scheme}://' is not known to storage. Give {_PLACES}.")
    bucket, _, prefix = rest.rstrip("/").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise StorageError(
            f"'{scheme}://' is not followed by the name of a bucket. Give {scheme}://bucket/prefix."
        )
    root = StoragePath(_open_bucket(scheme, bucket, requests or Requests()), "")
    return root / prefix if prefix else root


def _open_bucket(scheme: str, bucket: str, requests: Requests) -> Store:
    """The clients are extras, and heavy: they are imported by who opens a bucket."""
    try:
        if scheme == "gs":
            from blueprint_tune.storage.gcs import GcsStore

            return GcsStore(bucket, requests)
        from blueprint_tune.storage.s3 import S3Store

        return S3Store(bucket, requests)
    except ImportError as error:
        extra = {"gs": "gcs", "s3": "s3"}[scheme]
        raise StorageError(
            f"{scheme}:// needs a client that is not installed ({error.name}). "
            f"pip install 'blueprint-tune[{extra}]'"
        ) from error


def check_id(kind: str, value: str) -> str:
    """``value`` when it can safely be the name of a folder in storage.

    Raises StorageError for anything else: separators, ``..``, leading dots, NUL, spaces, too long.
    """
    if not _ID.fullmatch(value):
        raise StorageError(
            f"{kind} {value!r} cannot name a folder in storage. Use letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit, at most 128 characters."
        )
    return value


@dataclass(frozen=True)
class StoragePath:
    """An object or folder in a store; ``path / "a/b"`` goes down, never up.

    Methods raise StorageError, or ObjectNotFound where something to be read is not there.
    """

    store: Store
    key: str

    def __truediv__(self, part: str) -> StoragePath:
        """A path below this one. Raises StorageError for ``..``, absolute and empty parts."""
        if not is_plain(part):
            raise StorageError(f"{part!r} is not a path below {self}. Parts must be plain names.")
        return StoragePath(self.store, f"{self.key}/{part}" if self.key else part)

    def __str__(self) -> str:
        return f"{self.store.uri}/{self.key}" if self.key else self.store.uri

    def check(self) -> None:
        """Ask whether results can be stored here; nothing is written."""
        self.store.check()

    def exists(self) -> bool:
        """Whether there is an object here."""
        return self.store.exists(self.key)

    def read_bytes(self, at_most: int | None = None) -> bytes:
        """The object's content. Raises ObjectTooLarge for more bytes than ``at_most``."""
        return self.store.read(self.key, at_most)

    def read_text(self) -> str:
        """The object's content, UTF-8."""
        return self.read_bytes().decode()

    def write_bytes(self, content: bytes) -> None:
        """Store an object; a reader finds the old one or the whole new one."""
        self.store.put_all([(self.key, content)])

    def write_text(self, content: str) -> None:
        """Store UTF-8 text."""
        self.write_bytes(content.encode())

    def create(self, content: bytes) -> None:
        """Store an object that must not be there yet; raises ClaimTaken when there is one."""
        self.store.create(self.key, content)

    def upload(self, file: Path) -> None:
        """Store a copy of a local file."""
        self.store.put_all([(self.key, file)])

    def download(self, file: Path) -> None:
        """Copy the object to a local file, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.partial-{os.getpid()}")
        try:
            partial.write_bytes(self.read_bytes())
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)

    def download_folder(self, folder: Path) -> list[Path]:
        """Copy every object below this path into a local folder; returns the files, sorted.

        Raises ObjectNotFound when there is none, StorageError for a name that would leave the folder.
        """
        names = self.walk()
        if not names:
            raise ObjectNotFound(f"storage {self}: there is nothing.")
        for name in names:
            (self / name).download(folder / name)
        return [folder / name for name in names]

    def put_all(self, objects: Sequence[tuple[str, Content]], withdraw: Sequence[str] = ()) -> None:
        """Store objects under keys below this path; visible in the order given, see ``Store.put_all``."""
        keyed = [((self / name).key, content) for name, content in objects]
        self.store.put_all(keyed, [(self / name).key for name in withdraw])

    def update(self, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the object by ``change(its content, None when absent)``, atomically among writers."""
        self.store.update(self.key, change)

    def walk(self) -> list[str]:
        """Names of all objects below this folder, relative to it, sorted."""
        start = len(self.key) + 1 if self.key else 0
        return [key[start:] for key in self.store.keys(self.key)]

    def folders(self) -> list[str]:
        """Names of the folders right below this one, sorted; what they hold is not listed."""
        return self.store.folders(self.key)

    def delete(self) -> None:
        """Remove the object."""
        self.store.delete(self.key)
