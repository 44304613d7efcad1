"""Checkpoint files: tensors and plain values only, so that loading one runs no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from blueprint_tune.errors import CheckpointDamaged, ObjectNotFound, StorageError

FORMAT = 1
"""Raised when a checkpoint of an older program can no longer be read."""


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (nested dicts of tensors and numbers) so that the file is whole or absent."""
    partial = path.with_suffix(path.suffix + ".part")
    torch.save({"format": FORMAT, **state}, partial)
    os.replace(partial, path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` wrote.

    Raises ObjectNotFound when the file is missing, CheckpointDamaged when it is damaged, StorageError when
    it is of another format.
    """
    if not path.exists():
        raise ObjectNotFound(f"There is no checkpoint {path}.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointDamaged(f"Checkpoint {path} is damaged: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise StorageError(f"Checkpoint {path} was written by another version of this program.")
    return state
