"""From plain mappings to :class:`ExperimentConfig` and back; everything wrong is told at once."""

from __future__ import annotations

import copy
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from blueprint_tune.config import suggest
from blueprint_tune.config.checks import cross_checks
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.suggest import join_problems
from blueprint_tune.errors import ConfigError, nearest

Origin = Callable[[Sequence[str]], str]
"""From the path of a setting to ``"conf/agent/ppo.yaml: "`` or the like; empty where that is unknown."""


def to_config(tree: Mapping[str, Any]) -> ExperimentConfig:
    """The typed configuration of a plain, resolved mapping; raises ConfigError naming every problem."""
    config, problems = examine(tree)
    if config is None:
        raise ConfigError(join_problems(problems))
    return config


def to_dict(config: ExperimentConfig) -> dict[str, Any]:
    """A plain mapping that JSON can hold; ``to_config`` gives the same configuration back."""
    return asdict(config)


def apply_overrides(config: ExperimentConfig, values: Mapping[str, Any]) -> ExperimentConfig:
    """``config`` with the values of ``values`` (dotted key -> value) in place, validated anew.

    A list or a whole event may be given as JSON, which is how a search space hands them to Ray Tune. An event
    that the policy lacks is added, and None is to go without it.
    Raises ConfigError when a key does not exist or the result breaks a rule.
    """
    tree = to_dict(config)
    problems = [
        f"{key}: {suggest.missing_key(tree, key)}"
        for key in values
        if not (suggest.exists(tree, key.split(".")) or is_new_event(tree, key))
    ]
    if problems:
        raise ConfigError(join_problems(problems))
    for key, value in values.items():
        *parents, last = key.split(".")
        node = suggest.lookup(tree, parents)
        place = int(last) if isinstance(node, list) else last
        plain = value.item() if hasattr(value, "item") else copy.deepcopy(value)
        new = is_new_event(tree, key)
        is_json = isinstance(plain, str) and (new or isinstance(node[place], list))
        if not (new and plain is None):
            node[place] = json.loads(plain) if is_json else plain
    return to_config(tree)


def is_new_event(tree: Mapping[str, Any], key: str) -> bool:
    """Whether ``key`` names an event that the policy file lacks: events may be added."""
    parts = key.split(".")
    return len(parts) == 3 and parts[:2] == ["policy", "events"] and not suggest.exists(tree, parts)


def examine(
    tree: Mapping[str, Any], origin: Origin = lambda path: "", ignore: Iterable[str] = ()
) -> tuple[ExperimentConfig | None, list[str]]:
    """The configuration, or None and what is wrong with it.

    Nothing is said about the dotted keys of ``ignore`` and what is below them.
    """
    try:
        config = _adapter().validate_python(dict(tree))
    except ValidationError as error:
        return None, _sentences(error, tree, origin, tuple(ignore))
    problems = cross_checks(config)
    return (None if problems else config), problems


@cache
def _adapter() -> TypeAdapter[ExperimentConfig]:
    return TypeAdapter(ExperimentConfig)


def _sentences(
    error: ValidationError, tree: Mapping[str, Any], origin: Origin, ignore: tuple[str, ...]
) -> list[str]:
    """One sentence for each setting; the alternatives of a union are told together."""
    found: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for entry in error.errors(include_url=False, include_context=False):
        path = _path(entry["loc"], tree, absent=entry["type"].startswith("missing"))
        key = ".".join(path)
        if not any(key == skip or key.startswith(f"{skip}.") for skip in ignore):
            found.setdefault(path, []).append((entry["type"], entry["msg"]))
    told = [path for path in found if not _wrong_within(path, found)]
    return [origin(path) + _sentence(path, found[path], tree) for path in told]


def _wrong_within(path: tuple[str, ...], found: Mapping[tuple[str, ...], list[tuple[str, str]]]) -> bool:
    """Whether a group could also be a word (``off``), and what is wrong is one of its settings."""
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other in found)
    return deeper and all(kind == "literal_error" for kind, _ in found[path])


def _path(loc: Sequence[int | str], tree: Any, absent: bool) -> tuple[str, ...]:
    """``loc`` without the tags that pydantic appends for the members of a union."""
    path: list[str] = []
    for part in map(str, loc):
        if not suggest.exists(tree, [*path, part]):
            if part[:1].isupper():  # the name of a member that is a group of settings
                continue
            return (*path, part) if absent else tuple(path)
        path.append(part)
    return tuple(path)


def _sentence(path: tuple[str, ...], entries: list[tuple[str, str]], tree: Mapping[str, Any]) -> str:
    key, kind = ".".join(path), entries[0][0]
    if kind.startswith("missing"):
        return f"{key} is missing; give it a value."
    if kind == "unexpected_keyword_argument":
        return f"{key}: there is no such setting. {nearest(path[-1], _known_names(path[:-1]))}"
    rules = [message.partition(", unable to parse")[0] for _, message in entries]
    rules = [rule.removeprefix("Input ").removeprefix("should ").removeprefix("be ") for rule in rules]
    rules = [rule.replace("a dictionary or an instance of", "a group of settings like") for rule in rules]
    return f"{key}={_short(suggest.lookup(tree, path))} should be {' or '.join(dict.fromkeys(rules))}."


def _short(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _known_names(path: Sequence[str]) -> list[str]:
    """The settings that the schema knows below ``path``."""
    kind: Any = ExperimentConfig
    for part in path:
        kind = _member(kind, part)
    return list(getattr(kind, "__pydantic_fields__", ()))


def _member(kind: Any, part: str) -> Any:
    if is_dataclass(kind):
        fields: dict[str, Any] = getattr(kind, "__pydantic_fields__", {})
        annotation = fields[part].annotation if part in fields else None
    else:
        annotation = typing.get_args(kind)[-1] if typing.get_args(kind) else None
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = [arg for arg in typing.get_args(annotation) if arg is not types.NoneType]
        return options[0]
    return annotation
