"""Rotations and boxes in numpy: quaternions are wxyz, boxes have full extents in metres."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Z_UP_FROM_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Turns y-up coordinates into z-up ones: a quarter turn about x; +z, a y-up object's front, becomes -y."""


class Box(NamedTuple):
    """A box in some frame: ``center`` (3,), ``size`` (3,) full extents, both in metres."""

    center: Floats
    size: Floats


def quat_multiply(a: ArrayLike, b: ArrayLike) -> Floats:
    """(4,) the rotation ``b`` followed by ``a``."""
    aw, ax, ay, az = np.asarray(a, dtype=float)
    bw, bx, by, bz = np.asarray(b, dtype=float)
    return np.array(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )


def quat_about(axis: ArrayLike, angle_rad: float) -> Floats:
    """(4,) a rotation about a unit ``axis``."""
    return np.concatenate([[np.cos(angle_rad / 2)], np.sin(angle_rad / 2) * np.asarray(axis, dtype=float)])


def quat_from_euler(roll: float, pitch: float, yaw: float) -> Floats:
    """(4,) yaw about z, then pitch about the turned y, then roll about the turned x (radians)."""
    turned = quat_multiply(quat_about((0, 0, 1), yaw), quat_about((0, 1, 0), pitch))
    return quat_multiply(turned, quat_about((1, 0, 0), roll))


def quat_matrix(quat: ArrayLike) -> Floats:
    """(3, 3) rotation matrix of a unit quaternion."""
    w, x, y, z = np.asarray(quat, dtype=float)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def half_extents(rotation: Floats, size: Floats) -> Floats:
    """(3,) half extents of the axis-aligned box around a turned box."""
    return np.abs(rotation) @ (size / 2)


def penetration(a: Box, a_rotation: Floats, b: Box, b_rotation: Floats) -> float:
    """Depth in metres by which two turned boxes overlap; 0 or less = apart (separating axis test)."""
    crosses = [np.cross(a_rotation[:, i], b_rotation[:, j]) for i in range(3) for j in range(3)]
    axes = np.stack([*a_rotation.T, *b_rotation.T, *crosses])
    lengths = np.linalg.norm(axes, axis=1)
    axes = axes[lengths > 1e-6] / lengths[lengths > 1e-6, None]
    radius = np.abs(axes @ a_rotation) @ (a.size / 2) + np.abs(axes @ b_rotation) @ (b.size / 2)
    return float(np.min(radius - np.abs(axes @ (a.center - b.center))))


def distance_to_box(point: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Distance in metres from a point to an axis-aligned box; 0 inside. Works in 2 and 3 dimensions."""
    p = np.asarray(point, dtype=float)
    return float(np.linalg.norm(p - np.clip(p, low, high)))
