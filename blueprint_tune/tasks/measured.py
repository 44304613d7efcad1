"""The joint and the handle of an entity from the parts and the joint of its URDF."""

from __future__ import annotations

import numpy as np

from blueprint_tune.tasks.articulation import Source, read_damping
from blueprint_tune.tasks.classes import words
from blueprint_tune.tasks.fitting import STRETCHED, Fit, box_around, fit, without
from blueprint_tune.tasks.handles import handle_in, read_handle
from blueprint_tune.tasks.motion import Motion, kind_of, likely_axes, read_motion
from blueprint_tune.tasks.reading import Notes, section
from blueprint_tune.tasks.scene import Handle, Joint
from blueprint_tune.tasks.urdf import Part, Unusable, UrdfJoint

HANDLE_WORDS = frozenset({"handle", "pull", "grip", "knob", "lever"})
"""What upstream's parts and those of common asset generators are called that one pulls at."""
_MAX_BOXES = 16
"""Of more parts than this the body is one box around them all: every one is tested for contacts."""


def measured(
    source: Source, joint: UrdfJoint, moving: list[Part], fixed: list[Part], notes: Notes
) -> tuple[Joint, Handle | None]:
    """The joint, and the handle if it has one, from what was measured. Raises Unusable.

    Args:
        moving: what the joint moves, at least one. fixed: what stays, and moves only by other joints.
    """
    held = source.known.opening in ("knob", "button")
    handles = [] if held else [part for part in moving if is_handle(part)]
    panel = moving if held else [part for part in moving if not is_handle(part)] or moving
    kind = kind_of(joint)
    placed = _fit(source, joint, [*moving, *fixed], notes)
    box = box_around([placed.points(part.corners) for part in panel])
    motion = read_motion(source, joint, kind, placed, box, notes)
    around = [box_around([placed.points(part.corners)]) for part in fixed]
    if len(around) > _MAX_BOXES:
        around = [box_around([placed.points(part.corners) for part in fixed])]
    stays = tuple(piece for other in around for piece in without(other, box))
    damping = joint.damping if joint.damping is not None else read_damping(source, notes)
    made = Joint(kind, motion.axis, motion.anchor, motion.lower, motion.upper, damping, box, stays)
    return made, _handle(source, placed, handles if len(panel) < len(moving) else [], motion, made, notes)


def is_handle(part: Part) -> bool:
    """Whether a part is named like something to pull at."""
    return any(HANDLE_WORDS & set(words(name)) for name in part.names)


def _fit(source: Source, joint: UrdfJoint, parts: list[Part], notes: Notes) -> Fit:
    """All parts, or all but the handles, whichever is more like the box in its proportions, fill it."""
    likely = likely_axes(source, kind_of(joint))
    fits = []
    for fills in (parts, [part for part in parts if not is_handle(part)]):
        corners = np.array([part.corners for part in fills]).reshape(-1, 3)
        found = fit(corners, source.size, joint.axis, likely) if fills else None
        if found is not None:
            fits.append(found)
    if not fits:
        raise Unusable("its meshes have no size")
    placed = min(fits, key=lambda found: found.stretch)
    shown = " x ".join(f"{value:.3g}" for value in placed.scale)
    if placed.stretch > STRETCHED:
        notes.guess(f"its URDF is stretched by {shown} to fill its box.", source.name, "motion")
    elif np.any(placed.scale != 1):
        notes.note(f"{source.name}: its URDF is scaled by {shown} to fill its box.")
    if not placed.sure:
        text = f"nothing tells whether y or z points up in its URDF; {placed.up} is assumed."
        notes.guess(text, source.name, "motion")
    return placed


def _handle(
    source: Source, placed: Fit, handles: list[Part], motion: Motion, joint: Joint, notes: Notes
) -> Handle | None:
    """Where the URDF has one; else where the manifest describes one; else the usual one, a guess."""
    if handles:
        box = box_around([placed.points(part.corners) for part in handles])
        found = handle_in(box, joint, motion.outward)
        if found is not None:
            return found
        notes.note(f"{source.name}: the handle of its URDF does not stand out of its face.")
    block = section(source.raw, "articulation", source.name, notes)
    told = section(block, "handle", f"{source.name}: articulation", notes)
    to_own = source.to_z_up * source.meters
    return read_handle(told, source.name, motion.opening, joint, to_own, notes, motion.outward)
