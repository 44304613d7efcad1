"""Commands that stand for several experiments: lists, ranges, ``glob(…)`` and ``all`` taken apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Glob, Override

from blueprint_tune.config import paths
from blueprint_tune.config.commandline import Verdict, parse
from blueprint_tune.config.suggest import join_problems
from blueprint_tune.errors import ConfigError, nearest

ALL = "all"
"""In place of a file's name: every file of the group."""
_OPEN = "???"
"""How a configuration file writes a value that the user has to give."""


@dataclass(frozen=True)
class Combination:
    """One experiment of several.

    Attributes:
        overrides: its command. axes: key -> value of what takes several values.
        broad: whether one of these comes from ``all`` or ``glob(…)`` and was not named.
    """

    overrides: tuple[str, ...]
    axes: dict[str, str]
    broad: bool

    @property
    def label(self) -> str:
        """Its axes, or its command when nothing varies."""
        return " ".join([f"{key}={value}" for key, value in self.axes.items()] or self.overrides)


def combinations(overrides: Sequence[str], everything: bool = False) -> list[Combination]:
    """One for each choice of a value from every list, in the order of the command.

    ``everything`` lets ``group=all`` stand for every file of a group. Raises ConfigError for what cannot be
    read and for globs that match nothing.
    """
    words: dict[str, list[str]] = {}  # a key that is given twice counts as it was given last
    axes, broad = set(), False
    for override in _parsed(overrides):
        key, names = override.get_key_element(), _names(override, everything)
        if names is None and not override.is_sweep_override():
            words[key] = [str(override.input_line)]
            axes.discard(key)
            continue
        words[key] = [f"{key}={value}" for value in (_values(override) if names is None else names)]
        axes.add(key)
        broad |= names is not None
    return [
        Combination(
            chosen,
            {key.lstrip("+"): word.partition("=")[2] for key, word in zip(words, chosen) if key in axes},
            broad,
        )
        for chosen in itertools.product(*words.values())
    ]


def without_globs(overrides: Sequence[str]) -> list[str]:
    """``overrides`` with every ``group=glob(…)`` as the list of files it means.

    Hydra itself would also take files that only other files build on (``_name``).
    """
    found = []
    for text, override in zip(overrides, _parsed(overrides), strict=True):
        names = _names(override, everything=False)
        found.append(text if names is None else f"{override.get_key_element()}={','.join(names)}")
    return found


def _parsed(overrides: Sequence[str]) -> list[Override]:
    verdict = Verdict()
    parsed = parse(overrides, verdict)
    if verdict.problems:
        raise ConfigError(join_problems(verdict.problems))
    return parsed


def _values(override: Override) -> list[str]:
    if not override.is_discrete_sweep():
        raise ConfigError(f"{override.input_line}: give a list of values, for example 1,2,3 or range(1,4).")
    return [str(value) for value in override.sweep_string_iterator()]


def _names(override: Override, everything: bool) -> list[str] | None:
    """The files that ``glob(…)`` or ``all`` stands for; None for an override that is neither."""
    group = override.key_or_group
    value: Any = override.value()
    options = paths.group_options(group) if group in paths.GROUPS else []
    if everything and value == ALL and options and ALL not in options:
        return _complete(group, options)
    if not isinstance(value, Glob):
        return None
    if not options:
        raise ConfigError(
            f"{override.input_line}: glob(…) chooses files of a group, and '{group}' is none. "
            f"{nearest(group, paths.GROUPS)}"
        )
    names = _complete(group, value.filter(options))
    if not names:
        raise ConfigError(f"{override.input_line}: no {group} is called like that. {nearest('', options)}")
    return names


def _complete(group: str, names: Sequence[str]) -> list[str]:
    """Without files that need a value nobody has given, such as a manifest's path."""
    return [name for name in names if not any(_OPEN in line for line in _settings(group, name))]


def _settings(group: str, name: str) -> list[str]:
    """The lines of a configuration file, comments left out."""
    roots = [*paths.user_conf_dirs(), paths.conf_dir()]
    file = next((f for root in roots if (f := Path(root) / group / f"{name}.yaml").is_file()), None)
    return [] if file is None else [line.partition("#")[0] for line in file.read_text().splitlines()]
