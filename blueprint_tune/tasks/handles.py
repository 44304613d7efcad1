"""Handles: where a manifest describes one, there; otherwise the usual bar of a drawer, a door or a flap."""

from __future__ import annotations

from typing import Any

import numpy as np

from blueprint_tune.tasks.classes import Opening
from blueprint_tune.tasks.geometry import Floats
from blueprint_tune.tasks.reading import Notes, number, numbers
from blueprint_tune.tasks.scene import FRONT, Handle, Joint

_RADIUS_M = 0.009
_STANDOFF_M = 0.045
"""From the face to the middle of the bar: a Panda finger (25 mm at its thickest) passes behind it."""
_SHORTEST_M = 0.08
_FROM_EDGE_M = 0.06
_FARTHEST_M = 0.2


def read_handle(
    told: dict[str, Any], name: str, opening: Opening, joint: Joint, to_own: Floats, notes: Notes
) -> Handle | None:
    """The handle of an articulated object; knobs and buttons have none.

    Args:
        told: ``articulation.handle``: position (x, y, z from the object's centre) and length in scene units.
        to_own: (3, 3) from the manifest's axes and units to the entity's frame in metres.

    Raises ManifestError for a handle far outside the object.
    """
    if opening in ("knob", "button"):
        return None
    usual = _usual(opening, joint)
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


def _usual(opening: Opening, joint: Joint) -> Handle:
    """A level bar in the middle of a drawer's front; on doors and flaps a bar along the edge that opens."""
    outward = joint.axis if joint.kind == "prismatic" else FRONT
    box = joint.moving
    width, _, height = (float(extent) for extent in box.size)
    along, offset, length = np.array([1.0, 0.0, 0.0]), np.zeros(3), 0.35 * width
    longest = 0.2
    away = -np.sign(joint.anchor - box.center)
    if opening == "door":
        along, length, longest = np.array([0.0, 0.0, 1.0]), 0.3 * height, 0.3
        offset[0] = away[0] * (width / 2 - min(_FROM_EDGE_M, 0.2 * width))
    elif opening in ("flap", "lid"):
        length, longest = 0.5 * width, 0.4
        offset[2] = away[2] * (height / 2 - min(_FROM_EDGE_M, 0.2 * height))
    elif abs(outward[0]) > 0.7:
        along, length = np.array([0.0, 1.0, 0.0]), 0.35 * float(box.size[1])
    face = box.center + outward * float(np.abs(outward) @ box.size) / 2
    bar = float(np.clip(length, _SHORTEST_M, longest))
    return Handle(face + offset + outward * _STANDOFF_M, outward, along, bar, _RADIUS_M, _STANDOFF_M)
