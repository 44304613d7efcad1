"""Joints from what a manifest says, and from the class and size where it says nothing.

Directions of a manifest's ``articulation`` (``axis``, ``handle.position``) are in the object's own frame
and in the manifest's axes. An axis without a sign means the direction that opens outwards. A signed one is
taken as it is; of a door or a flap it also tells where the hinge is, unless ``hinge`` does: left, right,
bottom or top of the front, seen from the front.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from blueprint_tune.tasks.classes import CLASSES, EntityClass, Opening
from blueprint_tune.tasks.geometry import Box, Floats
from blueprint_tune.tasks.handles import read_handle
from blueprint_tune.tasks.reading import Notes, number, numbers, section, show, text
from blueprint_tune.tasks.scene import FRONT, Handle, Joint

Kind = Literal["prismatic", "revolute"]

KINDS: dict[str, Kind | None] = {
    **dict.fromkeys(("prismatic", "slide", "sliding", "linear", "translational"), "prismatic"),
    **dict.fromkeys(("revolute", "hinge", "rotational", "rotary", "continuous"), "revolute"),
    **dict.fromkeys(("fixed", "none", "static", "rigid"), None),
}
_DEFAULT_UPPER: dict[Kind, float] = {"prismatic": 0.3, "revolute": math.pi / 2}
FARTHEST: dict[Kind, float] = {"prismatic": 10.0, "revolute": 8 * math.pi}
MAX_DAMPING = 1e4
DEGREES_BEYOND = 4 * math.pi
_EDGES = {
    "left": ((-1, -1, 0), (0.0, 0.0, -1.0)),
    "right": ((1, -1, 0), (0.0, 0.0, 1.0)),
    "bottom": ((0, -1, -1), (1.0, 0.0, 0.0)),
    "top": ((0, -1, 1), (-1.0, 0.0, 0.0)),
}
"""Edge of the front -> (where the hinge is, in half extents of the panel; the axis that opens outwards)."""
_PANEL_M = 0.03
_NOTHING = EntityClass((0.1, 0.1, 0.1))


@dataclass(frozen=True)
class Source:
    """One manifest object as this module needs it.

    Attributes:
        raw: the JSON object. name: the entity's id. source_id: its id in the manifest.
        category: its known class, or None. sim_role: of the schema. movable: it can be carried.
        size: (3,) m, own frame, z up. meters: per scene unit. to_z_up: (3, 3) from the manifest's axes.
    """

    raw: dict[str, Any]
    name: str
    source_id: str
    category: str | None
    sim_role: str
    movable: bool
    size: Floats
    meters: float
    to_z_up: Floats

    @property
    def known(self) -> EntityClass:
        """What is assumed of its class."""
        return CLASSES.get(self.category or "", _NOTHING)


class _Told(NamedTuple):
    """What the manifest says: the articulation block, the affordance's parameters, and where to complain."""

    block: dict[str, Any]
    params: dict[str, Any]
    where: str
    notes: Notes

    def guess(self, source: Source, text: str) -> None:
        self.notes.guess(text, source.name, "motion")


class _Axis(NamedTuple):
    """A direction in the own z-up frame; ``signed`` when the manifest says which way along it."""

    vector: Floats
    signed: bool


def read_articulation(source: Source, notes: Notes) -> tuple[Joint | None, Handle | None]:
    """The joint and the handle of an object; (None, None) when it does not move in itself.

    Raises ManifestError for limits, damping or handles that cannot be meant.
    """
    block = section(source.raw, "articulation", source.name, notes)
    told = _Told(block, _affordance_params(source, notes), f"{source.name}: articulation", notes)
    kind = _kind(source, told)
    if kind is None:
        return None, None
    opening = source.known.opening
    if opening is None or _kind_of(opening) != kind:
        opening = "drawer" if kind == "prismatic" else "door"
    axis = _axis(source, told)
    lower, upper = _limits(source, kind, opening, told)
    moving: Box
    fixed: tuple[Box, ...]
    if kind == "prismatic":
        direction, anchor = _slide(source, opening, axis, told), np.zeros(3)
        moving, fixed = Box(np.zeros(3), source.size), ()
    else:
        opening, side = _way_to_open(source, opening, axis, told)
        moving, fixed = _split(source, opening)
        direction, anchor = _hinge(opening, side, axis, moving)
    joint = Joint(kind, direction, anchor, lower, upper, read_damping(source, notes), moving, fixed)
    handle = section(block, "handle", told.where, notes)
    return joint, read_handle(handle, source.name, opening, joint, source.to_z_up * source.meters, notes)


def _affordance_params(source: Source, notes: Notes) -> dict[str, Any]:
    """The parameters of the affordance that speaks of a joint; some manifests write them flat."""
    semantics = section(source.raw, "semantics", source.name, notes)
    params = section(semantics, "affordance_params", source.name, notes)
    for value in (*params.values(), params):
        if isinstance(value, dict) and {"joint_type", "open_distance", "open_angle", "rotation_axis"} & set(
            value
        ):
            return value
    return {}


def _kind_of(opening: Opening) -> Kind:
    return "prismatic" if opening in ("drawer", "button") else "revolute"


def _kind(source: Source, told: _Told) -> Kind | None:
    """The joint's kind, from the manifest's word or, for what is said to be articulated, from its class."""
    word = text(told.block, "type").lower() or text(told.params, "joint_type").lower()
    if word in KINDS:
        return KINDS[word]
    if word:
        told.notes.note(f"{source.name}: the articulation type {show(word)!r} is not known and is ignored.")
    if not (source.sim_role.startswith("articulated") or told.block.get("required") is True):
        return None
    opening = source.known.opening
    if opening is None:
        told.notes.note(f"{source.name}: nothing says how it moves; it is taken as rigid.")
        return None
    told.guess(source, f"no joint type given; a {source.category} is assumed to be {_kind_of(opening)}.")
    return _kind_of(opening)


def _axis(source: Source, told: _Told) -> _Axis | None:
    value = told.block.get("axis", told.block.get("joint_axis"))
    if value is None:
        value = told.params.get("rotation_axis")
    if value is None:
        return None
    if isinstance(value, str):
        word = value.strip().lower()
        if word not in {sign + letter for sign in ("", "+", "-") for letter in "xyz"}:
            told.notes.note(f"{told.where}.axis {show(value)!r} is none of x, y, z and is ignored.")
            return None
        vector = np.eye(3)["xyz".index(word[-1])] * (-1.0 if word[0] == "-" else 1.0)
        return _Axis(source.to_z_up @ vector, word[0] in "+-")
    given = [
        component or 0.0 for component in numbers(value, ("x", "y", "z"), f"{told.where}.axis", told.notes)
    ]
    length = math.hypot(*given)
    if not 1e-6 < length < 1e6:
        told.notes.note(f"{told.where}.axis has length {length:g} and is ignored.")
        return None
    return _Axis(source.to_z_up @ (np.array(given) / length), True)


def _limits(source: Source, kind: Kind, opening: Opening, told: _Told) -> tuple[float, float]:
    """(lower, upper) in m or rad."""
    limits = section(told.block, "limits", told.where, told.notes)
    word, unit = ("distance", "m") if kind == "prismatic" else ("angle", "rad")
    ends = told.params.get("rotation_range") if kind == "revolute" else None
    low, high = ends if isinstance(ends, list) and len(ends) == 2 else (None, None)
    upper = limits.get("upper", told.params.get(f"open_{word}", high))
    lower = limits.get("lower", told.params.get(f"close_{word}", low))
    top = number(upper, f"{told.where}.limits.upper", told.notes)
    bottom = number(lower, f"{told.where}.limits.lower", told.notes) or 0.0
    scale = source.meters if kind == "prismatic" else 1.0
    if kind == "revolute" and max(abs(bottom), abs(top or 0.0)) > DEGREES_BEYOND:
        told.guess(source, f"joint limits of {bottom:g} to {top or 0:g} are taken as degrees.")
        scale = math.radians(1.0)
    if top is None or (top - bottom) * scale < 1e-4:
        said = (
            "no joint limits are given" if top is None else f"joint limits of {bottom:g} to {top:g} are empty"
        )
        default = default_upper(source, kind, opening)
        amount = f"{default:.3g} m" if kind == "prismatic" else f"{math.degrees(default):.0f} degrees"
        told.guess(source, f"{said}; 0 to {amount} is assumed, as for a {source.category or opening}.")
        return 0.0, default
    if max(abs(bottom), abs(top), top - bottom) * scale > FARTHEST[kind]:
        told.notes.refuse(f"{told.where}.limits of {bottom * scale:g} to {top * scale:g} {unit} are absurd.")
    return bottom * scale, top * scale


def default_upper(source: Source, kind: Kind, opening: Opening) -> float:
    """The usual range in m or rad of what opens like this, from its class and size."""
    known = source.known
    upper = known.upper if known.opening == opening and known.upper > 0 else _DEFAULT_UPPER[kind]
    return min(upper, 0.7 * float(source.size[1])) if opening == "drawer" else upper


def read_damping(source: Source, notes: Notes) -> float | None:
    """``articulation.damping``, N s/m or N m s/rad. Raises ManifestError for what cannot be meant."""
    where = f"{source.name}: articulation"
    value = number(
        section(source.raw, "articulation", source.name, notes).get("damping"), f"{where}.damping", notes
    )
    if value is not None and not 0 <= value <= MAX_DAMPING:
        notes.refuse(f"{where}.damping is {value:g}; expected 0 to {MAX_DAMPING:g}.")
    return value


def _slide(source: Source, opening: Opening, axis: _Axis | None, told: _Told) -> Floats:
    """(3,) the direction in which a positive joint position moves it."""
    inward = opening == "button"
    if axis is None:
        told.guess(
            source, f"no joint axis given; it is assumed to move {'in' if inward else 'out'} at its front."
        )
    if axis is None or (not axis.signed and abs(float(axis.vector @ FRONT)) > 0.99):
        return -FRONT if inward else FRONT
    return axis.vector


def _way_to_open(source: Source, opening: Opening, axis: _Axis | None, told: _Told) -> tuple[Opening, str]:
    """(how it opens, the edge of its front that carries the hinge, '' where there is none)."""
    side, direction = text(told.block, "hinge").lower(), 0.0
    if axis is not None:
        along = int(np.argmax(np.abs(axis.vector)))
        direction = float(np.sign(axis.vector[along])) if axis.signed else 0.0
        flat: Opening = "lid" if opening == "lid" else "flap"
        ways: tuple[Opening, Opening, Opening] = (flat, "knob", "door")
        opening = ways[along]
    elif side in _EDGES:
        opening = "door" if side in ("left", "right") else "flap"
    if opening not in ("door", "flap"):
        return opening, ""
    usual, mirrored, usual_sign = ("left", "right", -1.0) if opening == "door" else ("bottom", "top", 1.0)
    if side in (usual, mirrored):
        return opening, side
    side = mirrored if direction == -usual_sign else usual
    if direction == 0:
        told.guess(source, f"nothing says where its hinge is; the {side} of its front is assumed.")
    return opening, side


def _split(source: Source, opening: Opening) -> tuple[Box, tuple[Box, ...]]:
    """(what turns, what stays): of an appliance only a panel on its front, of a chest its lid."""
    size = source.size
    index, sign = (2, 1.0) if opening == "lid" else (1, -1.0)
    whole = opening == "knob" or not (source.known.front_moves or opening == "lid")
    if whole or size[index] < 3 * _PANEL_M:
        return Box(np.zeros(3), size), ()
    moving_size, fixed_size = size.copy(), size.copy()
    moving_size[index], fixed_size[index] = _PANEL_M, size[index] - _PANEL_M
    moving, fixed = np.zeros(3), np.zeros(3)
    moving[index] = sign * (size[index] - _PANEL_M) / 2
    fixed[index] = -sign * _PANEL_M / 2
    return Box(moving, moving_size), (Box(fixed, fixed_size),)


def _hinge(opening: Opening, side: str, axis: _Axis | None, moving: Box) -> tuple[Floats, Floats]:
    """((3,) axis, (3,) a point of it); positive angles open outwards, a knob's as its axis says."""
    half = moving.size / 2
    if opening == "knob":
        return axis.vector if axis is not None and axis.signed else FRONT, np.zeros(3)
    if opening == "lid":
        return np.array([-1.0, 0.0, 0.0]), moving.center + half * np.array([0, 1, -1])
    edge, turns = _EDGES[side]
    return np.array(turns), moving.center + half * np.array(edge)
