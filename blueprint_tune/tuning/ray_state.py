"""What Ray writes down about a search, in files that a kill -9 can leave half written."""

from __future__ import annotations

import json
from pathlib import Path

from blueprint_tune.errors import BlueprintTuneError

_STATES = ("experiment_state-*.json", "basic-variant-state-*.json")
"""Copied into place by Ray, not moved: a process killed meanwhile leaves a torn one. One a process."""
TORN = ".torn"


def set_torn_aside(trials: Path) -> None:
    """Rename what cannot be read, so that Ray goes on from what an earlier process wrote.

    Raises BlueprintTuneError if that leaves nothing to go on from.
    """
    torn = [path for pattern in _STATES for path in trials.glob(pattern) if not _whole(path)]
    for path in torn:
        path.rename(path.with_name(path.name + TORN))
    if torn and not any(trials.glob(_STATES[0])):
        raise BlueprintTuneError(
            f"Ray's record of this search is torn, because it was killed while writing it: {torn[0]}{TORN}\n"
            f"The search cannot go on. Reports and checkpoints of its trials are in {trials}: copy what you "
            "want to keep; the same command again starts the search anew."
        )


def _whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True
