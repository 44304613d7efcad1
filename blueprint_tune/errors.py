"""Everything this program raises on purpose.

::

    BlueprintTuneError
    ├── ConfigError ── SearchSpaceError
    ├── TaskPackageError ── ManifestError
    ├── SimulatorError ── BackendUnavailable
    ├── TrainingDiverged
    ├── OutOfMemory
    ├── ExportMismatch
    └── StorageError ── ObjectNotFound, ObjectTooLarge, ClaimTaken, CheckpointDamaged, BundleDamaged

A message says where, what, what was expected or is nearest, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BlueprintTuneError(Exception):
    """A mistake or a condition a user can act on; the command line prints its message and exits 2."""


class ConfigError(BlueprintTuneError):
    """A setting is missing, misspelt or makes no sense."""


class SearchSpaceError(ConfigError):
    """A search space names a key that does not exist or cannot be searched."""


class TaskPackageError(BlueprintTuneError):
    """A task package or scene cannot be used."""


class ManifestError(TaskPackageError):
    """A scene manifest cannot be read."""


class SimulatorError(BlueprintTuneError):
    """Physics cannot be built or has failed."""


class BackendUnavailable(SimulatorError):
    """The backend's packages or hardware are missing."""


class TrainingDiverged(BlueprintTuneError):
    """A tensor became NaN or infinite."""


class OutOfMemory(BlueprintTuneError):
    """A device's memory does not suffice for the number of environments."""


class ExportMismatch(BlueprintTuneError):
    """The exported policy does not compute what the trained one does."""


class StorageError(BlueprintTuneError):
    """Storage cannot be read or written."""


class ObjectNotFound(StorageError):
    """A path does not exist in storage."""


class ObjectTooLarge(StorageError):
    """An object is larger than what was to be read of it."""


class ClaimTaken(StorageError):
    """Somebody else holds the claim."""


class CheckpointDamaged(StorageError):
    """A checkpoint's file is not what was written."""


class BundleDamaged(StorageError):
    """A file of a bundle is missing, or not what was written."""


def printable(text: str) -> str:
    """``text`` without what a terminal obeys: escapes, line breaks and invisible characters become ``?``."""
    return "".join(c if c.isprintable() else "?" for c in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """'Did you mean …?' for the closest known name, else the list of what exists."""
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{close[0]}'?"
    if not options:
        return "None exists here."
    shown = ", ".join(options[:20]) + (", …" if len(options) > 20 else "")
    return f"Available: {shown}."
