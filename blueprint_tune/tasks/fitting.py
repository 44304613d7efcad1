"""A measured shape put into an entity's box, and the boxes of its parts.

Where upstream's meshes come from, sizes are relative: Particulate writes URDFs whose longest edge is 1,
Infinigen another specimen of the class. As upstream's own USD assembly does
(``usd-assembly-job/build_scene_usd.py``), a shape is centred in the box of the manifest and stretched to
fill it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from blueprint_tune.tasks.geometry import Box, Floats
from blueprint_tune.tasks.upaxis import TO_Z_UP, Up

UP_AXES: tuple[Up, Up] = ("z", "y")
"""What may point up in a URDF; z by convention (ROS REP 103), y where meshes were taken over from glTF."""
STRETCHED = 1.25
"""Extents whose scales differ more than this: the URDF and the manifest do not mean the same shape."""
_IMPLAUSIBLE = 0.9 * math.log(STRETCHED)
"""How much it counts that an axis does not suit the class: it decides where proportions do not."""
_CLOSE = 0.02
"""Scales this near to 1 are 1: the URDF is in metres, and the manifest's size is rounded or estimated."""
_THINNEST_M = 0.001
_FLAT = 1e-4


class Fit(NamedTuple):
    """From a URDF's root frame to the entity's: ``matrix`` (3, 3) after ``center`` (3,) is taken off.

    ``up`` points up in the URDF; ``sure`` if the other axis makes less sense. ``scale``: along the entity's
    x, y, z. ``stretch``: 1 = all are scaled alike.
    """

    matrix: Floats
    center: Floats
    up: Up
    sure: bool
    scale: Floats
    stretch: float

    def points(self, points: Floats) -> Floats:
        """(..., 3) points of the URDF in the entity's frame, m."""
        return np.asarray((points - self.center) @ self.matrix.T)


def fit(corners: Floats, size: Floats, axis: Floats | None, likely: str) -> Fit | None:
    """How a shape fills a box; None when it has no size.

    Args:
        corners: (N, 3) of all its parts. size: (3,) of the entity's box, m.
        axis: (3,) of its joint. likely: the entity's axes ('x', 'xz', …) along which it is expected.

    y or z points up: the one that needs less stretching, an unlikely axis counting against it; z in doubt.
    """
    if not np.ptp(corners, axis=0).max() > 1e-9:
        return None
    (z_fit, z_misfit), (y_fit, y_misfit) = (_with_up(up, corners, size, axis, likely) for up in UP_AXES)
    best = y_fit if y_misfit < z_misfit - _CLOSE else z_fit
    return best._replace(sure=abs(y_misfit - z_misfit) > _CLOSE)


def _with_up(up: Up, corners: Floats, size: Floats, axis: Floats | None, likely: str) -> tuple[Fit, float]:
    turn = TO_Z_UP[up]
    turned = corners @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    extent = high - low
    solid = extent > _FLAT * extent.max()
    scale = np.where(solid, size / np.where(solid, extent, 1.0), 0.0)
    scale = np.where(solid, scale, np.median(scale[solid]))
    if np.abs(scale - 1).max() < _CLOSE:
        scale = np.ones(3)
    stretch = float(scale.max() / scale.min())
    misfit = math.log(min(stretch, STRETCHED)) + _IMPLAUSIBLE * (not plausible(up, axis, likely))
    center = turn.T @ ((low + high) / 2)
    return Fit(scale[:, None] * turn, center, up, True, scale, stretch), misfit


def plausible(up: Up, axis: Floats | None, likely: str) -> bool:
    """Whether a joint's axis (3,) is one of the entity's ``likely`` ones, if this axis of its URDF is up."""
    return axis is None or "xyz"[int(np.argmax(np.abs(TO_Z_UP[up] @ axis)))] in likely


def box_around(corners: Sequence[Floats]) -> Box:
    """The axis-aligned box around points (…, 3), 1 mm thick at least."""
    points = np.concatenate(list(corners))
    low, high = points.min(axis=0), points.max(axis=0)
    return Box((low + high) / 2, np.maximum(high - low, _THINNEST_M))


def without(box: Box, hole: Box) -> list[Box]:
    """Up to six boxes that fill ``box`` except where ``hole`` is; front and back first, then sides."""
    low, high = box.center - box.size / 2, box.center + box.size / 2
    hole_low, hole_high = hole.center - hole.size / 2, hole.center + hole.size / 2
    if np.any(hole_low >= high - _THINNEST_M) or np.any(hole_high <= low + _THINNEST_M):
        return [box]
    pieces = []
    for axis in (1, 0, 2):
        for start, end in ((low[axis], hole_low[axis]), (hole_high[axis], high[axis])):
            if end - start > _THINNEST_M:
                piece_low, piece_high = low.copy(), high.copy()
                piece_low[axis], piece_high[axis] = start, end
                pieces.append(Box((piece_low + piece_high) / 2, piece_high - piece_low))
        low[axis], high[axis] = max(low[axis], hole_low[axis]), min(high[axis], hole_high[axis])
    return pieces
