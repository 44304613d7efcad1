"""What ``watch`` is told: its own settings, the experiments' overrides, and the storage of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from blueprint_tune.config import paths
from blueprint_tune.config.fields import STRICT, Count, Positive
from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.config.suggest import join_problems
from blueprint_tune.config.tree import load
from blueprint_tune.errors import ConfigError, nearest
from blueprint_tune.storage.path import StoragePath, open_root

_FILE = "watch.yaml"
_PREFIX = "watch."
_NOT_OURS = {
    "name": "every job is named after what it trains",
    "force": "a job whose result is there is never run again",
    "scene": "the marker says which",
}
"""Overrides that would be the same for every job, and why they cannot be."""
_OF_ONE_POLICY = ("policy.", "robot.")
"""What starts like this may exist only in the files that a marker chooses."""


@checked(config=STRICT)
class WatchSettings:
    """``conf/watch.yaml``."""

    poll_s: Positive
    heartbeat_s: Positive
    lease_s: Positive
    stop_s: Positive
    jobs_at_once: Count
    max_runtime_hours: Positive
    attempts: Count
    priorities: dict[str, int]
    command: Annotated[list[str], Field(min_length=1)] | None


def read_settings(words: Sequence[str]) -> tuple[WatchSettings, list[str]]:
    """The settings, and the words that are not among them.

    Raises ConfigError naming everything that is wrong with them.
    """
    tree, source = _files()
    problems, rest = list[str](), list[str]()
    for word in words:
        key, equals, value = word.partition("=")
        if not key.startswith(_PREFIX):
            rest.append(word)
        elif key.removeprefix(_PREFIX) not in tree:
            known = [f"{_PREFIX}{name}" for name in tree]
            problems.append(f"{key}: there is no such setting. {nearest(key, known)}")
        elif not equals:
            problems.append(f"{key} needs a value: {key}=…")
        else:
            tree[key.removeprefix(_PREFIX)] = _value(value)
            source[key.removeprefix(_PREFIX)] = "the command line"
    try:
        settings = TypeAdapter(WatchSettings).validate_python(tree)
    except ValidationError as error:
        raise ConfigError(join_problems([*problems, *_sentences(error, source)])) from error
    if settings.lease_s < 3 * settings.heartbeat_s:
        problems.append(
            f"watch.lease_s is {settings.lease_s:g} and watch.heartbeat_s {settings.heartbeat_s:g}: a lease "
            "must outlast three heartbeats, or one that is late costs a living watcher its job."
        )
    if problems:
        raise ConfigError(join_problems(problems))
    return settings, rest


def check_overrides(words: Sequence[str]) -> None:
    """Refuse overrides that no job could have. Raises ConfigError."""
    problems = []
    for word in words:
        key = word.lstrip("+~").partition("=")[0].partition(".")[0]
        if key in _NOT_OURS:
            problems.append(f"{word}: watch takes no {key}; {_NOT_OURS[key]}.")
    problems = problems or load(_common(words), complete=False).problems
    if problems:
        raise ConfigError(join_problems(problems))


@dataclass(frozen=True)
class Place:
    """Where packages come from and results go, and where this watcher keeps its experiments.

    ``claims`` is the same root, asked with less patience: a heartbeat that waits for an answer longer than
    others wait for the heartbeat helps nobody.
    """

    root: StoragePath
    claims: StoragePath
    output_dir: Path


def read_place(words: Sequence[str], lease_s: float) -> Place:
    """What overrides that :func:`check_overrides` let pass say about storage and output folder.

    Raises ConfigError and StorageError for what no storage or folder can be.
    """
    tree = load(_common(words)).tree
    try:
        storage = TypeAdapter(StorageConfig).validate_python(tree["storage"])
    except ValidationError as error:
        raise ConfigError(join_problems(_sentences(error, {}, "storage."))) from error
    most = lease_s / 6
    hurried = replace(
        storage, timeout_s=_at_most(storage.timeout_s, most), retry_s=_at_most(storage.retry_s, most)
    )
    return Place(open_root(storage), open_root(hurried), _folder(str(tree["output_dir"])))


def _at_most(value: float | None, most: float) -> float:
    return most if value is None else min(value, most)


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise ConfigError(f"output_dir={text}: {error}") from error


def _common(words: Sequence[str]) -> list[str]:
    """Without what may exist only in the files that a marker chooses."""
    return [word for word in words if not word.lstrip("+~").startswith(_OF_ONE_POLICY)]


def _files() -> tuple[dict[str, Any], dict[str, str]]:
    """The shipped file with the values of the user's own, and where each value is from."""
    tree, source = dict[str, Any](), dict[str, str]()
    for folder in [paths.conf_dir(), *reversed(paths.user_conf_dirs())]:
        file = folder / _FILE
        if not file.is_file():
            continue
        try:
            values = yaml.safe_load(file.read_text()) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{file} cannot be read: {error}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"{file} must hold settings, one on a line: poll_s: 30")
        tree |= {str(key): value for key, value in values.items()}
        source |= {str(key): str(file) for key in values}
    return tree, source


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _sentences(error: ValidationError, source: dict[str, str], prefix: str = _PREFIX) -> list[str]:
    found = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        where = source.get(str(problem["loc"][0]))
        found.append(f"{f'{where}: ' if where else ''}{prefix}{key}: {problem['msg']}.")
    return found
