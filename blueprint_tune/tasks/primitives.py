"""The primitives that entities are made of, and the usual arrangements of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi, sin, tan
from typing import Literal

import numpy as np

from blueprint_tune.tasks.geometry import Floats, half_extents, quat_about, quat_matrix, quat_multiply

SIDES = 8
"""Of whatever is round and hollow: a polygon around its circle, 8 % wider at its corners."""


def _identity() -> Floats:
    return np.array([1.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True, eq=False)
class Part:
    """One primitive in an entity's own frame.

    Attributes:
        center: (3,) m. size: (3,) m, full extents in its own axes; of cylinders and capsules diameter,
            diameter and whole length along its z. quat: (4,) wxyz, its own axes to the entity's.
    """

    kind: Literal["box", "cylinder", "capsule", "sphere"]
    center: Floats
    size: Floats
    quat: Floats = field(default_factory=_identity)

    @property
    def volume(self) -> float:
        """In cubic metres."""
        x, y, z = (float(extent) for extent in self.size)
        if self.kind == "box":
            return x * y * z
        if self.kind == "cylinder":
            return pi / 4 * x * x * z
        return pi / 4 * x * x * (z - x) + pi / 6 * x**3

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Lowest and highest corner, (3,) each, of the axis-aligned box around it in the entity's frame."""
        turn = quat_matrix(self.quat)
        if self.kind == "box":
            half = half_extents(turn, self.size)
        else:
            radius, axis = self.size[0] / 2, turn[:, 2]
            if self.kind == "cylinder":
                around = radius * np.sqrt(np.clip(1 - axis**2, 0, None))
                half = around + np.abs(axis) * self.size[2] / 2
            else:
                half = radius + np.abs(axis) * (self.size[2] / 2 - radius)
        return self.center - half, self.center + half


def slab(low: tuple[float, float, float], high: tuple[float, float, float]) -> Part:
    """A box from its lowest to its highest corner."""
    bottom, top = np.array(low), np.array(high)
    return Part("box", (bottom + top) / 2, top - bottom)


def disc(diameter: float, low: float, high: float) -> Part:
    """An upright cylinder around the z axis between two heights."""
    return Part(
        "cylinder", np.array([0.0, 0.0, (low + high) / 2]), np.array([diameter, diameter, high - low])
    )


def ring(radius: float, wall: float, low: float, high: float, lean: float) -> list[Part]:
    """Eight walls around the z axis whose outer faces touch a circle of ``radius`` at their top edges.

    They fill the heights ``low`` to ``high`` and lean outwards by ``lean`` radians.
    """
    height = (high - low - wall * sin(lean)) / cos(lean)
    middle = radius - (height * sin(lean) + wall * cos(lean)) / 2
    size = np.array([wall, 2 * radius * tan(pi / SIDES), height])
    found = []
    for k in range(SIDES):
        angle = 2 * pi * k / SIDES
        center = np.array([middle * cos(angle), middle * sin(angle), (low + high) / 2])
        turn = quat_multiply(quat_about((0, 0, 1), angle), quat_about((0, 1, 0), lean))
        found.append(Part("box", center, size, turn))
    return found
