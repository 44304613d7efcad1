"""A Python package with environments: read from a folder or an archive, checked, installed into one folder.

Nothing of it runs in this process. An archive is unpacked here, member by member, before pip sees it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
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
    path = Path(place).expanduser()
    if path.is_dir():
        _check_project(path, place)
        return EnvPackage(place, path.name, _folder_digest(path), None)
    _check_kind(place)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TaskPackageError(_too_large(place))
        return _archive(place, path.read_bytes())
    except OSError as error:
        raise TaskPackageError(f"backend.env_package={place}: {error.strerror or error}.") from error


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


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(_sources(folder)):
        digest.update(
            str(file.relative_to(folder)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest()
        )
    return digest.hexdigest()[:12]


def _sources(folder: Path) -> Iterator[Path]:
    """The files that an installation is made of."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_leftover(name)]
        yield from (Path(root, name) for name in files if not name.endswith(".pyc"))


def _is_leftover(name: str) -> bool:
    return name in (".git", "__pycache__", "build", "dist", ".venv") or name.endswith(".egg-info")


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
        origin = Path(package.place).expanduser()
        shutil.copytree(
            origin, source, symlinks=True, ignore=lambda _, names: set(filter(_is_leftover, names))
        )
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


def _check_project(root: Path, place: str) -> None:
    if not (root / "pyproject.toml").is_file() and not (root / "setup.py").is_file():
        raise TaskPackageError(
            f"backend.env_package={place}: neither pyproject.toml nor setup.py is at its top,"
            " so pip cannot install it. Give the folder, or an archive of it, that holds one."
        )


def _untar(package: EnvPackage, target: Path) -> None:
    assert package.content is not None
    try:
        with tarfile.open(fileobj=io.BytesIO(package.content), mode="r:gz") as archive:
            left = MAX_BYTES
            for number, member in enumerate(archive):
                left -= max(member.size, 0)
                _check_member(package, member.name, _oddity(member), number, left)
                archive.extract(member, target, filter="data")
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise TaskPackageError(
            f"backend.env_package={package.place}: cannot be unpacked: {error}."
        ) from error


def _oddity(member: tarfile.TarInfo) -> str | None:
    if member.issym() or member.islnk():
        return f"a link to '{member.linkname[:80]}'"
    return None if member.isfile() or member.isdir() else "a device or pipe"


def _check_wheel(package: EnvPackage) -> None:
    assert package.content is not None
    try:
        with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
            left = MAX_BYTES
            for number, member in enumerate(archive.infolist()):
                left -= member.file_size
                _check_member(package, member.filename, None, number, left)
    except zipfile.BadZipFile as error:
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
        raise TaskPackageError(
            f"backend.env_package={package.place}: the member {name[:120]!r} is {wrong}."
            " Nothing was installed."
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
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PIP_S,
            cwd=source.parent,
        )
        said, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired:
        said, status = f"no end after {_PIP_S:g} s", 1
    log.write_text(said)
    if status:
        last = "\n".join(f"  {line}" for line in said.strip().splitlines()[-_TOLD:])
        raise TaskPackageError(
            f"backend.env_package={package.place}: pip could not install it. Its last lines (all are in"
            f" {log}):\n{last}"
        )
