"""What a robot's MJCF or URDF file says about its structure, read without a simulator.

Enough to check the names in a robot's settings and to fill in the ones left out: bodies and how far each is
from its parent, joints and their limits, sites, which joints have an actuator, where meshes are. Orientations
do not matter for that. Physics reads the file again, completely.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from blueprint_tune.errors import ConfigError

_REFERENCE = re.compile(r"""\bfile(?:name)?\s*=\s*["']([^"']+)["']""")
_DIRECTORY = re.compile(r"""\b(?:mesh|asset)dir\s*=\s*["']([^"']+)["']""")
_MESHES = (".stl", ".obj", ".msh")
"""Formats that MuJoCo reads."""


@dataclass(frozen=True)
class ModelJoint:
    """A joint that turns or slides ``body``; limits in rad or m, effort in N m or N, None = not stated."""

    name: str
    body: str
    slides: bool
    range: tuple[float, float] | None
    effort: float | None
    speed: float | None


@dataclass
class RobotModel:
    """Bodies by name -> (parent or None, metres from the parent's frame to its own)."""

    path: Path
    bodies: dict[str, tuple[str | None, float]] = field(default_factory=dict)
    joints: dict[str, ModelJoint] = field(default_factory=dict)
    sites: dict[str, str] = field(default_factory=dict)
    actuated: set[str] = field(default_factory=set)
    meshes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def chain(self, body: str) -> list[str]:
        """Bodies from the root to ``body``."""
        found: list[str] = []
        step: str | None = body
        while step is not None:
            found.append(step)
            step = self.bodies[step][0]
        return found[::-1]

    def joints_of(self, bodies: list[str]) -> list[ModelJoint]:
        """The joints that move these bodies, in their order."""
        return [joint for body in bodies for joint in self.joints.values() if joint.body == body]


def find_mesh(model: Path, reference: str) -> Path | None:
    """The file that a mesh reference means: as it stands, inside its package, or by its name alone."""
    inside = reference.split("://", 1)[-1]
    shorter = inside.split("/", 1)[-1]
    folders = (model.parent, *list(model.parent.parents)[:3])
    tries = [folder / part for part in (inside, shorter) for folder in folders]
    beside = (model.parent, model.parent / "meshes", model.parent / "assets")
    tries += [folder / Path(inside).name for folder in beside]
    return next((path for path in tries if path.is_file()), None)


def model_digest(model: Path) -> str:
    """sha256 of a model file and of the files it names, and those name, where they are found."""
    digest, seen, ahead = hashlib.sha256(model.read_bytes()), {model.resolve()}, [model]
    while ahead:
        naming = ahead.pop()
        text = naming.read_bytes().decode(errors="replace")
        folders = [model.parent / name for name in _DIRECTORY.findall(text)]
        for reference in sorted(set(_REFERENCE.findall(text))):
            inside = (path for folder in folders if (path := folder / reference).is_file())
            file = next(inside, None) or find_mesh(naming, reference) or find_mesh(model, reference)
            if file is not None and file.resolve() not in seen:
                seen.add(file.resolve())
                digest.update(reference.encode() + b"\0" + file.read_bytes())
                ahead += [file] if file.suffix in (".xml", ".mjcf", ".urdf") else []
    return digest.hexdigest()


def read_model(path: Path) -> RobotModel:
    """Read a URDF or MJCF file. Raises ConfigError when it is neither."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ConfigError(f"robot.model={path}: cannot be read as XML: {error}.") from error
    model = RobotModel(path)
    if root.tag == "robot":
        _read_urdf(root, model)
    elif root.tag == "mujoco":
        _Mjcf(root, model).read()
    else:
        raise ConfigError(
            f"robot.model={path}: expected a URDF (<robot>) or an MJCF (<mujoco>), not <{root.tag}>. "
            "A xacro file must be expanded first: xacro file.xacro > file.urdf."
        )
    return model


def _read_urdf(root: ElementTree.Element, model: RobotModel) -> None:
    parents = {}
    for joint in root.findall("joint"):
        child, kind, name = _named(joint, "child", "link"), joint.get("type", ""), joint.get("name", "")
        parents[child] = (_named(joint, "parent", "link"), _length(joint.find("origin"), "xyz"))
        if kind in ("revolute", "continuous", "prismatic"):
            model.joints[name] = _urdf_joint(joint, name, child, kind)
        elif kind != "fixed":
            model.problems.append(
                f"robot.model={model.path}: joint '{name}' is {kind}; only revolute, continuous, prismatic "
                "and fixed joints can be driven."
            )
    for link in root.findall("link"):
        name = link.get("name", "")
        model.bodies[name] = parents.get(name, (None, 0.0))
    model.meshes = [mesh.get("filename", "") for mesh in root.findall("link/collision/geometry/mesh")]
    roots = [name for name, (parent, _) in model.bodies.items() if parent is None]
    unknown = [p for p, _ in model.bodies.values() if p is not None and p not in model.bodies]
    if len(roots) != 1 or unknown:
        raise ConfigError(
            f"robot.model={model.path}: its links are not one tree: "
            + (
                f"joints name links that do not exist ({', '.join(unknown)})."
                if unknown
                else f"{len(roots)} links have no parent ({', '.join(roots[:5])})."
            )
        )


def _urdf_joint(joint: ElementTree.Element, name: str, child: str, kind: str) -> ModelJoint:
    limit = joint.find("limit")
    stated = {} if limit is None else {key: float(value) for key, value in limit.attrib.items()}
    bounded = kind != "continuous" and "upper" in stated and stated["upper"] > stated.get("lower", 0.0)
    span = (stated.get("lower", 0.0), stated["upper"]) if bounded else None
    return ModelJoint(
        name, child, kind == "prismatic", span, stated.get("effort") or None, stated.get("velocity") or None
    )


class _Mjcf:
    """Walks an MJCF file, its includes and default classes."""

    def __init__(self, root: ElementTree.Element, model: RobotModel) -> None:
        self._model = model
        self._root = self._included(root, model.path)
        self._degrees = all(c.get("angle") != "radian" for c in self._root.iter("compiler"))
        self._defaults: dict[str, dict[str, dict[str, str]]] = {"main": {}}
        for top in self._root.findall("default"):
            self._read_defaults(top, top.get("class", "main"), {})

    def read(self) -> None:
        for world in self._root.findall("worldbody"):
            self._walk(world, None, "main", 0.0)
        for group in self._root.findall("actuator"):
            self._model.actuated |= {a.get("joint", "") for a in group} - {""}

    def _included(self, root: ElementTree.Element, path: Path) -> ElementTree.Element:
        for parent in list(root.iter()):
            for index, child in reversed(list(enumerate(parent))):
                if child.tag == "include":
                    file = path.parent / child.get("file", "")
                    try:
                        part = self._included(ElementTree.parse(file).getroot(), file)
                    except (OSError, ElementTree.ParseError) as error:
                        raise ConfigError(
                            f"robot.model={self._model.path}: its include {file} cannot be read: {error}."
                        ) from error
                    parent.remove(child)
                    for offset, element in enumerate(part):
                        parent.insert(index + offset, element)
        return root

    def _read_defaults(self, node: ElementTree.Element, name: str, above: dict[str, dict[str, str]]) -> None:
        here = {tag: dict(values) for tag, values in above.items()}
        for child in node:
            if child.tag != "default":
                here.setdefault(child.tag, {}).update(child.attrib)
        self._defaults[name] = here
        for child in node.findall("default"):
            self._read_defaults(child, child.get("class", ""), here)

    def _walk(self, node: ElementTree.Element, body: str | None, style: str, offset: float) -> None:
        for child in node:
            inner = child.get("childclass", style)
            if child.tag == "frame":
                self._walk(child, body, inner, offset + _length(child, "pos"))
            elif child.tag == "body":
                name = child.get("name", "")
                self._model.bodies[name] = (body, offset + _length(child, "pos"))
                self._walk(child, name, inner, 0.0)
            elif child.tag == "site" and body is not None:
                self._model.sites[child.get("name", "")] = body
            elif child.tag == "joint" and body is not None:
                self._add_joint(child, body, style)

    def _add_joint(self, node: ElementTree.Element, body: str, style: str) -> None:
        values = self._defaults.get(node.get("class", style), {}).get("joint", {}) | node.attrib
        kind, name = values.get("type", "hinge"), values.get("name", "")
        if kind not in ("hinge", "slide"):
            return
        unit = math.pi / 180 if self._degrees and kind == "hinge" else 1.0
        low, high = (unit * float(v) for v in values.get("range", "0 0").split())
        force = [abs(float(v)) for v in values.get("actuatorfrcrange", "").split()]
        self._model.joints[name] = ModelJoint(
            name, body, kind == "slide", (low, high) if low < high else None, max(force, default=None), None
        )


def _named(joint: ElementTree.Element, tag: str, key: str) -> str:
    node = joint.find(tag)
    return "" if node is None else node.get(key, "")


def _length(node: ElementTree.Element | None, key: str) -> float:
    return 0.0 if node is None else math.hypot(*_numbers(node.get(key, "0 0 0")))


def _numbers(text: str) -> Iterator[float]:
    return (float(value) for value in text.split())


def missing_meshes(model: RobotModel) -> list[str]:
    """A sentence each about meshes that are nowhere or that physics cannot read."""
    lost = sorted({mesh for mesh in model.meshes if find_mesh(model.path, mesh) is None})
    found = {mesh for mesh in model.meshes if mesh not in lost}
    other = sorted(mesh for mesh in found if not mesh.lower().endswith(_MESHES))
    sentences = []
    if lost:
        sentences.append(
            f"robot.model={model.path}: {len(lost)} mesh files of its collision shapes are not found: "
            f"{', '.join(lost[:5])}{', …' if len(lost) > 5 else ''}. They are looked for beside the file, in "
            "meshes/, and in the folders above it."
        )
    if other:
        sentences.append(
            f"robot.model={model.path}: collision meshes must be {', '.join(_MESHES)}, not "
            f"{', '.join(other[:5])}. Convert them, or use boxes, cylinders and spheres."
        )
    return sentences
