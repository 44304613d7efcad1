"""A store in a local folder."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from blueprint_tune.errors import ClaimTaken, ObjectNotFound, StorageError
from blueprint_tune.storage.base import Content, Store, is_plain

_STAGING = ".staging-"
"""Folders that hold objects not visible yet; never listed."""
_SETTLED_S = 60.0
"""A staging folder that nobody holds may be younger than its lock; when it is older than this it is not."""


class LocalStore(Store):
    """Objects are files below ``root``; the folder is created when something is first stored."""

    def __init__(self, root: Path) -> None:
        try:
            self.root = root.expanduser().absolute()
        except RuntimeError as error:  # ~nobody
            raise StorageError(f"{root} is no place to store in: {error} Give another folder.") from error
        self.uri = str(self.root)

    def check(self) -> None:
        """Whether the root, or the nearest folder above it that exists, is a folder one may write to."""
        with self._sentences("nothing can be written"):
            nearest = next(path for path in (self.root, *self.root.parents) if path.exists())
            if not nearest.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))

    def read(self, key: str, at_most: int | None = None) -> bytes:
        """The file's content."""
        with self._sentences(f"'{key}' cannot be read"), (self.root / key).open("rb") as file:
            self._check_size(key, os.fstat(file.fileno()).st_size, at_most)
            return file.read()

    def exists(self, key: str) -> bool:
        """Whether there is a file under this key."""
        with self._sentences(f"'{key}' cannot be looked up"):
            return (self.root / key).is_file()

    def keys(self, prefix: str) -> list[str]:
        """Keys of all files below the folder ``prefix`` that a path can name; none when it does not exist."""
        found = []
        with self._sentences(f"'{prefix}' cannot be listed"):
            for folder, folders, files in os.walk(self.root / prefix, onerror=_unless_missing):
                folders[:] = [name for name in folders if not name.startswith(_STAGING)]
                found += [(Path(folder) / name).relative_to(self.root).as_posix() for name in files]
        return sorted(name for name in found if is_plain(name))

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below the folder ``prefix`` that a path can name; none without it."""
        with self._sentences(f"'{prefix}' cannot be listed"):
            try:
                found = [entry.name for entry in os.scandir(self.root / prefix) if entry.is_dir()]
            except FileNotFoundError:
                return []
        return sorted(name for name in found if is_plain(name) and not name.startswith(_STAGING))

    def put_all(self, objects: Sequence[tuple[str, Content]], withdraw: Sequence[str] = ()) -> None:
        """Write everything to a staging folder, then move it into place one object after the other."""
        unseen = "cannot be written, and nothing of this result became visible"
        with self._sentences(f"the result {unseen}"):
            self.root.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self.root)
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.root))
            owned = _locked(staging)
        try:
            staged = []
            for number, (key, content) in enumerate(objects):
                with self._sentences(f"'{key}' {unseen}"):
                    staged.append(_stage(staging / str(number), content))
            targets = [self.root / key for key, _ in objects]
            with self._sentences(f"the result {unseen}"):
                _make_parents(targets, self.root)
            with self._sentences("the result cannot be moved into place and is incomplete"):
                for key in withdraw:
                    (self.root / key).unlink(missing_ok=True)
                for file, target in zip(staged, targets, strict=True):
                    os.replace(file, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            os.close(owned)

    def create(self, key: str, content: bytes) -> None:
        """Write a file beside the target and link it there, which fails when the target exists."""
        target = self.root / key
        with self._sentences(f"'{key}' cannot be created"):
            target.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.root))
            try:
                os.link(_stage(staging / "0", content), target)
            except FileExistsError:
                raise ClaimTaken(f"storage {self.uri}: '{key}' is there already.") from None
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Read, change and replace while holding a lock on the object's folder."""
        target = self.root / key
        with self._sentences(f"'{key}' cannot be updated"):
            target.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(target.parent, os.O_RDONLY)
        try:
            with self._sentences(f"'{key}' cannot be updated"):
                fcntl.flock(folder, fcntl.LOCK_EX)
            self.put_all([(key, change(self.read(key) if self.exists(key) else None))])
        finally:
            os.close(folder)

    def delete(self, key: str) -> None:
        """Remove the file, and folders that it leaves empty."""
        path = self.root / key
        with self._sentences(f"'{key}' cannot be deleted"):
            path.unlink()
        _remove_empty(path.parent, self.root)

    @contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        """Turn an OSError into a StorageError that says what to do."""
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectNotFound(f"storage {self.uri}: {what}: there is no {error.filename}.") from error
        except OSError as error:
            raise StorageError(f"storage {self.uri}: {what}: {_advice(error)}") from error


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder's lock until it is closed or its process ends, however it ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_abandoned(root: Path) -> None:
    """Remove what processes that were killed while publishing left behind."""
    for folder in root.glob(f"{_STAGING}*"):
        with suppress(OSError):  # another's, at work or just gone
            if time.time() - folder.stat().st_mtime > _SETTLED_S:
                descriptor = _locked(folder)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)


def _stage(file: Path, content: Content) -> Path:
    """Write ``content`` to ``file`` and onto the disk, so that a marker never outlives what it stands for."""
    with file.open("wb") as sink:
        if isinstance(content, bytes):
            sink.write(content)
        else:
            with content.open("rb") as source:
                shutil.copyfileobj(source, sink)
        sink.flush()
        os.fsync(sink.fileno())
    return file


def _make_parents(targets: Sequence[Path], root: Path) -> None:
    """Make the folders of all targets, or none of them."""
    folders = sorted({target.parent for target in targets})
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        for folder in folders:
            _remove_empty(folder, root)
        raise


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those above it as long as they are empty, up to ``root``."""
    while folder != root:
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        folder = folder.parent


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _advice(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full. Free some space, or set storage.root to another disk, and publish again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"permission denied{where}. Set storage.root to a folder you may write to."
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return f"a file stands where a folder is needed or vice versa{where}. Set storage.root elsewhere."
    return f"{error.strerror or error}{where}."
