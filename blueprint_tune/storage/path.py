"""One path type for every store."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blueprint_tune.errors import StorageError
from blueprint_tune.storage.base import Content, Store
from blueprint_tune.storage.local import LocalStore

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class StorageSettings(Protocol):
    """What is needed of the config's ``storage`` group."""

    @property
    def kind(self) -> str:
        """``local``."""

    @property
    def root(self) -> str:
        """A folder; ``~`` is the home folder."""


def open_root(cfg: StorageSettings) -> StoragePath:
    """The root of the configured storage; nothing is created or asked for yet."""
    if not cfg.root.strip() or "\0" in cfg.root:
        raise StorageError(f"storage.root is {cfg.root!r}. Give the folder where results are published.")
    return StoragePath(LocalStore(Path(cfg.root)), "")


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
        names = part.split("/")
        if any(name in ("", ".", "..") or "\0" in name or "\\" in name for name in names):
            raise StorageError(f"{part!r} is not a path below {self}. Parts must be plain names.")
        return StoragePath(self.store, f"{self.key}/{part}" if self.key else part)

    def __str__(self) -> str:
        return f"{self.store.uri}/{self.key}" if self.key else self.store.uri

    def exists(self) -> bool:
        """Whether there is an object here."""
        return self.store.exists(self.key)

    def read_bytes(self) -> bytes:
        """The object's content."""
        return self.store.read(self.key)

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

    def delete(self) -> None:
        """Remove the object."""
        self.store.delete(self.key)
