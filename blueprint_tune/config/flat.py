"""Nested settings as dotted keys, and how two of them differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Absent(Enum):
    """The value of a setting that one side does not have."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "(none)"


ABSENT = Absent.ABSENT


@dataclass(frozen=True)
class Change:
    """One setting that differs."""

    key: str
    before: Any
    after: Any

    @property
    def identity(self) -> tuple[str, str, str]:
        """Equal for equal changes, also of lists."""
        return self.key, json.dumps(self.before, default=repr), json.dumps(self.after, default=repr)


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value; an empty mapping is a value."""
    if not isinstance(tree, Mapping) or not tree:
        return {prefix: tree}
    parts = [flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in tree.items()]
    return {key: value for part in parts for key, value in part.items()}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What differs between two results of :func:`flat`, in the order of ``after``."""
    keys = [*after, *(key for key in before if key not in after)]
    found = (Change(key, before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys)
    return [c for c in found if not _same(c.before, c.after) and not _filled(c, before, after)]


def _same(before: Any, after: Any) -> bool:
    """Equal, and of one kind: 1 is not true, though Python says so; 1 and 1.0 are alike."""
    return bool(before == after) and isinstance(before, bool) == isinstance(after, bool)


def _filled(change: Change, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a mapping was empty on one side and is told by its entries on the other."""
    entries = (key for side in (before, after) for key in side if key.startswith(f"{change.key}."))
    return {} in (change.before, change.after) and any(entries)


def shown(value: Any, width: int = 72) -> str:
    """A value as one writes it in a configuration file, cut to ``width`` characters."""
    if value is ABSENT:
        return repr(value)
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= width else f"{text[: width - 1]}…"
