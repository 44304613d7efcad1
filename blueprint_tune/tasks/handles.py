"""Handles: where a manifest describes one, there; otherwise the usual bar of a drawer, a door or a flap."""

from __future__ import annotations

from typing import Any

import numpy as np

from blueprint_tune.tasks.classes import Opening
from blueprint_tune.tasks.geometry import Box, Floats
from blueprint_tune.tasks.reading import Notes, number, numbers
from blueprint_tune.tasks.scene import FRONT, Handle, Joint

_RADIUS_M = 0.009
_STANDOFF_M = 0.045
"""From the face to the middle of the bar: a Panda finger (25 mm at its thickest) passes behind it."""
_SHORTEST_M = 0.08
_FROM_EDGE_M = 0.06
_FARTHEST_M = 0.2
_LEAST_M, _RADII_M = 0.008, (0.004, 0.02)
"""A measured handle stands out by this much at least; its bar is no thinner and no thicker than these."""


def read_handle(
    told: dict[str, Any],
    name: str,
    opening: Opening,
    joint: Joint,
    to_own: Floats,
    notes: Notes,
    outward: Floats | None = None,
) -> Handle | None:
    """The handle of an articulated object; knobs and buttons have none.

    Args:
        told: ``articulation.handle``: position (x, y, z from the object's centre) and length in scene units.
        to_own: (3, 3) from the manifest's axes and units to the entity's frame in metres.
        outward: (3,) the way its face looks; None = where a drawer moves, else the front.

    Raises ManifestError for a handle far outside the object.
    """
    if opening in ("knob", "button"):
        return None
    if outward is None:
        outward = joint.axis if joint.kind == "prismatic" else FRONT
    usual = _usual(opening, joint, outward)
    where = f"{name}: articulation.handle"
    position = numbers(told.get("position"), ("x", "y", "z"), f"{where}.position", notes)
    length = number(told.get("length"), f"{where}.length", notes)
    given = [value for value in position if value is not None]
    if len(given) < 3:
        notes.guess(
            f"no handle is described; a bar of {usual.length_m:.2f} m on its front is assumed.",
            name,
            "motion",
        )
        return usual
    if max(map(abs, given)) > 1e6:
        notes.refuse(f"{where}.position is absurd; it is measured from the object's centre.")
    center = to_own @ np.array(given)
    outside = np.abs(center - joint.moving.center) - joint.moving.size / 2
    if outside.max() > _FARTHEST_M:
        notes.refuse(
            f"{where}.position is {outside.max():.2f} m outside the part that moves; expected at most 0.2."
        )
    meters = float(np.linalg.norm(to_own[:, 0]))
    if length is not None and not 0.005 <= length * meters <= 3.0:
        notes.refuse(f"{where}.length is {length * meters:g} m; expected 0.005 to 3.")
    bar = usual.length_m if length is None else length * meters
    return Handle(center, usual.outward, usual.along, bar, _RADIUS_M, _STANDOFF_M)


def _usual(opening: Opening, joint: Joint, outward: Floats) -> Handle:
    """A level bar in the middle of a drawer's front; on doors and flaps a bar along the edge that opens."""
    box = joint.moving
    beside = 1 - int(np.argmax(np.abs(outward[:2])))
    width, height = float(box.size[beside]), float(box.size[2])
    along, offset, length = np.eye(3)[beside], np.zeros(3), 0.35 * width
    longest = 0.2
    away = -np.sign(joint.axis if joint.kind == "prismatic" else joint.anchor - box.center)
    if opening == "door":
        along, length, longest = np.array([0.0, 0.0, 1.0]), 0.3 * height, 0.3
        offset[beside] = away[beside] * (width / 2 - min(_FROM_EDGE_M, 0.2 * width))
    elif opening in ("flap", "lid"):
        length, longest = 0.5 * width, 0.4
        offset[2] = away[2] * (height / 2 - min(_FROM_EDGE_M, 0.2 * height))
    face = box.center + outward * float(np.abs(outward) @ box.size) / 2
    bar = float(np.clip(length, _SHORTEST_M, longest))
    return Handle(face + offset + outward * _STANDOFF_M, outward, along, bar, _RADIUS_M, _STANDOFF_M)


def handle_in(box: Box, joint: Joint, outward: Floats) -> Handle | None:
    """The bar that fills ``box``, which stands out of the moving part's face; None if it hardly does."""
    front = int(np.argmax(np.abs(outward)))
    face = float(joint.moving.center @ outward) + float(joint.moving.size[front]) / 2
    out = float(box.center @ outward) + float(box.size[front]) / 2 - face
    if out < _LEAST_M:
        return None
    across = [axis for axis in range(3) if axis != front]
    long, thin = sorted(across, key=lambda axis: -float(box.size[axis]))
    radius = float(np.clip(box.size[thin] / 2, *_RADII_M))
    radius = min(radius, out / 2)
    center = box.center + outward * (face + out - radius - float(box.center @ outward))
    bar = max(float(box.size[long]) - 2 * radius, radius)
    return Handle(center, outward, np.eye(3)[long], bar, radius, out - radius)
