"""Which axis of a manifest points up: its own word, unless heights make sense only the other way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from blueprint_tune.tasks.geometry import Z_UP_FROM_Y_UP, Floats, half_extents, quat_matrix

Up = Literal["y", "z"]
TO_Z_UP: dict[str, Floats] = {"y": Z_UP_FROM_Y_UP, "z": np.eye(3)}

_CLOSE_M = 0.05
_SURFACES_M = (0.3, 2.2)
"""Where tables, counters and shelves carry things, above the floor."""


@dataclass(frozen=True)
class Placed:
    """One object in the manifest's axes: position (3,) m, quat (4,) wxyz, size (3,) m, own frame, z up."""

    position: Floats
    quat: Floats
    size: Floats
    stands: bool
    movable: bool
    shell: bool


def convert(placed: Placed, up: Up) -> tuple[Floats, Floats]:
    """(position (3,), quat (4,)) in z-up axes, for a manifest whose ``up`` axis points up."""
    turn = TO_Z_UP[up]
    return turn @ placed.position, np.concatenate([placed.quat[:1], turn @ placed.quat[1:]])


def decide(objects: Sequence[Placed], declared: Up | None, floors: dict[str, float]) -> tuple[Up, str]:
    """(up axis, the reason). ``floors`` holds the floor's height under either reading."""
    scores = {up: _plausible(objects, up, floors[up]) for up in TO_Z_UP}
    said: Up = declared or "y"
    other: Up = "z" if said == "y" else "y"
    if declared is None:
        best: Up = said if scores[said] >= scores[other] else other
        return (
            best,
            f"no coordinate_frame is given; {best} is taken as up because heights make more sense that way.",
        )
    if scores[said] < 0.5 <= scores[other]:
        return other, (
            f"the manifest says {said}_up, but the heights of {_percent(1 - scores[said])} of the objects make no sense "
            f"that way and of {_percent(1 - scores[other])} with {other} up; {other} is taken as up "
            f"(scene.up_axis={said} insists)."
        )
    return said, f"{said} is up, as the manifest says."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _plausible(objects: Sequence[Placed], up: Up, floor: float) -> float:
    """The share of objects that stand or lie where such things do."""
    voters = [placed for placed in objects if not placed.shell]
    if not voters:
        return 1.0
    centers, halves = [], []
    for placed in voters:
        position, quat = convert(placed, up)
        centers.append(position)
        halves.append(half_extents(quat_matrix(quat), placed.size))
    low, high = np.array(centers) - np.array(halves), np.array(centers) + np.array(halves)
    return float(np.mean([_sensible(placed, i, low, high, floor) for i, placed in enumerate(voters)]))


def _sensible(placed: Placed, i: int, low: Floats, high: Floats, floor: float) -> bool:
    bottom = low[i, 2] - floor
    if bottom < -_CLOSE_M:
        return False
    if placed.stands:
        return bool(bottom < _CLOSE_M)
    if not placed.movable or bottom < _CLOSE_M or _SURFACES_M[0] < bottom < _SURFACES_M[1]:
        return True
    under = np.all((low[:, :2] < high[i, :2]) & (high[:, :2] > low[i, :2]), axis=1)
    return bool(np.any(under & (np.abs(high[:, 2] - low[i, 2]) < _CLOSE_M)))
