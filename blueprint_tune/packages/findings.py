"""What is wrong with a package: where, what it means at run time, and what this program does about it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from blueprint_tune.errors import printable
from blueprint_tune.packages.model import Module, Package, Place
from blueprint_tune.packages.static import dotted

Level = Literal["fatal", "adapted", "note", "unchecked"]
EXIT = {"fatal": 2, "adapted": 1, "note": 0, "unchecked": 0}

FROM_MANIFEST = "the scene is built from its manifest, not from env_cfg.py"
FROM_POLICY = "the policy type's own file says what is observed, done and randomised"
FROM_ROBOT = "the robot's own file has its model, motors and joints"


@dataclass(frozen=True)
class Finding:
    """One row of ``validate``.

    Attributes:
        code: the kind of defect, stable across versions. level: what it does to the exit status.
        what: what stands there. runs: what it means where the package is run as it is, on Isaac Lab 2.3.
        here: what this program does about it.
    """

    code: str
    level: Level
    place: Place
    what: str
    runs: str
    here: str

    def __post_init__(self) -> None:
        """What stands in a package may be meant for the terminal: it is told without what that obeys."""
        for name in ("what", "runs", "here"):
            object.__setattr__(self, name, printable(getattr(self, name)))


def found_in(
    package: Package, matches: Callable[[ast.AST], bool], *files: str
) -> Iterator[tuple[Module, ast.AST]]:
    """Nodes of the package's modules (of ``files`` only, if any are given) in the order of the files."""
    for file, module in package.modules.items():
        if not files or file in files:
            yield from ((module, node) for node in module.nodes if matches(node))


def first_and_count(found: Iterator[tuple[Module, ast.AST]]) -> tuple[Place, int] | None:
    """The first of what was found, by file and line, and how many there are."""
    places = [Place(module.file, getattr(node, "lineno", 0)) for module, node in found]
    if not places:
        return None
    file = places[0].file
    return min((place for place in places if place.file == file), key=lambda place: place.line), len(places)


def times(count: int) -> str:
    """' (3 times)', nothing for one."""
    return f" ({count} times)" if count > 1 else ""


def is_call_of(node: ast.AST, name: str) -> bool:
    """Whether ``node`` calls a function or class whose last name is ``name``."""
    return isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == name
