"""The one place that knows in which order Isaac Lab writes quaternions: wxyz up to 2.x, xyzw from 3.0 on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

import torch
from torch import Tensor

_TO_XYZW, _TO_WXYZ = [1, 2, 3, 0], [3, 0, 1, 2]


def scalar_first(version: str | None = None) -> bool:
    """Whether that version of Isaac Lab, or the installed one, writes wxyz.

    An installation from source has its extension's version, 0.x up to Isaac Lab 2.3.
    """
    return int((version or metadata.version("isaaclab")).split(".")[0]) < 3


class QuaternionOrder:
    """Converts (…, 4) quaternions between our wxyz and Isaac Lab's order."""

    def __init__(self, scalar_is_first: bool) -> None:
        self._same = scalar_is_first

    def ours(self, theirs: Tensor) -> Tensor:
        """What Isaac Lab gave, as wxyz."""
        return theirs if self._same else theirs[..., _TO_WXYZ]

    def theirs(self, ours: Tensor) -> Tensor:
        """Quaternions wxyz, as Isaac Lab takes them."""
        return ours if self._same else ours[..., _TO_XYZW]

    def tuple_of(self, ours: Sequence[float]) -> tuple[float, ...]:
        """One quaternion wxyz for a configuration."""
        return tuple(self.theirs(torch.tensor(ours, dtype=torch.float64)).tolist())
