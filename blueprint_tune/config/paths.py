"""Where the files that ship with the program lie, and where a user's own lie beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

CONF_ENV = "BLUEPRINT_TUNE_CONF"
"""Folders of the user's own configuration files, separated like ``PATH``."""

GROUPS = (
    "scene",
    "policy",
    "robot",
    "physics",
    "agent",
    "backend",
    "sweep",
    "preset",
    "evaluation",
    "storage",
    "logger",
)
"""The configuration groups, in the order in which people choose."""

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Roots:
    """Where configuration files are read from instead of the usual places.

    Attributes:
        conf, searchspaces: in place of those that ship with the program. users: in place of the user's.
    """

    conf: Path
    searchspaces: Path
    users: tuple[Path, ...] = ()


_roots: ContextVar[Roots | None] = ContextVar("roots", default=None)


@contextmanager
def reading_from(roots: Roots) -> Iterator[None]:
    """Compose with other files, those of another revision for example."""
    token = _roots.set(roots)
    try:
        yield
    finally:
        _roots.reset(token)


def conf_dir() -> Path:
    """The folder of the configuration groups: inside an installed package, beside it in a checkout."""
    roots = _roots.get()
    return _shipped("conf") if roots is None else roots.conf


def searchspaces_dir() -> Path:
    """The folder of the search spaces that ship with the program."""
    roots = _roots.get()
    return _shipped("searchspaces") if roots is None else roots.searchspaces


def assets_dir() -> Path:
    """Robots and scenes that ship with the program."""
    return _PACKAGE / "assets"


def robot_file(model: str) -> Path:
    """The file of ``robot.model``: a path where such a file exists, else a name under our own robots."""
    return Path(model) if Path(model).is_file() else assets_dir() / "robots" / model


def user_conf_dirs() -> list[Path]:
    """The folders named by ``BLUEPRINT_TUNE_CONF``, in order, whether or not they exist."""
    if (roots := _roots.get()) is not None:
        return list(roots.users)
    return [Path(entry).resolve() for entry in os.environ.get(CONF_ENV, "").split(os.pathsep) if entry]


def add_user_conf_dir(folder: str) -> None:
    """Put ``folder`` in front of ``BLUEPRINT_TUNE_CONF`` for this process and its children."""
    rest = [str(known) for known in user_conf_dirs() if known != Path(folder).resolve()]
    os.environ[CONF_ENV] = os.pathsep.join([str(Path(folder).resolve()), *rest])


def searchspace_dirs(folders: list[Path] | None = None) -> list[Path]:
    """Where search spaces are looked up: in and beside the user's folders first, then our own."""
    users = user_conf_dirs() if folders is None else folders
    candidates = [
        folder for user in users for folder in (user / "searchspaces", user.parent / "searchspaces")
    ]
    return [folder for folder in candidates if folder.is_dir()] + [searchspaces_dir()]


def group_options(group: str, folders: list[Path] | None = None) -> list[str]:
    """Names of the files of a group, without those that only other files build on (``_name``)."""
    users = user_conf_dirs() if folders is None else folders
    files = (path for root in [conf_dir(), *users] for path in (root / group).glob("*.yaml"))
    return sorted({path.stem for path in files if not path.stem.startswith("_")})


def _shipped(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
