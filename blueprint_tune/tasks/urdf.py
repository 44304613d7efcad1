"""A URDF as far as an articulated object needs it: its joints, and the boxes of what each link looks like.

Frames are (4, 4), in that of the link that hangs at no joint; the joints are at zero. What cannot be used
is raised as :class:`Unusable`, whose reason completes a sentence; nothing else comes out of arbitrary bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from blueprint_tune.tasks.articulation import MAX_DAMPING
from blueprint_tune.tasks.geometry import Floats, quat_from_euler, quat_matrix
from blueprint_tune.tasks.meshes import MeshError, MeshPart, box_corners, transformed
from blueprint_tune.tasks.reading import show

MAX_BYTES = 4 * 2**20
_MAX_LINKS = 512
_FARTHEST = 1e6

ReadMesh = Callable[[str], tuple[list[MeshPart], bool]]
"""The parts of a mesh by the name that a URDF gives it, and whether they stand in the link's frame or in the
root's. Raises MeshError."""


class Unusable(Exception):
    """A URDF, or a part of it, that cannot be used; the message completes 'its URDF cannot be used: …'."""


class Part(NamedTuple):
    """A piece of a link: ``names`` that it goes by, ``corners`` (8, 3) of the box around it."""

    link: str
    names: tuple[str, ...]
    corners: Floats


@dataclass(frozen=True, eq=False)
class UrdfJoint:
    """A joint as its file states it; None = it does not.

    Attributes:
        frame: (4, 4) of the joint at zero. axis: (3,) of the root's frame, of length 1.
        lower, upper: m or rad. damping: N s/m or N m s/rad.
    """

    name: str
    kind: str
    parent: str
    child: str
    frame: Floats
    axis: Floats | None
    lower: float | None
    upper: float | None
    damping: float | None


@dataclass(frozen=True)
class Urdf:
    """One parsed file. ``shapes``: link -> its <visual> (or, without any, <collision>) elements."""

    joints: tuple[UrdfJoint, ...]
    frames: dict[str, Floats]
    shapes: dict[str, list[ElementTree.Element]]

    def moved_by(self, joint: UrdfJoint) -> set[str]:
        """The links that move with a joint, those behind further joints included."""
        found, waiting = set[str](), [joint.child]
        while waiting:
            link = waiting.pop()
            found.add(link)
            waiting += [other.child for other in self.joints if other.parent == link]
        return found

    def parts(self, links: Iterable[str], read_mesh: ReadMesh) -> list[Part]:
        """What these links look like, in the root's frame. Raises MeshError naming the mesh."""
        return [part for link in links for part in self._parts_of(link, read_mesh)]

    def _parts_of(self, link: str, read_mesh: ReadMesh) -> list[Part]:
        found = []
        for shape in self.shapes[link]:
            shapes, in_link = _geometry(shape, read_mesh)
            frame = self.frames[link] @ _origin(shape) if in_link else np.eye(4)
            for name, corners in shapes:
                names = (link, shape.get("name", ""), name)
                found.append(Part(link, names, transformed(frame, corners)))
        return found


def parse(data: bytes) -> Urdf:
    """Read a URDF. Raises Unusable."""
    root = _xml(data)
    if root.tag != "robot":
        raise Unusable(f"its top element is <{show(root.tag)}>, expected <robot>")
    links = {link.get("name", ""): link for link in root.findall("link")}
    if not links or len(links) > _MAX_LINKS:
        raise Unusable(f"it has {len(links)} links, expected 1 to {_MAX_LINKS}")
    elements = root.findall("joint")
    frames = _frames(links, elements)
    with np.errstate(all="ignore"):
        joints = tuple(_joint(element, frames) for element in elements)
    shapes = {name: link.findall("visual") or link.findall("collision") for name, link in links.items()}
    return Urdf(joints, frames, shapes)


def _xml(data: bytes) -> ElementTree.Element:
    """The document, which may not define entities: without them it cannot name files or swell."""
    if len(data) > MAX_BYTES:
        raise Unusable(f"it is larger than {MAX_BYTES // 2**20} MB")
    try:
        text = data.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise Unusable("it has a DOCTYPE, which no URDF needs")
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise Unusable(f"it is not XML: {show(str(error))}") from error


def _frames(links: dict[str, ElementTree.Element], joints: list[ElementTree.Element]) -> dict[str, Floats]:
    """Link -> its (4, 4) frame. Links that hang at no joint share one frame. Raises Unusable for loops."""
    above: dict[str, ElementTree.Element] = {}
    for joint in joints:
        parent, child = _end(joint, "parent"), _end(joint, "child")
        for name in (parent, child):
            if name not in links:
                raise Unusable(f"joint '{show(joint.get('name', ''))}' names no link '{show(name)}'")
        if child in above:
            raise Unusable(f"link '{show(child)}' hangs at two joints")
        above[child] = joint
    frames = {name: np.eye(4) for name in links if name not in above}
    for name in links:
        chain = [name]
        while chain[-1] not in frames:
            chain.append(_end(above[chain[-1]], "parent"))
            if len(chain) > len(links):
                raise Unusable(f"link '{show(name)}' hangs at itself")
        for link in reversed(chain[:-1]):
            frames[link] = frames[_end(above[link], "parent")] @ _origin(above[link])
    return frames


def _joint(element: ElementTree.Element, frames: dict[str, Floats]) -> UrdfJoint:
    name, frame = element.get("name", ""), frames[_end(element, "child")]
    limit, dynamics = element.find("limit"), element.find("dynamics")
    axis = element.find("axis")
    direction = None if axis is None else _vector(axis.get("xyz"), None, 3)
    if direction is not None:
        length = float(np.linalg.norm(direction))
        direction = frame[:3, :3] @ direction / length if length > 1e-6 else None
    kind = element.get("type", "")
    bounded = limit is not None and kind != "continuous"
    return UrdfJoint(
        name=name,
        kind=kind,
        parent=_end(element, "parent"),
        child=_end(element, "child"),
        frame=frame,
        axis=direction,
        lower=_number(limit, "lower") if bounded else None,
        upper=_number(limit, "upper") if bounded else None,
        damping=_damping(dynamics),
    )


def _damping(dynamics: ElementTree.Element | None) -> float | None:
    """Zero is what is written by default, and measured by nobody."""
    value = _number(dynamics, "damping")
    if value is not None and not 0 <= value <= MAX_DAMPING:
        raise Unusable(f"a joint's damping is {value:g}, expected 0 to {MAX_DAMPING:g}")
    return value or None


def _end(joint: ElementTree.Element, tag: str) -> str:
    node = joint.find(tag)
    return "" if node is None else node.get("link", "")


def _origin(element: ElementTree.Element) -> Floats:
    """(4, 4) of an <origin>; roll, pitch and yaw are about fixed axes, x first (URDF specification)."""
    matrix, node = np.eye(4), element.find("origin")
    if node is not None:
        matrix[:3, :3] = quat_matrix(quat_from_euler(*_vector(node.get("rpy"), (0, 0, 0), 3)))
        matrix[:3, 3] = _vector(node.get("xyz"), (0, 0, 0), 3)
    return matrix


def _geometry(shape: ElementTree.Element, read_mesh: ReadMesh) -> tuple[list[MeshPart], bool]:
    """Named corners of a <visual>, and whether they are in its own frame. Raises MeshError and Unusable."""
    geometry = shape.find("geometry")
    for node in () if geometry is None else geometry:
        if node.tag == "mesh":
            scale = _vector(node.get("scale"), (1, 1, 1), 3)
            parts, in_link = read_mesh(node.get("filename", ""))
            return [MeshPart(name, scale * at) for name, at in parts], in_link
        if node.tag == "box":
            half = _vector(node.get("size"), None, 3) / 2
        elif node.tag in ("cylinder", "capsule"):
            radius, length = (_number(node, key) for key in ("radius", "length"))
            if radius is None or length is None:
                raise Unusable(f"a <{node.tag}> has no radius or no length")
            half = np.array([radius, radius, length / 2 + (radius if node.tag == "capsule" else 0.0)])
        elif node.tag == "sphere":
            half = np.full(3, _number(node, "radius") or 0.0)
        else:
            continue
        return [MeshPart("", box_corners(-half, half))], True
    raise MeshError("(a <geometry> without a known shape)")


def _number(node: ElementTree.Element | None, key: str) -> float | None:
    text = None if node is None else node.get(key)
    return None if text is None else float(_vector(text, None, 1)[0])


def _vector(text: str | None, default: tuple[float, ...] | None, length: int) -> Floats:
    """(length,) finite numbers. Raises Unusable."""
    if text is None and default is not None:
        return np.array(default, dtype=float)
    try:
        values = [float(word) for word in (text or "").split()]
    except ValueError:
        values = []
    if len(values) != length or not all(math.isfinite(v) and abs(v) < _FARTHEST for v in values):
        raise Unusable(f"'{show(text or '')}' stands where {length} finite numbers belong")
    return np.array(values)
