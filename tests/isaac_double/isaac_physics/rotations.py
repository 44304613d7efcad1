"""Vectors turned by quaternions (wxyz)."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(quat: Tensor, vector: Tensor) -> Tensor:
    """A vector of the turned frame in the frame it is turned in: (..., 4), (..., 3)."""
    w, axis = quat[..., :1], quat[..., 1:]
    twice = 2 * torch.linalg.cross(axis, vector)
    return vector + w * twice + torch.linalg.cross(axis, twice)


def rotate_back(quat: Tensor, vector: Tensor) -> Tensor:
    """The inverse of :func:`rotate`."""
    return rotate(torch.cat([quat[..., :1], -quat[..., 1:]], dim=-1), vector)
