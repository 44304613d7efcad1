"""Reading a manifest's JSON: numbers that are finite, words that are words, and a note for every leniency."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from blueprint_tune.errors import ManifestError, printable

MAX_BYTES = 50 * 1024 * 1024


class Guess(NamedTuple):
    """A value that stands in for a missing measurement.

    Attributes:
        text: a sentence. entity: the id it is about, '' for the whole scene.
        about: 'place' (size, position), 'motion' (joint, handle) or 'body' (mass, friction).
    """

    text: str
    entity: str
    about: Literal["place", "motion", "body"]


@dataclass
class Notes:
    """What was let pass, decided or guessed while reading ``path``."""

    path: str
    entries: list[str] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Record a leniency or a decision, once."""
        if text not in self.entries:
            self.entries.append(text)

    def guess(self, text: str, entity: str = "", about: Literal["place", "motion", "body"] = "place") -> None:
        """Record a value that stands in for a missing measurement."""
        full = f"{entity}: {text}" if entity else text
        self.note(full)
        self.guesses.append(Guess(full, entity, about))

    def refuse(self, text: str) -> NoReturn:
        """Raise ManifestError naming the file."""
        raise ManifestError(f"{self.path}: {text}")


def load(path: str | Path) -> tuple[dict[str, Any], str]:
    """The manifest's top-level object and the sha256 of its bytes. Raises ManifestError."""
    notes = Notes(printable(str(path)))
    data = _bytes(Path(path), notes)
    try:
        tree = json.loads(data.decode("utf-8-sig"), parse_constant=lambda name: _constant(name, notes))
    except RecursionError:
        notes.refuse("is nested too deeply to be a scene manifest.")
    except UnicodeDecodeError as error:
        notes.refuse(f"is not UTF-8 text (byte {error.start}); a scene manifest is a JSON file.")
    except ValueError as error:
        notes.refuse(f"is not JSON: {error}.")
    if not isinstance(tree, dict):
        notes.refuse(
            f"holds a {type(tree).__name__} at top level; a scene manifest is an object with 'objects'."
        )
    return tree, hashlib.sha256(data).hexdigest()


def _bytes(path: Path, notes: Notes) -> bytes:
    try:
        if not path.exists():
            notes.refuse(
                "no such file. Give an existing scene manifest: scene.manifest=<path to scene_manifest.json>."
            )
        if not path.is_file():
            notes.refuse("is not a file. Give the path of a scene_manifest.json.")
        size = path.stat().st_size
        if size > MAX_BYTES:
            notes.refuse(
                f"is {size / 2**20:.0f} MB; manifests of more than {MAX_BYTES // 2**20} MB are not read."
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        notes.refuse(f"cannot be read: {reason}.")


def _constant(name: str, notes: Notes) -> NoReturn:
    notes.refuse(f"contains {name}; every number of a scene manifest must be finite.")


def show(value: Any) -> str:
    """A value as an error message quotes it: short and printable."""
    text = printable(str(value) if isinstance(value, str) else repr(value))
    return text if len(text) <= 60 else text[:57] + "…"


def section(parent: dict[str, Any], key: str, where: str, notes: Notes) -> dict[str, Any]:
    """The object at ``key``; an empty one when it is missing or null, or (noted) something else."""
    value = parent.get(key)
    if isinstance(value, dict):
        return value
    if value is not None:
        notes.note(f"{where}: '{key}' is not an object and is ignored.")
    return {}


def text(parent: dict[str, Any], key: str) -> str:
    """The string at ``key``, or '' when there is none."""
    value = parent.get(key)
    return value if isinstance(value, str) else ""


def number(value: Any, where: str, notes: Notes) -> float | None:
    """A finite float, or None when the value is missing. Raises ManifestError for anything else."""
    if value is None:
        return None
    if isinstance(value, str):
        notes.note(f"{where}: the number {show(value)!r} is written as text.")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        notes.refuse(f"{where} is {show(value)}; expected a number.")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        notes.refuse(f"{where} is {show(value)}; expected a finite number.")
    if not math.isfinite(found):
        notes.refuse(f"{where} is {show(value)}; every number of a scene manifest must be finite.")
    return found


def numbers(value: Any, keys: tuple[str, ...], where: str, notes: Notes) -> list[float | None]:
    """One number (or None) a key, from an object with these keys or (noted) a list in their order."""
    if value is None:
        return [None] * len(keys)
    if isinstance(value, list) and len(value) == len(keys):
        notes.note(f"{where} is a list; read as {', '.join(keys)}.")
        value = dict(zip(keys, value, strict=True))
    if not isinstance(value, dict):
        notes.refuse(f"{where} is {show(value)}; expected an object with {', '.join(keys)}.")
    return [number(value.get(key), f"{where}.{key}", notes) for key in keys]


class Names:
    """Unique, sane names (``[A-Za-z0-9_]+``) for the ids of one manifest."""

    _RESERVED = frozenset({"world", "robot", "floor", "robot_pedestal"})

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._seen: set[str] = set()
        self._taken: set[str] = set()

    def reserve(self, ids: Iterable[Any]) -> None:
        """Ids that are fine as they are keep their names, whatever else is sanitised to the same."""
        self._kept = {raw for raw in ids if isinstance(raw, str) and raw == _sane(raw)}

    def take(self, raw: Any, index: int) -> tuple[str, str]:
        """(name, the manifest's id) of ``objects[index]``. Raises ManifestError for what is no name."""
        source = self._source(raw, index)
        if source in self._seen:
            self._notes.refuse(f"the id '{show(source)}' is used twice; every object needs its own.")
        self._seen.add(source)
        name = self._unique(_sane(source) or f"object_{index}", source)
        if name != source:
            self._notes.note(f"objects[{index}]: the id '{show(source)}' is called '{name}' here.")
        return name, source

    def _source(self, raw: Any, index: int) -> str:
        if isinstance(raw, int) and not isinstance(raw, bool):
            self._notes.note(f"objects[{index}]: the id {show(raw)} is a number, not text.")
            raw = str(raw)[:64]
        if not isinstance(raw, str) or not raw.strip():
            self._notes.refuse(f"objects[{index}] has no usable 'id' ({show(raw)}); every object needs one.")
        parts = re.split(r"[/\\]", raw)
        hostile = (
            ".." in parts
            or parts[0] == ""
            or re.match(r"[A-Za-z]:[/\\]", raw)
            or re.search(r"[\x00-\x1f\x7f]", raw)
        )
        if hostile:
            self._notes.refuse(
                f"objects[{index}] has the id '{show(raw)}', a path or control characters; use a plain name."
            )
        return raw

    def _unique(self, name: str, source: str) -> str:
        candidate, count = name, 1
        while not self._free(candidate, source):
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate

    def _free(self, name: str, source: str) -> bool:
        """Free names collide with no other entity, nor with what a simulator adds to one."""
        if name in self._taken or name in self._RESERVED or (name in self._kept and name != source):
            return False
        known = self._taken | self._kept
        stem = re.sub(r"_(joint|handle|free)$", "", name)
        derived = {f"{name}_joint", f"{name}_handle", f"{name}_free"}
        return not (stem != name and stem in known) and not (name != source and derived & known)


def _sane(raw: str) -> str:
    ascii_only = (
        re.sub(r"[^A-Za-z0-9_]+", "_", raw).strip("_") if not re.fullmatch(r"[A-Za-z0-9_]+", raw) else raw
    )
    return ascii_only[:64]
