"""A Python package with environments: read from a folder or an archive, checked, installed into one folder.

Nothing of it runs in this process. An archive is unpacked here, member by member, before pip sees it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from blueprint_tune.errors import ObjectTooLarge, TaskPackageError
from blueprint_tune.packages.fetch import is_uri
from blueprint_tune.storage.base import Requests
from blueprint_tune.storage.path import open_path

MAX_FILES, MAX_BYTES = 20_000, 2**30
"""Of an archive, and of what is in it: meshes and textures fit, a bomb does not."""
RECORD = "installed.json"
LOG = "pip.log"
_KINDS = (".whl", ".tar.gz", ".tgz")
_NO_FILE = "a device or pipe"
_HEADERS = 2**12
"""Bytes that a member of an archive may take beside its content, on average."""
_PIP_S = 900.0
_TOLD = 12
"""Last lines of pip's that a message repeats."""


@dataclass(frozen=True)
class EnvPackage:
    """What is to be installed: a folder of sources, or an archive.

    Attributes:
        place: as it was given. name: of the file. digest: 12 hex digits of its content.
        content: of an archive; None for a folder.
    """

    place: str
    name: str
    digest: str
    content: bytes | None


def read_env_package(place: str, endpoint: str | None = None) -> EnvPackage:
    """Read what ``place`` (folder, ``.tar.gz``, ``.whl``; ``gs://``, ``s3://``) names; nothing is unpacked.

    Raises TaskPackageError for what is none, StorageError where a bucket refuses.
    """
    if is_uri(place):
        return _from_bucket(place, endpoint)
    with _told(place):
        path = Path(place).expanduser()
        if path.is_dir():
            _check_project(path, place)
            return EnvPackage(place, path.name, _folder_digest(path, place), None)
        _check_kind(place)
        if path.stat().st_size > MAX_BYTES:
            raise TaskPackageError(_too_large(place))
        return _archive(place, path.read_bytes())


@contextmanager
def _told(place: str) -> Iterator[None]:
    """What cannot be read, or a ``~`` of nobody, is a user's error."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        said = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
        raise TaskPackageError(f"backend.env_package={place}: {said}.") from error


@lru_cache(maxsize=4)
def _from_bucket(place: str, endpoint: str | None) -> EnvPackage:
    """Once a process: planning and running ask several times."""
    _check_kind(place)
    above, _, name = place.rpartition("/")
    try:
        return _archive(
            place, (open_path(above, Requests(endpoint=endpoint)) / name).read_bytes(at_most=MAX_BYTES)
        )
    except ObjectTooLarge as error:
        raise TaskPackageError(_too_large(place)) from error


def _archive(place: str, content: bytes) -> EnvPackage:
    return EnvPackage(place, Path(place).name, hashlib.sha256(content).hexdigest()[:12], content)


def _check_kind(place: str) -> None:
    if not place.endswith(_KINDS):
        raise TaskPackageError(
            f"backend.env_package={place}: expected a folder with pyproject.toml or setup.py, an sdist or"
            " tar.gz of one, or a wheel (.whl)."
        )


def _too_large(place: str) -> str:
    return f"backend.env_package={place}: larger than {MAX_BYTES // 2**20} MB. Leave out what no task needs."


def _folder_digest(folder: Path, place: str) -> str:
    digest = hashlib.sha256()
    for file in sorted(_sources(folder, place)):
        digest.update(
            str(file.relative_to(folder)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest()
        )
    return digest.hexdigest()[:12]


def _sources(folder: Path, place: str) -> Iterator[Path]:
    """The files that an installation is made of. Raises TaskPackageError for what an archive may not hold."""
    for root, folders, files in os.walk(folder, onerror=_raise):
        here = Path(root)
        folders[:] = [name for name in folders if not _is_leftover(name, here == folder)]
        for name in (*folders, *files):
            mode = (here / name).lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                what = f"a link to '{os.readlink(here / name)[:80]}'" if stat.S_ISLNK(mode) else _NO_FILE
                raise _refused(place, str((here / name).relative_to(folder)), what)
        yield from (here / name for name in files if not name.endswith(".pyc"))


def _raise(error: OSError) -> None:
    raise error


def _is_leftover(name: str, top: bool) -> bool:
    """What builds and tools leave; further down, ``build`` and ``dist`` may be packages."""
    kept_apart = (".git", "__pycache__", ".venv", *(("build", "dist") if top else ()))
    return name in kept_apart or name.endswith(".egg-info")


def installed(folder: Path) -> tuple[str, str] | None:
    """Place and digest of the package that is installed in ``folder``; None where none is."""
    try:
        record = json.loads((folder / RECORD).read_text())
        return str(record["place"]), str(record["digest"])
    except (OSError, ValueError, KeyError):
        return None


def install(package: EnvPackage, folder: Path) -> None:
    """Put the package, without what it depends on, into ``folder`` by pip; it is whole or not there.

    pip's output is kept in ``<folder>.pip.log``.
    Raises TaskPackageError with its last lines where it fails, or naming the member of an unsafe archive.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        _pip(
            package,
            _unpacked(package, staged / "source"),
            staged / "target",
            folder.parent / f"{folder.name}.{LOG}",
        )
        (staged / "target" / RECORD).write_text(
            json.dumps({"place": package.place, "digest": package.digest})
        )
        shutil.rmtree(folder, ignore_errors=True)
        (staged / "target").rename(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _unpacked(package: EnvPackage, source: Path) -> Path:
    """What pip is given: a wheel, or a copy of the project's folder, because builds leave files in it."""
    if package.content is None:
        with _told(package.place):
            _copy(package, Path(package.place).expanduser(), source)
        return source
    source.mkdir()
    if package.name.endswith(".whl"):
        _check_wheel(package)
        (source / package.name).write_bytes(package.content)
        return source / package.name
    _untar(package, source)
    inside = [path for path in source.iterdir() if path.name != "pax_global_header"]
    root = inside[0] if len(inside) == 1 and inside[0].is_dir() else source
    _check_project(root, package.place)
    return root


def _copy(package: EnvPackage, origin: Path, target: Path) -> None:
    for file in _sources(origin, package.place):
        place = target / file.relative_to(origin)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, place)
    if _folder_digest(target, package.place) != package.digest:
        raise TaskPackageError(
            f"backend.env_package={package.place} changed while it was copied. Start again when nobody writes"
            " to it."
        )


def _check_project(root: Path, place: str) -> None:
    if not (root / "pyproject.toml").is_file() and not (root / "setup.py").is_file():
        raise TaskPackageError(
            f"backend.env_package={place}: neither pyproject.toml nor setup.py is at its top,"
            " so pip cannot install it. Give the folder, or an archive of it, that holds one."
        )


def _untar(package: EnvPackage, target: Path) -> None:
    assert package.content is not None
    try:
        with tarfile.open(fileobj=_Unpacked(package), mode="r|") as archive:
            left = MAX_BYTES
            for number, member in enumerate(archive):
                left -= max(member.size, 0)
                _check_member(package, member.name, _oddity(member), number, left)
                archive.extract(member, target, filter="data")
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        raise TaskPackageError(
            f"backend.env_package={package.place}: cannot be unpacked: {error}."
        ) from error


class _Unpacked(io.RawIOBase):
    """What an archive unpacks to, read up to a bound: headers, too, may be a bomb."""

    def __init__(self, package: EnvPackage) -> None:
        assert package.content is not None
        self._package, self._inner = package, gzip.GzipFile(fileobj=io.BytesIO(package.content))
        self._left = MAX_BYTES + MAX_FILES * _HEADERS

    def read(self, size: int = -1) -> bytes:
        """Blocks of a fixed size, as tarfile asks for them when it reads a stream."""
        found = self._inner.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise TaskPackageError(_too_large(self._package.place))
        return found


def _oddity(member: tarfile.TarInfo) -> str | None:
    if member.issym() or member.islnk():
        return f"a link to '{member.linkname[:80]}'"
    return None if member.isfile() or member.isdir() else _NO_FILE


def _check_wheel(package: EnvPackage) -> None:
    assert package.content is not None
    try:
        with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
            left = MAX_BYTES
            for number, member in enumerate(archive.infolist()):
                left -= member.file_size
                _check_member(package, member.filename, None, number, left)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise TaskPackageError(f"backend.env_package={package.place}: is no wheel: {error}.") from error


def _check_member(package: EnvPackage, name: str, oddity: str | None, number: int, left: int) -> None:
    """Raises TaskPackageError naming a member that could write elsewhere, or that is one too many."""
    path = PurePosixPath(name.replace("\\", "/"))
    wrong = oddity
    if path.is_absolute() or re.match(r"[A-Za-z]:", name):
        wrong = "an absolute path"
    elif ".." in path.parts:
        wrong = "a path that leads out of the archive"
    elif number >= MAX_FILES or left < 0:
        wrong = f"beyond {MAX_FILES} files or {MAX_BYTES // 2**20} MB unpacked"
    if wrong:
        raise _refused(package.place, name, wrong)


def _refused(place: str, member: str, wrong: str) -> TaskPackageError:
    return TaskPackageError(
        f"backend.env_package={place}: the member {member[:120]!r} is {wrong}. Nothing was installed."
    )


def _pip(package: EnvPackage, source: Path, target: Path, log: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-input",
        "--disable-pip-version-check",
    ]
    command += ["--no-compile", "--target", str(target), str(source)]
    said, status = _run(command, source.parent)
    log.write_text(said, encoding="utf-8")
    if status:
        last = "\n".join(f"  {line}" for line in said.strip().splitlines()[-_TOLD:])
        raise TaskPackageError(
            f"backend.env_package={package.place}: pip could not install it. Its last lines (all are in"
            f" {log}):\n{last}"
        )


def _run(command: list[str], folder: Path) -> tuple[str, int]:
    """What it said and its exit status; its children end with it."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        start_new_session=True,  # a group of its own: the builds that it starts
    ) as process:
        try:
            said, status = process.communicate(timeout=_PIP_S)[0], process.returncode
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            said, status = process.communicate()[0] + f"\nno end after {_PIP_S:g} s\n".encode(), 1
    return said.decode(errors="replace"), status
