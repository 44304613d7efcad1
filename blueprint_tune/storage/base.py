"""The seam to storage: objects under keys. A store is a folder or a bucket.

A key is a relative path with ``/``. An object is never visible half written: a reader finds the old
one or the new one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from blueprint_tune.errors import ObjectTooLarge, StorageError

Content = bytes | Path
"""What to store: bytes, or a local file to copy."""


@dataclass(frozen=True)
class Requests:
    """How a store is asked that lies behind a network.

    Attributes:
        endpoint: URL of the server; None = as the cloud's own client decides.
        timeout_s: of connecting, and of each wait for an answer.
        retry_s: for so long after its first failure a request is tried again, at growing intervals.
        part_mib: larger files are sent in parts of so many MiB, each tried again by itself.
    """

    endpoint: str | None = None
    timeout_s: float = 60.0
    retry_s: float = 120.0
    part_mib: int = 8

    def __post_init__(self) -> None:
        """Raises StorageError for an endpoint that is no URL."""
        if self.endpoint is not None and not self.endpoint.startswith(("http://", "https://")):
            raise StorageError(f"storage.endpoint={self.endpoint} must begin with http:// or https://.")


def is_plain(path: str) -> bool:
    """Whether each part between ``/`` is a plain name: not empty, ``.``, ``..``; no NUL, no backslash."""
    parts = path.split("/")
    return not any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts)


class Store(ABC):
    """Where objects live.

    Every method raises StorageError with a sentence when storage refuses; reading and deleting what
    is not there raises ObjectNotFound.
    """

    uri: str
    """The store's root as a user would type it, without credentials."""

    @abstractmethod
    def check(self) -> None:
        """Ask whether results can be stored here, before hours are spent on them; nothing is written."""

    @abstractmethod
    def read(self, key: str, at_most: int | None = None) -> bytes:
        """The object's content.

        Raises ObjectTooLarge, before the content is in memory, where that is more bytes than ``at_most``.
        """

    def _check_size(self, key: str, size: int, at_most: int | None) -> None:
        if at_most is not None and size > at_most:
            raise ObjectTooLarge(
                f"storage {self.uri}: '{key}' is not read: it has {size:,} bytes, more than {at_most:,}."
            )

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is an object (not a folder) under this key."""

    @abstractmethod
    def keys(self, prefix: str) -> list[str]:
        """Keys of all objects below ``prefix`` (a folder, or ``""`` for all), sorted."""

    @abstractmethod
    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below ``prefix``, sorted; what they hold is not listed."""

    @abstractmethod
    def put_all(self, objects: Sequence[tuple[str, Content]], withdraw: Sequence[str] = ()) -> None:
        """Store objects; they become visible in the order given.

        ``withdraw`` names markers that would be untrue meanwhile: they go first, if they are there.
        Where the store can (a local folder), everything is staged before that, so that a full disk
        changes nothing; where it cannot, what is listed last stands for what comes before it.
        """

    @abstractmethod
    def create(self, key: str, content: bytes) -> None:
        """Store an object that must not be there yet, whole, so that of any number of writers one succeeds.

        Raises ClaimTaken when there is one.
        """

    @abstractmethod
    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace an object by ``change(its content, None when absent)``, atomically among writers."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object."""
