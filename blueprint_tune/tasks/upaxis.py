"""How a manifest's coordinates are meant: its own word, unless heights make sense only another way.

Manifests are known that say y_up and are z_up, and that give the middle of an object's underside as its
position. Where the objects would sink into the floor or hang in the air as the manifest says, and would stand
and lie sensibly otherwise, the other reading is taken, and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from blueprint_tune.tasks.geometry import Z_UP_FROM_Y_UP, Floats, half_extents, quat_matrix

Up = Literal["y", "z"]
TO_Z_UP: dict[Up, Floats] = {"y": Z_UP_FROM_Y_UP, "z": np.eye(3)}

_CLOSE_M, _SUNK_M = 0.05, 0.02
_SURFACES_M = (0.3, 2.2)
"""Where tables, counters and shelves carry things, above the floor."""
_MIN_STANDING = 3
"""Things that stand on the floor, below which nothing is concluded about where positions are measured."""


@dataclass(frozen=True)
class Placed:
    """One object in the manifest's axes: position (3,) m, quat (4,) wxyz, size (3,) m, own frame, z up."""

    position: Floats
    quat: Floats
    size: Floats
    stands: bool
    movable: bool
    shell: bool


@dataclass(frozen=True)
class Reading:
    """How coordinates are meant: the up axis, whether positions are undersides, the floor's height; why."""

    up: Up
    bottoms: bool
    floor_m: float
    reason: str


def convert(placed: Placed, up: Up) -> tuple[Floats, Floats]:
    """(position (3,), quat (4,)) in z-up axes, for a manifest whose ``up`` axis points up."""
    turn = TO_Z_UP[up]
    return turn @ placed.position, np.concatenate([placed.quat[:1], turn @ placed.quat[1:]])


def decide(
    objects: Sequence[Placed], said: Up | None, floors: dict[Up, float], insisted: bool = False
) -> Reading:
    """The reading that makes sense, in this order: as said, the other axis, undersides, both.

    Args:
        said: the up axis by the manifest's or the user's word. floors: the floor's height in m by axis.
        insisted: the user has named the axis, so it is not questioned.
    """
    first: Up = said or "y"
    axes: tuple[Up, ...] = (first,) if insisted else (first, "z" if first == "y" else "y")
    options = [(up, bottoms) for bottoms in (False, True) for up in axes]
    scores = [_plausible(objects, up, floors[up], bottoms) for up, bottoms in options]
    best = int(np.argmax(scores))
    if said is not None and (scores[0] >= 0.5 or scores[best] < 0.5):
        best = 0
    up, bottoms = options[best]
    reason = f"{up} is up, as {'scene.up_axis' if insisted else 'the manifest'} says."
    if said is None:
        reason = (
            f"no coordinate_frame is given; {up} is taken as up because heights make most sense that way."
        )
    elif up != said:
        reason = (
            f"the manifest says {said}_up, but the heights of {_percent(1 - scores[0])} of the objects make "
            f"no sense that way, and of {_percent(1 - scores[best])} with {up} up; {up} is taken as up "
            f"(scene.up_axis={said} insists)."
        )
    return Reading(up, bottoms, floors[up], reason)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _plausible(objects: Sequence[Placed], up: Up, floor: float, bottoms: bool) -> float:
    """The share of objects that stand or lie where such things do."""
    voters = [placed for placed in objects if not placed.shell]
    if not voters or (bottoms and sum(placed.stands for placed in voters) < _MIN_STANDING):
        return 0.0 if bottoms else 1.0
    posed = [convert(placed, up) for placed in voters]
    center = np.array([position for position, _ in posed])
    half = np.array([half_extents(quat_matrix(q), v.size) for (_, q), v in zip(posed, voters, strict=True)])
    center[:, 2] += half[:, 2] * bottoms - floor
    low, high = center - half, center + half
    return float(np.mean([_sensible(placed, i, low, high) for i, placed in enumerate(voters)]))


def _sensible(placed: Placed, i: int, low: Floats, high: Floats) -> bool:
    bottom = low[i, 2]
    if bottom < -_SUNK_M:
        return False
    if placed.stands:
        return bool(bottom < _CLOSE_M)
    if not placed.movable or bottom < _CLOSE_M or _SURFACES_M[0] < bottom < _SURFACES_M[1]:
        return True
    under = np.all((low[:, :2] < high[i, :2]) & (high[:, :2] > low[i, :2]), axis=1)
    return bool(np.any(under & (np.abs(high[:, 2] - low[i, 2]) < _CLOSE_M)))
