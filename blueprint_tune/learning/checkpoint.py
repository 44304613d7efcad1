"""Checkpoint files: tensors and plain values only, so that loading one runs no code.

A file ends with the digest of everything before it (torch does not compare the zip archive's own checksums,
so that a flipped bit in a weight would be read as another weight).
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch

from blueprint_tune.errors import CheckpointDamaged, ObjectNotFound, StorageError
from blueprint_tune.storage.digests import is_plain_zip, is_sealed, seal_zip

FORMAT = 2
"""Raised when a checkpoint of an older program can no longer be read."""
_UNSEALED = 1
"""The format before, the same without a digest: still read, its damage not always found."""


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (nested dicts of tensors and numbers) so that the file is whole or absent.

    Tensors are written as those of a CPU, whatever device they are on.
    """
    partial = path.with_suffix(path.suffix + ".part")
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **_on_cpu(state)}, buffer)
    partial.write_bytes(seal_zip(buffer.getvalue()))
    os.replace(partial, path)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(each) for key, each in value.items()}
    return type(value)(_on_cpu(each) for each in value) if isinstance(value, list | tuple) else value


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` wrote.

    Raises ObjectNotFound when the file is missing, CheckpointDamaged when a single bit of it is not as it
    was written, StorageError when it is of another format.
    """
    if not path.exists():
        raise ObjectNotFound(f"There is no checkpoint {path}.")
    content = path.read_bytes()
    sealed = is_sealed(content)
    if not sealed and not is_plain_zip(content):
        raise CheckpointDamaged(f"Checkpoint {path} is damaged: it is not what was written, or cut off.")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointDamaged(f"Checkpoint {path} is damaged: {error}") from error
    if not isinstance(state, dict) or state.get("format") != (FORMAT if sealed else _UNSEALED):
        raise StorageError(f"Checkpoint {path} was written by another version of this program.")
    return state
