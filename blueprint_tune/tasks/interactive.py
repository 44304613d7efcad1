"""Measured articulation beside a manifest: ``interactive/obj_{id}/{id}.urdf``, as upstream writes it.

Upstream documents that name (``tools/storage_layout``), its job writes ``obj_{id}.urdf``
(``interactive-job``), and its reader tries both, then ``robot.urdf`` and ``model.urdf``
(``tools/articulation_wiring``); so does this one. The URDF is measured, so it wins over the manifest's
``articulation`` and over what is usual for the class; what it lacks is a listed guess. One that describes
nothing that moves is what upstream writes when it has found nothing out (a static or placeholder URDF), or
has guessed from the class itself (its heuristic, whose moving link has no shape): then the manifest is read
as if there were none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from blueprint_tune.tasks.articulation import KINDS, Source, read_articulation
from blueprint_tune.tasks.fitting import UP_AXES, box_around, plausible
from blueprint_tune.tasks.interactive_files import Meshes, find_urdf
from blueprint_tune.tasks.measured import is_handle, measured
from blueprint_tune.tasks.meshes import MeshError
from blueprint_tune.tasks.motion import kind_of, likely_axes, limits
from blueprint_tune.tasks.reading import Notes, number, section, show, text
from blueprint_tune.tasks.scene import Handle, Joint
from blueprint_tune.tasks.upaxis import TO_Z_UP
from blueprint_tune.tasks.urdf import MAX_BYTES, Unusable, Urdf, UrdfJoint, parse


class Interactive(NamedTuple):
    """What was read of one object, and a hash of the URDF and of what its meshes were found to be."""

    joint: Joint
    handle: Handle | None
    content: str


class _Nothing(Unusable):
    """The URDF is sound and describes nothing that moves."""


def read_interactive(source: Source, folder: Path, notes: Notes) -> Interactive | None:
    """The measured joint of an object of the manifest in ``folder``; None, with a note, when there is none.

    Raises ManifestError as :func:`~blueprint_tune.tasks.articulation.read_articulation` does.
    """
    path = find_urdf(source.source_id, folder)
    if path is None:
        return None
    shown = show(str(path.relative_to(folder)))
    if source.movable:
        notes.note(f"{source.name}: is carried as one piece; {shown} is not read.")
        return None
    try:
        return _read(source, path, folder, shown, notes)
    except _Nothing as error:
        notes.note(f"{source.name}: {shown} describes nothing that moves ({error}) and is not used.")
    except Unusable as error:
        advice = "the manifest and its class are taken instead. Correct or remove the file."
        notes.guess(f"{shown} cannot be used: {error}; {advice}", source.name, "motion")
    return None


def scene_identity(digest: str, found: Iterable[Interactive | None]) -> str:
    """The manifest's digest, with the content of the URDFs that were used, if any."""
    contents = [one.content for one in found if one is not None]
    return hashlib.sha256("\n".join([digest, *contents]).encode()).hexdigest() if contents else digest


def _read(source: Source, path: Path, folder: Path, shown: str, notes: Notes) -> Interactive:
    data, meshes = _content(path), Meshes(path.parent, folder)
    urdf = parse(data)
    mine = Notes(notes.path)
    joint = _primary(source, urdf, meshes, mine)
    links = urdf.moved_by(joint)
    try:
        moving = urdf.parts(sorted(links), meshes)
        fixed = urdf.parts(sorted(urdf.frames.keys() - links), meshes)
    except MeshError as error:
        mine.guess(f"{shown}: {error}; its class and size tell which part moves.", source.name, "motion")
        made, handle = _by_class(source, joint, mine)
    else:
        with np.errstate(all="ignore"):
            made, handle = measured(source, joint, moving, fixed, mine)
    _tell(source, joint, made, shown, notes)
    for entry in mine.entries:
        notes.note(entry)
    notes.guesses += mine.guesses
    return Interactive(made, handle, hashlib.sha256(data + meshes.seen).hexdigest())


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unusable(f"it cannot be read ({error.strerror})") from error


def _primary(source: Source, urdf: Urdf, meshes: Meshes, notes: Notes) -> UrdfJoint:
    """The joint to use: of the manifest's kind if one is, and of those the one that moves most."""
    able = [joint for joint in urdf.joints if joint.kind in ("prismatic", "revolute", "continuous")]
    joints = [joint for joint in able if any(urdf.shapes[link] for link in urdf.moved_by(joint))]
    if not able:
        raise _Nothing("it has no joint that slides or turns")
    if not joints:
        raise _Nothing(f"what joint '{show(able[0].name)}' moves has no shape")
    wanted = KINDS.get(text(section(source.raw, "articulation", source.name, notes), "type").lower())
    extents = {id(joint): _extent(urdf, joint, meshes) for joint in joints}
    best = max(joints, key=lambda joint: (kind_of(joint) == wanted, *extents[id(joint)]))
    others = [show(joint.name) for joint in able if joint is not best]
    if others:
        kept = "stay as they are" if len(others) > 1 else "stays as it is"
        notes.note(
            f"{source.name}: of the joints of its URDF '{show(best.name)}' is used; "
            f"{', '.join(others)} {kept}."
        )
    return best


def _extent(urdf: Urdf, joint: UrdfJoint, meshes: Meshes) -> tuple[bool, float]:
    """(whether it moves more than a handle, the volume of the box around what it moves)."""
    try:
        parts = urdf.parts(sorted(urdf.moved_by(joint)), meshes)
    except MeshError:
        return True, 0.0
    size = box_around([part.corners for part in parts]).size
    return not all(is_handle(part) for part in parts), float(np.maximum(size, 0.02 * size.max()).prod())


def _by_class(source: Source, joint: UrdfJoint, notes: Notes) -> tuple[Joint, Handle | None]:
    """The joint where no mesh can be read: type, axis and limits of the URDF, boxes by class and size."""
    kind = kind_of(joint)
    block: dict[str, Any] = dict(section(source.raw, "articulation", source.name, notes))
    for key in ("axis", "joint_axis", "limits"):
        block.pop(key, None)
    block["type"] = kind
    axis = joint.axis
    lower, upper, given = limits(source, joint, source.known.opening or "door", 1.0, notes)
    if given and upper <= 0 and axis is not None:
        axis, lower, upper = -axis, -upper, -lower
    unit = source.meters if kind == "prismatic" else 1.0
    block["limits"] = {"lower": max(lower, 0.0) / unit, "upper": upper / unit}
    if axis is not None:
        likely = likely_axes(source, kind)
        up = next((up for up in UP_AXES if plausible(up, axis, likely)), UP_AXES[0])
        block["axis"] = (source.to_z_up.T @ TO_Z_UP[up] @ axis).tolist()
    if joint.damping is not None:
        block["damping"] = joint.damping
    made, handle = read_articulation(replace(source, raw={**source.raw, "articulation": block}), notes)
    assert made is not None  # its type is given
    return made, handle


def _tell(source: Source, joint: UrdfJoint, made: Joint, shown: str, notes: Notes) -> None:
    """Say what was read, and what of the manifest's own words it contradicts."""
    unit = "m" if made.kind == "prismatic" else "rad"
    notes.note(
        f"{source.name}: its joint is '{show(joint.name)}' of {shown}: {made.kind}, "
        f"{made.lower:.3g} to {made.upper:.3g} {unit}."
    )
    block = section(source.raw, "articulation", source.name, notes)
    word = text(block, "type").lower()
    if word in KINDS and KINDS[word] != made.kind:
        said = f"{source.name}: articulation.type is {word}"
        notes.note(f"{said}, which its URDF contradicts; the URDF counts.")
    where = f"{source.name}: articulation.limits.upper"
    told = number(section(block, "limits", source.name, notes).get("upper"), where, notes)
    if KINDS.get(word) == made.kind and told is not None:
        upper = told * (source.meters if made.kind == "prismatic" else 1.0)
        if abs(upper - made.upper) > 0.05 * made.upper:
            notes.note(f"{where} is {upper:.3g} {unit}, which its URDF contradicts; the URDF counts.")
