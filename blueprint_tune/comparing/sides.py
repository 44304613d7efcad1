"""One revision's configuration files, and what commands come to with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from blueprint_tune.comparing.commands import Command, commands
from blueprint_tune.comparing.revisions import CONF, SEARCHSPACES, Revision
from blueprint_tune.config import paths
from blueprint_tune.config.compose import examine_composed
from blueprint_tune.config.conf_files import Library
from blueprint_tune.config.flat import Change, flat
from blueprint_tune.config.origins import origin
from blueprint_tune.config.tree import Composed, load

_SPACE = "searchspace "
"""Begins the keys of a search space's entries."""


@dataclass(frozen=True)
class Outcome:
    """What a command comes to in one revision."""

    settings: dict[str, Any]
    composed: Composed
    files: frozenset[str]


@dataclass
class Side:
    """One revision, being composed."""

    revision: Revision
    conf_files: Library = field(default_factory=Library)
    outcomes: dict[Command, Outcome] = field(default_factory=dict)

    def commands(self) -> dict[str, Command]:
        """By their labels."""
        with paths.reading_from(self.revision.roots):
            return {command.label: command for command in commands()}

    def compose(self, command: Command) -> Outcome:
        """Once for each command."""
        if command not in self.outcomes:
            with paths.reading_from(self.revision.roots):
                self.outcomes[command] = self._compose(command)
        return self.outcomes[command]

    def policy_files(self, name: str) -> set[str] | None:
        """The files that a policy type is made of; None where its list of them is not plain names."""
        file = f"{CONF}/policy/{name}.yaml"
        try:
            tree = yaml.safe_load(self.revision.contents.get(file, b""))
        except (yaml.YAMLError, UnicodeDecodeError):
            return None
        found = {file}
        for base in tree.get("defaults") or () if isinstance(tree, dict) else ():
            inner = self.policy_files(base) if isinstance(base, str) and base.isidentifier() else None
            if inner is None:
                return None
            found |= inner if base != "_self_" else set()
        return found

    def problems(self, command: Command) -> tuple[str, ...]:
        """Why the program would not run it; empty when it would."""
        composed = self.compose(command).composed
        with paths.reading_from(self.revision.roots):
            return tuple(self._in_repository(problem) for problem in examine_composed(composed)[1])

    def origin(self, command: Command, change: Change) -> str:
        """The file that sets what changes, as ``conf/agent/ppo.yaml``."""
        if change.key.startswith(_SPACE):
            return f"{SEARCHSPACES}/{change.key.removeprefix(_SPACE).split(':')[0]}.yaml"
        with paths.reading_from(self.revision.roots):
            label = origin(change.key.split("."), self.compose(command).composed).removesuffix(": ")
        return self._in_repository(label)

    def _in_repository(self, text: str) -> str:
        """``text`` with the files of the revision called as the repository calls them."""
        for root in (self.revision.roots.conf, *self.revision.roots.users):
            text = text.replace(str(root), CONF)
        return text.replace(str(self.revision.roots.searchspaces), SEARCHSPACES)

    def _compose(self, command: Command) -> Outcome:
        self.conf_files.read.clear()
        composed = load(command.overrides, library=self.conf_files)
        read = {f"{CONF}/{name}.yaml" for name in self.conf_files.read}
        settings = flat(composed.tree)
        spaces = [str(name) for name in _names(composed.tree.get("searchspace"))] if composed.tree else []
        for name in spaces:
            settings |= _space(name)
            read.add(f"{SEARCHSPACES}/{name}.yaml")
        if command.files_only:
            settings = {f"{group}=": name for group, name in composed.choices.items()}
        return Outcome(settings, composed, frozenset(read))


def _names(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _space(name: str) -> dict[str, Any]:
    """The entries of a search space as settings of its own."""
    for folder in paths.searchspace_dirs():
        if (file := folder / f"{name}.yaml").is_file():
            try:
                tree = yaml.safe_load(file.read_text())
            except (yaml.YAMLError, UnicodeDecodeError):
                return {}
            entries = tree if isinstance(tree, dict) else {}
            return {
                f"{_SPACE}{name}: {key}{'.' if inner else ''}{inner}": value
                for key, entry in entries.items()
                for inner, value in flat(entry).items()
            }
    return {}
