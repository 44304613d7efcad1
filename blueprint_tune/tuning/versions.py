"""Whether this program can go on with what another one began."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blueprint_tune.config.identity import provenance
from blueprint_tune.errors import ConfigError


def check_versions(saved: Mapping[str, Any], folder: Path) -> str | None:
    """Compare ``provenance`` of an experiment's document with this program's.

    Returns a sentence where only the program's code changed, as it does in a checkout that is worked on; None
    where nothing did. Raises ConfigError where versions differ: checkpoints and Ray's own files may not be
    readable, and the trials would not be one experiment.
    """
    now = provenance()
    before, after = _versions(saved), _versions(now)
    differing = [
        f"{name} {before[name]}, now {after[name]}" for name in before if before[name] != after.get(name)
    ]
    if differing:
        raise ConfigError(
            f"{folder} was begun with other versions: {'; '.join(differing)}. Go on with those, or leave it "
            "as it is and start anew with the same settings and another name=…"
        )
    if saved.get("code_digest") != now["code_digest"]:
        return (
            "The program's code has changed since this experiment was begun; what follows may not be what "
            "it would have been."
        )
    return None


def _versions(known: Mapping[str, Any]) -> dict[str, str]:
    """Name -> version of whatever results and files depend on; Python's without its patch level."""
    python = ".".join(str(known.get("python", platform.python_version())).split(".")[:2])
    own = {"blueprint-tune": str(known.get("blueprint_tune")), "Python": python}
    return own | {name: str(version) for name, version in dict(known.get("libraries") or {}).items()}
