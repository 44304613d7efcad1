"""What a misspelt setting was probably meant to be, and one message for several problems."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from blueprint_tune.errors import nearest


def leaves(tree: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of all values below ``tree`` that are not themselves mappings."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif prefix:
        yield prefix


def step_into(node: Any, part: str) -> Any:
    """The value of ``part`` in a mapping or list; raises KeyError when there is none."""
    if isinstance(node, dict) and part in node:
        return node[part]
    if isinstance(node, list) and part.isdigit() and int(part) < len(node):
        return node[int(part)]
    raise KeyError(part)


def lookup(tree: Any, path: Sequence[str]) -> Any:
    """The value at ``path``; raises KeyError when there is none."""
    for part in path:
        tree = step_into(tree, part)
    return tree


def exists(tree: Any, path: Sequence[str]) -> bool:
    """Whether ``tree`` has a value at ``path``."""
    try:
        lookup(tree, path)
    except KeyError:
        return False
    return True


def missing_key(tree: Any, key: str, more: Iterable[str] = ()) -> str:
    """One sentence about a dotted ``key`` that ``tree`` lacks, with what it was probably meant to be.

    ``more`` are further names that are valid at the top level.
    """
    parts = key.split(".")
    depth = next(i for i in range(len(parts)) if not exists(tree, parts[: i + 1]))
    node = lookup(tree, parts[:depth])
    if not isinstance(node, dict):
        return f"'{'.'.join(parts[:depth])}' is a single value and has no '{parts[depth]}'."
    siblings = [str(name) for name in node] + (list(more) if depth == 0 else [])
    near = difflib.get_close_matches(parts[depth], siblings, n=1, cutoff=0.6)
    near = near or [name for name in siblings if "_" in name and _initials(name) == parts[depth]]
    if near:
        return f"there is no such setting. Did you mean '{'.'.join([*parts[:depth], near[0]])}'?"
    elsewhere = {path.rsplit(".", 1)[-1]: path for path in leaves(tree)}
    close = difflib.get_close_matches(parts[-1], elsewhere, n=1, cutoff=0.75)
    if close:
        return f"there is no such setting. Did you mean '{elsewhere[close[0]]}'?"
    return f"there is no such setting. {nearest(parts[depth], siblings)}"


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))


def join_problems(problems: Sequence[str]) -> str:
    """One message for one or many problems, each once."""
    unique = list(dict.fromkeys(problems))
    if len(unique) == 1:
        return unique[0]
    return "\n  - ".join([f"{len(unique)} problems in the configuration:", *unique])
