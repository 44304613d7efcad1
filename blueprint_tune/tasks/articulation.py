"""Joints and handles from what a manifest says, and from the class and size where it says nothing.

Directions of a manifest's ``articulation`` (``axis``, ``handle.position``) are in the object's own frame
and in the manifest's axes. An axis without a sign means the direction that opens outwards; a signed one
is taken as it is, and for doors it also says where the hinge is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees, pi, radians
from typing import Any

import numpy as np

from blueprint_tune.tasks.classes import CLASSES, Opening
from blueprint_tune.tasks.geometry import Box, Floats
from blueprint_tune.tasks.reading import Notes, number, numbers, section, show, text
from blueprint_tune.tasks.scene import FRONT, Handle, Joint

_KINDS = {
    **dict.fromkeys(("prismatic", "slide", "sliding", "linear", "translational"), "prismatic"),
    **dict.fromkeys(("revolute", "hinge", "rotational", "rotary", "continuous"), "revolute"),
    **dict.fromkeys(("fixed", "none", "static", "rigid"), "none"),
}
_KIND_OF = {"drawer": "prismatic", "button": "prismatic"}
_DEFAULT_UPPER = {"prismatic": 0.3, "revolute": pi / 2}
_UNIT = {"prismatic": "m", "revolute": "rad"}
_MAX_RANGE = {"prismatic": 10.0, "revolute": 8 * pi}
_EDGES = {
    "left": ((-1, -1, 0), (0.0, 0.0, -1.0)),
    "right": ((1, -1, 0), (0.0, 0.0, 1.0)),
    "bottom": ((0, -1, -1), (1.0, 0.0, 0.0)),
    "top": ((0, -1, 1), (-1.0, 0.0, 0.0)),
}
"""Edge of the front, seen from the front -> (where the hinge is, in half extents; the axis that opens outwards)."""
_PANEL_M = 0.03
_HANDLE_RADIUS_M = 0.009
_HANDLE_STANDOFF_M = 0.045
"""From the face to the middle of the bar: a Panda finger (25 mm at its thickest) passes behind it."""


@dataclass(frozen=True)
class Source:
    """One manifest object as this module needs it.

    Attributes:
        raw: the JSON object. name: the entity's id. category: its known class, or None.
        sim_role: of the schema. size: (3,) m, own frame, z up. meters: per scene unit.
        to_z_up: (3, 3) from the manifest's axes.
    """

    raw: dict[str, Any]
    name: str
    category: str | None
    sim_role: str
    size: Floats
    meters: float
    to_z_up: Floats


def read_articulation(source: Source, notes: Notes) -> tuple[Joint | None, Handle | None]:
    """The joint and the handle of an object; (None, None) when it does not move in itself. Raises ManifestError."""
    told = section(source.raw, "articulation", source.name, notes)
    params = _affordance_params(source, notes)
    kind, opening = _kind(source, told, params, notes)
    if kind == "none":
        return None, None
    axis, signed = _axis(source, told, params, notes)
    side = text(told, "hinge").lower()
    lower, upper = _limits(source, kind, opening, told, params, notes)
    damping = number(told.get("damping"), f"{source.name}: articulation.damping", notes)
    if damping is not None and not 0 <= damping <= 1e4:
        notes.refuse(f"{source.name}: articulation.damping is {damping:g}; expected 0 to 10000.")
    moving, fixed = _split(source, opening)
    if kind == "prismatic":
        axis, anchor = _slide(source, opening, axis, signed, notes), np.zeros(3)
    else:
        opening, axis, anchor = _hinge(source, opening, axis, signed, side, moving, notes)
    joint = Joint(kind, axis, anchor, lower, upper, damping, moving, fixed)  # type: ignore[arg-type]
    return joint, _handle(source, told, opening, joint, notes)


def _affordance_params(source: Source, notes: Notes) -> dict[str, Any]:
    """The parameters of the affordance that speaks of a joint; upstream also writes them flat."""
    semantics = section(source.raw, "semantics", source.name, notes)
    params = section(semantics, "affordance_params", source.name, notes)
    for value in (*params.values(), params):
        if isinstance(value, dict) and (
            "joint_type" in value or "open_distance" in value or "rotation_axis" in value
        ):
            return value
    return {}


def _kind(source: Source, told: dict[str, Any], params: dict[str, Any], notes: Notes) -> tuple[str, Opening]:
    """('prismatic' | 'revolute' | 'none', how it opens)."""
    known = CLASSES.get(source.category or "")
    default: Opening | None = known.opening if known else None
    word = text(told, "type").lower() or text(params, "joint_type").lower()
    kind = _KINDS.get(word)
    if word and kind is None:
        notes.note(f"{source.name}: the articulation type {show(word)!r} is not known and is ignored.")
    if kind is None:
        moves = source.sim_role.startswith("articulated") or told.get("required") is True
        if not moves:
            return "none", "drawer"
        if default is None:
            notes.note(f"{source.name}: nothing says how it moves; it is taken as rigid.")
            return "none", "drawer"
        kind = _KIND_OF.get(default, "revolute")
        notes.guess(f"{source.name}: no joint type given; a {source.category} is assumed to be {kind}.")
    if default is None or _KIND_OF.get(default, "revolute") != kind:
        default = "drawer" if kind == "prismatic" else "door"
    return kind, default


def _axis(
    source: Source, told: dict[str, Any], params: dict[str, Any], notes: Notes
) -> tuple[Floats | None, bool]:
    """((3,) unit axis in the own z-up frame or None, whether its sign was given)."""
    value = told.get("axis", told.get("joint_axis"))
    if value is None:
        value = params.get("rotation_axis")
    if value is None:
        return None, False
    where = f"{source.name}: articulation.axis"
    if isinstance(value, str):
        word = value.strip().lower()
        if word.lstrip("+-") not in ("x", "y", "z"):
            notes.note(f"{where} {show(value)!r} is none of x, y, z and is ignored.")
            return None, False
        vector = np.eye(3)["xyz".index(word[-1])] * (-1.0 if word[0] == "-" else 1.0)
        return source.to_z_up @ vector, word[0] in "+-"
    vector = np.array([v or 0.0 for v in numbers(value, ("x", "y", "z"), where, notes)])
    length = float(np.linalg.norm(vector))
    if not 1e-6 < length < 1e6:
        notes.note(f"{where} has length {length:g} and is ignored.")
        return None, False
    return source.to_z_up @ (vector / length), True


def _limits(
    source: Source, kind: str, opening: Opening, told: dict[str, Any], params: dict[str, Any], notes: Notes
) -> tuple[float, float]:
    """(lower, upper) in m or rad."""
    limits = section(told, "limits", f"{source.name}: articulation", notes)
    word = "distance" if kind == "prismatic" else "angle"
    where = f"{source.name}: articulation.limits"
    upper = number(limits.get("upper", params.get(f"open_{word}")), f"{where}.upper", notes)
    lower = number(limits.get("lower", params.get(f"close_{word}")), f"{where}.lower", notes) or 0.0
    scale = source.meters if kind == "prismatic" else 1.0
    if kind == "revolute" and max(abs(lower), abs(upper or 0.0)) > 2.5 * pi:
        notes.guess(f"{source.name}: joint limits of {lower:g} to {upper:g} are taken as degrees.")
        scale = radians(1.0)
    if upper is None or (upper - lower) * scale < 1e-4:
        said = (
            "no joint limits are given"
            if upper is None
            else f"the joint limits {lower:g} to {upper:g} are empty"
        )
        lower, upper = 0.0, _default_upper(source, kind, opening)
        amount = f"{upper:.3g} m" if kind == "prismatic" else f"{degrees(upper):.0f} degrees"
        notes.guess(
            f"{source.name}: {said}; 0 to {amount} is assumed, as for a {source.category or opening}."
        )
        return lower, upper
    if (upper - lower) * scale > _MAX_RANGE[kind]:
        notes.refuse(f"{source.name}: a joint range of {(upper - lower) * scale:g} {_UNIT[kind]} is absurd.")
    return lower * scale, upper * scale


def _default_upper(source: Source, kind: str, opening: Opening) -> float:
    known = CLASSES.get(source.category or "")
    matches = known is not None and known.opening == opening and known.upper > 0
    upper = known.upper if known is not None and matches else _DEFAULT_UPPER[kind]
    return min(upper, 0.7 * float(source.size[1])) if opening == "drawer" else upper


def _split(source: Source, opening: Opening) -> tuple[Box, Box | None]:
    """(what moves, what stays) at joint position 0."""
    known = CLASSES.get(source.category or "")
    size = source.size
    index, sign = (2, 1.0) if opening == "lid" else (1, -1.0)
    thickness = min(_PANEL_M, 0.5 * float(size[index]))
    panel_only = (known is not None and known.front_moves) or opening == "lid"
    if not panel_only or opening not in ("door", "flap", "lid") or size[index] < 3 * _PANEL_M:
        return Box(np.zeros(3), size), None
    moving_size, fixed_size = size.copy(), size.copy()
    moving_size[index], fixed_size[index] = thickness, size[index] - thickness
    moving, fixed = np.zeros(3), np.zeros(3)
    moving[index] = sign * (size[index] - thickness) / 2
    fixed[index] = -sign * thickness / 2
    return Box(moving, moving_size), Box(fixed, fixed_size)


def _slide(source: Source, opening: Opening, axis: Floats | None, signed: bool, notes: Notes) -> Floats:
    """(3,) the direction in which a positive joint position moves it."""
    default = -FRONT if opening == "button" else FRONT
    if axis is None:
        notes.guess(
            f"{source.name}: no joint axis given; it is assumed to move {'in' if opening == 'button' else 'out'} at its front."
        )
        return default
    if not signed and abs(float(axis @ FRONT)) > 0.99:
        return default
    return axis


def _hinge(
    source: Source, opening: Opening, axis: Floats | None, signed: bool, side: str, moving: Box, notes: Notes
) -> tuple[Opening, Floats, Floats]:
    """(how it opens, (3,) axis, (3,) a point of the axis); positive angles open outwards."""
    direction = 0.0
    if axis is not None:
        index = int(np.argmax(np.abs(axis)))
        opening = {0: opening if opening in ("flap", "lid") else "flap", 1: "knob", 2: "door"}[index]  # type: ignore[assignment]
        direction = float(np.sign(axis[index])) if signed else 0.0
    elif side in _EDGES:
        opening = "door" if side in ("left", "right") else "flap"
    if opening == "knob":
        return opening, axis if axis is not None and signed else FRONT, np.zeros(3)
    if opening == "lid":
        half = moving.size / 2
        return opening, np.array([-1.0, 0, 0]), moving.center + np.array([0, half[1], -half[2]])
    usual, mirrored, usual_sign = ("left", "right", -1.0) if opening == "door" else ("bottom", "top", 1.0)
    if side not in (usual, mirrored):
        side = mirrored if direction == -usual_sign else usual
        if direction == 0:
            notes.guess(
                f"{source.name}: nothing says where its hinge is; the {side} edge (seen from the front) is assumed."
            )
    edge, turns = _EDGES[side]
    return opening, np.array(turns), moving.center + moving.size / 2 * np.array(edge)


def _handle(
    source: Source, told: dict[str, Any], opening: Opening, joint: Joint, notes: Notes
) -> Handle | None:
    """The described handle, or the usual one of its kind; knobs and buttons have none."""
    if opening in ("knob", "button"):
        return None
    outward = joint.axis if joint.kind == "prismatic" else FRONT
    face = joint.moving.center + outward * float(np.abs(outward) @ joint.moving.size) / 2
    width, _, height = joint.moving.size
    along, offset, length = np.array([1.0, 0, 0]), np.zeros(3), float(np.clip(0.35 * width, 0.08, 0.2))
    if joint.kind == "prismatic" and abs(outward[0]) > 0.7:
        along = np.array([0.0, 1, 0])
    elif opening == "door":
        away = -float(np.sign(joint.anchor[0] - joint.moving.center[0]))
        along, length = np.array([0.0, 0, 1]), float(np.clip(0.3 * height, 0.08, 0.3))
        offset[0] = away * (width / 2 - min(0.06, 0.2 * width))
    elif opening == "flap":
        away = -float(np.sign(joint.anchor[2] - joint.moving.center[2]))
        offset[2] = away * (height / 2 - min(0.06, 0.2 * height))
        length = float(np.clip(0.5 * width, 0.08, 0.4))
    center = face + offset + outward * _HANDLE_STANDOFF_M
    described = _described_handle(source, told, notes)
    if described is None:
        notes.guess(
            f"{source.name}: no handle is described; a bar of {length:.2f} m on its front is assumed."
        )
    else:
        center, length = described[0], described[1] or length
    return Handle(center, outward, along, length, _HANDLE_RADIUS_M, _HANDLE_STANDOFF_M)


def _described_handle(
    source: Source, told: dict[str, Any], notes: Notes
) -> tuple[Floats, float | None] | None:
    """((3,) centre of the bar in the own frame, its length or None) from ``articulation.handle``."""
    handle = section(told, "handle", f"{source.name}: articulation", notes)
    where = f"{source.name}: articulation.handle"
    position = numbers(handle.get("position"), ("x", "y", "z"), f"{where}.position", notes)
    if any(v is None for v in position):
        return None
    center = source.to_z_up @ np.array(position, dtype=float) * source.meters
    length = number(handle.get("length"), f"{where}.length", notes)
    if np.any(np.abs(center) > source.size / 2 + 0.2):
        notes.refuse(
            f"{where}.position lies more than 0.2 m outside the object; it is measured from the object's centre."
        )
    if length is not None and not 0.005 < length * source.meters < 3:
        notes.refuse(f"{where}.length is {length:g}; expected 5 mm to 3 m.")
    return center, None if length is None else length * source.meters
