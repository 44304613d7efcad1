"""How something moves, by the joint of its URDF and what that moves; what the joint lacks is guessed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from blueprint_tune.tasks.articulation import DEGREES_BEYOND, FARTHEST, Kind, Source, default_upper
from blueprint_tune.tasks.classes import Opening
from blueprint_tune.tasks.fitting import Fit
from blueprint_tune.tasks.geometry import Box, Floats
from blueprint_tune.tasks.reading import Notes, show
from blueprint_tune.tasks.scene import FRONT
from blueprint_tune.tasks.urdf import Unusable, UrdfJoint

_LIKELY: dict[Opening | None, str] = {
    "drawer": "y",
    "button": "y",
    "door": "z",
    "flap": "x",
    "lid": "x",
    "knob": "y",
}
"""Along which of an entity's axes the joint of such a thing is expected."""
_IN_PLACE = 0.2
"""What turns about an axis nearer to its middle than this share of its size is turned like a knob."""
_PANEL = 0.12
"""An upright part thinner than this share of its other extents is a panel: it slides along itself."""
_OFF_HINGE_M = 0.1
"""A hinge is at an edge of what it carries, or a little beside it."""


class Motion(NamedTuple):
    """How something moves: (3,) unit axis and (3,) m a point of it, the range, and how it opens.

    ``outward``: (3,) the way the face looks at which it is pulled.
    """

    axis: Floats
    anchor: Floats
    lower: float
    upper: float
    opening: Opening
    outward: Floats


def kind_of(joint: UrdfJoint) -> Kind:
    """What a continuous or revolute joint, or a prismatic one, is here."""
    return "prismatic" if joint.kind == "prismatic" else "revolute"


def likely_axes(source: Source, kind: Kind) -> str:
    """The entity's axes along which a joint of this kind is expected, by its class."""
    opening = source.known.opening
    if opening is None or ("prismatic" if opening in ("drawer", "button") else "revolute") != kind:
        return "xy" if kind == "prismatic" else "xz"
    return _LIKELY[opening]


def read_motion(source: Source, joint: UrdfJoint, kind: Kind, placed: Fit, box: Box, notes: Notes) -> Motion:
    """Axis, range and way of opening; a positive position opens outwards, if it opens."""
    anchor = placed.points(joint.frame[:3, 3]) if kind == "revolute" else np.zeros(3)
    scale = 1.0
    if joint.axis is None:
        axis = _assumed_axis(source, kind)
        text = f"joint '{show(joint.name)}' of its URDF has no axis; {_shown(axis)} is assumed."
        notes.guess(text, source.name, "motion")
    else:
        axis = placed.matrix @ joint.axis
        length = float(np.linalg.norm(axis))
        axis, scale = axis / length, length if kind == "prismatic" else 1.0
    opening, _ = _way(source, kind, axis, anchor, box)
    lower, upper, given = limits(source, joint, opening, scale, notes)
    swings = opening not in ("knob", "button") and (kind == "revolute" or opening == "drawer")
    inwards = swings and _outwards(kind, axis, anchor, box, source) < 0
    if given and lower < 0:
        axis, lower, upper = _positive(source, opening, axis, lower, upper, inwards, notes)
    elif inwards and (joint.axis is None or not given):
        axis = -axis
    elif inwards:
        notes.note(f"{source.name}: it opens inwards, as its URDF says.")
    opening, outward = _way(source, kind, axis, anchor, box)
    if kind == "revolute":
        _check_hinge(source, axis, anchor, box, notes)
    return Motion(axis, anchor, lower, upper, opening, outward)


def _assumed_axis(source: Source, kind: Kind) -> Floats:
    if kind == "prismatic":
        return -FRONT if source.known.opening == "button" else FRONT
    if source.known.opening == "knob":
        return FRONT
    return np.eye(3)["xyz".index(likely_axes(source, kind)[-1])]


def limits(
    source: Source, joint: UrdfJoint, opening: Opening, scale: float, notes: Notes
) -> tuple[float, float, bool]:
    """(lower, upper, whether the URDF gives them) in m or rad. Raises Unusable for absurd ones."""
    kind = kind_of(joint)
    lower, upper = joint.lower or 0.0, joint.upper
    if kind == "revolute" and max(abs(lower), abs(upper or 0.0)) > DEGREES_BEYOND:
        text = f"limits of {lower:g} to {upper or 0:g} in its URDF are taken as degrees."
        notes.guess(text, source.name, "motion")
        scale = math.radians(1.0)
    if upper is not None and (upper - lower) * scale >= 1e-4:
        low, high = lower * scale, upper * scale
        if max(abs(low), abs(high), high - low) > FARTHEST[kind]:
            raise Unusable(f"joint '{show(joint.name)}' has absurd limits of {low:g} to {high:g}")
        return low, high, True
    if kind != ("prismatic" if opening in ("drawer", "button") else "revolute"):
        opening = "drawer" if kind == "prismatic" else "door"
    default = default_upper(source, kind, opening)
    said = "turns without limits" if joint.kind == "continuous" else "has no limits"
    amount = f"{default:.3g} m" if kind == "prismatic" else f"{math.degrees(default):.0f} degrees"
    text = f"joint '{show(joint.name)}' of its URDF {said}; 0 to {amount} is assumed."
    notes.guess(text, source.name, "motion")
    return 0.0, default, False


def _positive(
    source: Source, opening: Opening, axis: Floats, lower: float, upper: float, inwards: bool, notes: Notes
) -> tuple[Floats, float, float]:
    """The same joint, turned round if need be, so that it opens from 0 (closed) to a positive position."""
    if opening in ("knob", "button"):
        return (axis, lower, upper) if upper > 0 else (-axis, -upper, -lower)
    if upper <= 0 or inwards:
        axis, lower, upper = -axis, -upper, -lower
    if lower < 0:
        if lower < -1e-3:
            text = (
                f"its URDF lets it move from {lower:.3g} to {upper:.3g}; what is below 0, where it stands in"
            )
            notes.guess(f"{text} the manifest, is taken as inwards and left out.", source.name, "motion")
        lower = 0.0
    return axis, lower, upper


def _way(source: Source, kind: Kind, axis: Floats, anchor: Floats, box: Box) -> tuple[Opening, Floats]:
    """How it opens, by how its middle moves, and (3,) the way its face looks."""
    known = source.known.opening
    if kind == "prismatic":
        if known == "button":
            return "button", FRONT
        thin = int(np.argmin(box.size[:2]))
        others = np.delete(box.size, thin)
        if box.size[thin] < _PANEL * others.min() and abs(axis[thin]) < 0.5:
            return "door", _side(np.eye(3)[thin], box.center)
        return "drawer", _dominant(axis)
    swing = np.cross(axis, box.center - anchor)
    if known == "knob" or np.linalg.norm(swing) < _IN_PLACE * box.size.max():
        return "knob", FRONT
    if int(np.argmax(np.abs(axis))) == 2:
        return "door", _side(_dominant(swing), box.center)
    if int(np.argmax(np.abs(swing))) == 2:
        return "lid", _dominant((box.center - anchor) * (1, 1, 0))
    return "flap", _side(_dominant(swing), box.center)


def _outwards(kind: Kind, axis: Floats, anchor: Floats, box: Box, source: Source) -> float:
    """Positive if a positive position moves it away from the middle of its entity, or else to the front."""
    move = axis if kind == "prismatic" else np.cross(axis, box.center - anchor)
    away = float(move @ box.center)
    near = 0.02 * float(np.linalg.norm(move)) * float(source.size.max())
    return away if abs(away) > near else float(move @ FRONT)


def _check_hinge(source: Source, axis: Floats, anchor: Floats, box: Box, notes: Notes) -> None:
    """List a hinge far beside what it moves: some generators lose the point and write 0 0 0."""
    outside = np.maximum(np.abs(anchor - box.center) - box.size / 2, 0)
    beside = float(np.linalg.norm(outside - (outside @ np.abs(axis)) * np.abs(axis)))
    if beside > FARTHEST["prismatic"]:
        raise Unusable(f"its hinge lies {beside:.3g} m beside what it moves")
    if beside > _OFF_HINGE_M:
        text = f"its hinge lies {beside:.2f} m beside the part that moves, as its URDF says."
        notes.guess(text, source.name, "motion")


def _side(normal: Floats, center: Floats) -> Floats:
    """``normal`` or its opposite: the one that points away from the middle, to the front in doubt."""
    away = float(normal @ center)
    return normal if (away if abs(away) > 1e-3 else float(normal @ FRONT)) >= 0 else -normal


def _dominant(vector: Floats) -> Floats:
    """The axis, with its sign, along which a vector mostly points."""
    index = int(np.argmax(np.abs(vector)))
    return np.eye(3)[index] * (1.0 if vector[index] >= 0 else -1.0)


def _shown(axis: Floats) -> str:
    return f"({', '.join(f'{value:g}' for value in axis + 0.0)})"
