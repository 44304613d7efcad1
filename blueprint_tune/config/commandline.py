"""Overrides of a command line, judged one by one so that every mistake in them is reported together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from blueprint_tune.config.suggest import exists, join_problems, lookup, missing_key
from blueprint_tune.errors import ConfigError, nearest

_ONE_VALUE = "one experiment takes one value. Give one, or run an experiment for each with -m."

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, YAMLError)
"""What Hydra raises when it cannot compose."""


@dataclass
class Groups:
    """The configuration groups: the names of the files of each, and which of them every experiment has."""

    options: dict[str, list[str]]
    always: frozenset[str]


@dataclass
class Verdict:
    """Overrides that can be composed, and what is wrong with the others."""

    usable: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    scene_known: bool = False


def parse(overrides: Sequence[str], verdict: Verdict) -> list[Override]:
    """The overrides that are well-formed; the others become problems."""
    parser, parsed = OverridesParser.create(), []
    for text in overrides:
        try:
            parsed.append(parser.parse_override(text))
        except HydraException as error:
            reason = str(error).splitlines()[0].rstrip(".")
            verdict.problems.append(
                f"'{text}' cannot be read ({reason}). Write key=value, quoted if it has spaces."
            )
    return parsed


def override_key(text: str) -> str:
    """What an override sets or chooses: ``scene`` of ``+scene=kitchen_001``."""
    return text.lstrip("+~").partition("=")[0].partition("@")[0]


def override_values(overrides: Sequence[str]) -> dict[str, Any]:
    """Dotted key -> value of overrides that set values. Raises ConfigError for what cannot be read."""
    verdict = Verdict()
    parsed = parse(overrides, verdict)
    verdict.problems += [f"{o.input_line}: {_ONE_VALUE}" for o in parsed if o.is_sweep_override()]
    verdict.problems += [
        f"{o.input_line}: give the setting a value." for o in parsed if o.type == OverrideType.DEL
    ]
    if verdict.problems:
        raise ConfigError(join_problems(verdict.problems))
    return {override.key_or_group: override.value() for override in parsed}


def judge_groups(parsed: Sequence[Override], groups: Groups, verdict: Verdict) -> list[Override]:
    """Choose files of groups; returns the overrides that set values."""
    values: list[Override] = []
    for override in parsed:
        group = override.key_or_group
        if group.split("/")[0].split(".")[0] == "hydra":
            verdict.usable.append(str(override.input_line))
        elif group not in groups.options or isinstance(override.value(), dict):
            values.append(override)
        elif problem := _group_problem(override, groups):
            verdict.problems.append(problem)
        else:
            verdict.scene_known |= group == "scene"
            verdict.usable.append(str(override.input_line))
    return values


def _group_problem(override: Override, groups: Groups) -> str | None:
    text, group = override.input_line, override.key_or_group
    options = groups.options[group]
    if override.type == OverrideType.DEL:
        return f"{text}: an experiment needs a file of the group '{group}'."
    if override.is_sweep_override():
        return f"{text}: {_ONE_VALUE}"
    name = str(override.value())
    if name not in options:
        return f"{text}: there is no {group} '{name}'. {nearest(name, options)}"
    if override.type == OverrideType.CHANGE and group not in groups.always:
        return f"{text}: a {group} is added to an experiment; write +{group}={name}"
    if override.type == OverrideType.ADD and group in groups.always:
        return f"{text}: an experiment already has a {group}; write {group}={name}"
    return None


def judge_values(values: Sequence[Override], base: DictConfig, groups: Groups, verdict: Verdict) -> None:
    """Check that the keys exist in ``base``, the experiment without these overrides."""
    tree: Any = OmegaConf.to_container(base, resolve=False)
    for override in values:
        key = override.key_or_group
        if key.split(".")[0] == "scene" and not verdict.scene_known:
            continue  # without its scene nothing can be said about it
        if problem := _value_problem(override, tree, groups):
            verdict.problems.append(problem)
        else:
            verdict.usable.append(str(override.input_line))
            _assign(tree, key.split("."), override)


def _value_problem(override: Override, tree: Any, groups: Groups) -> str | None:
    text, key = override.input_line or "", override.key_or_group
    there = exists(tree, key.split("."))
    if override.is_sweep_override():
        return f"{text}: {_ONE_VALUE}"
    if override.type in (OverrideType.CHANGE, OverrideType.DEL) and not there:
        return f"{text}: {missing_key(tree, key, more=groups.options)}{_further_setting(text, key)}"
    if override.type == OverrideType.ADD and there and not isinstance(lookup(tree, key.split(".")), dict):
        return f"{text}: '{key}' exists already; write {key}=… to change it."
    return None


def _further_setting(text: str, key: str) -> str:
    """How to reach what a sweep's file does not mention: its schedulers and searchers take more."""
    inside = key.startswith(("sweep.scheduler.", "sweep.searcher."))
    return f" For another one that the class takes, write +{text}." if inside and "=" in text else ""


def _assign(tree: Any, path: list[str], override: Override) -> None:
    """Do to a plain tree what the override will do, so that the next one is judged by it."""
    for part in path[:-1]:
        if isinstance(tree, dict):
            tree = tree.setdefault(part, {})
        else:
            return
    if not isinstance(tree, dict):
        return
    if override.type == OverrideType.DEL:
        tree.pop(path[-1], None)
    else:
        tree[path[-1]] = override.value()
