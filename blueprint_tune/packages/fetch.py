"""A package's folder on this machine: where it is, or a copy of what lies in a bucket."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from blueprint_tune.errors import ObjectTooLarge, TaskPackageError
from blueprint_tune.storage.base import Requests
from blueprint_tune.storage.path import StoragePath, open_path

_OF_PACKAGE = re.compile(r"\w+\.py|train_cfg\.yaml|generation_metadata\.json|\.isaac_lab(_refresh)?_complete")
_OF_SCENE = re.compile(r"scene_manifest\.json|interactive/[\w.-]+(/[\w.-]+){1,4}")
_MAX_FILES, _MAX_BYTES = 2000, 200 * 1024 * 1024


def is_uri(place: str) -> bool:
    """Whether ``place`` is in a bucket."""
    return "://" in place


def local_package(place: str, cache: Path, endpoint: str | None = None) -> Path:
    """The folder of a package, copied below ``cache`` if it is a URI.

    A copy is kept under the digest of its content, beside its scene's ``assets``, as upstream lays them out.
    ``endpoint`` is the URL of the bucket's server, None = the cloud's own. Raises StorageError where storage
    refuses, TaskPackageError where nothing of a package is there.
    """
    return _fetched(place, cache, endpoint) if is_uri(place) else Path(place)


@lru_cache(maxsize=8)
def _fetched(place: str, cache: Path, endpoint: str | None) -> Path:
    """Once a process: composing asks several times."""
    uri = place.rstrip("/")
    above, _, name = uri.rpartition("/")
    if not _plain(name) or above.count("/") < 2 or above.endswith("/"):
        raise TaskPackageError(
            f"{place}: expected the folder of a package, gs://bucket/scenes/<id>/isaac_lab."
        )
    asked = Requests(endpoint=endpoint)
    content = _read(open_path(uri, asked), name, _OF_PACKAGE)
    if not content:
        raise TaskPackageError(f"{place}: no file of a task package is there.")
    content |= _read(open_path(f"{above}/assets", asked), "assets", _OF_SCENE)
    return _kept(content, above.rpartition("/")[2], name, cache)


def _plain(name: str) -> bool:
    return re.fullmatch(r"[\w-][\w.-]{0,127}", name) is not None


def _read(folder: StoragePath, name: str, wanted: re.Pattern[str]) -> dict[str, bytes]:
    """The wanted objects below a folder of a bucket, by the path under which they are kept."""
    keys = [key for key in folder.walk() if wanted.fullmatch(key) and ".." not in key]
    found: dict[str, bytes] = {}
    left = _MAX_BYTES
    try:
        if len(keys) > _MAX_FILES:
            raise ObjectTooLarge
        for key in keys:
            found[f"{name}/{key}"] = (folder / key).read_bytes(at_most=left)
            left -= len(found[f"{name}/{key}"])
    except ObjectTooLarge as error:
        raise TaskPackageError(
            f"{folder}: holds more than {_MAX_FILES} files or {_MAX_BYTES // 2**20} MB."
            " Copy what is needed to a folder and give that."
        ) from error
    return found


def _kept(content: dict[str, bytes], scene: str, name: str, cache: Path) -> Path:
    digest = hashlib.sha256()
    for key in sorted(content):
        digest.update(f"{key}\0{len(content[key])}\0".encode() + content[key])
    scene = scene if _plain(scene) else "package"
    place = cache / digest.hexdigest()[:16] / scene
    if not place.is_dir():
        _write(content, place)
    return place / name


def _write(content: dict[str, bytes], place: Path) -> None:
    """Into a folder beside it first, so that a copy is whole or not there."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(dir=place.parent))
        for key, data in content.items():
            file = staged / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        try:
            os.rename(staged, place)
        except OSError:
            if not place.is_dir():  # else another process was first
                raise
            shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise TaskPackageError(f"{place}: the package cannot be copied there: {error.strerror}.") from error
