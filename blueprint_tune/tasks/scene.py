"""A scene as the rest of the program sees it: metres, z up, quaternions wxyz, whatever the manifest said.

An entity's own frame has its origin in the middle of its box, x along its width, y along its depth and
z along its height. **Its front is the -y face** (in a y-up manifest that is +z, as in glTF): drawers open
towards -y, doors swing towards -y, handles sit on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from blueprint_tune.tasks.classes import Shape
from blueprint_tune.tasks.geometry import Box, Floats, half_extents, quat_matrix
from blueprint_tune.tasks.reading import Guess

FRONT = np.array([0.0, -1.0, 0.0])
"""The outward normal of an entity's front, in its own frame."""


@dataclass(frozen=True, eq=False)
class Joint:
    """The one moving part of an articulated entity, in the entity's frame; 0 = as the manifest places it.

    Attributes:
        kind: prismatic (m) or revolute (rad).
        axis: (3,) unit; a positive position opens (moves or swings outwards).
        anchor: (3,) a point of the axis of a revolute joint.
        lower, upper: the range. damping: N s/m or N m s/rad; None = the simulator's choice.
        moving: the box that moves. fixed: boxes of what stays; none when the whole entity moves.
    """

    kind: Literal["prismatic", "revolute"]
    axis: Floats
    anchor: Floats
    lower: float
    upper: float
    damping: float | None
    moving: Box
    fixed: tuple[Box, ...]

    @property
    def range(self) -> float:
        """upper - lower, m or rad."""
        return self.upper - self.lower


@dataclass(frozen=True, eq=False)
class Handle:
    """A bar to pull at, in the entity's frame at joint position 0; it moves with the joint.

    Attributes:
        center: (3,) the middle of the bar. outward: (3,) unit, away from the entity.
        along: (3,) unit, the bar's direction. length_m, radius_m: the bar.
        standoff_m: from the face to ``center``.
    """

    center: Floats
    outward: Floats
    along: Floats
    length_m: float
    radius_m: float
    standoff_m: float


@dataclass(frozen=True)
class Interior:
    """What a manifest says of a hollow object; None = it does not say.

    Attributes:
        wall_m: thickness of walls and floor. boards_m: of a shelf, heights of its boards' upper surfaces
            above its underside, rising. slot_width_m: of the place on a board that one product has.
        hole_width_m, hole_depth_m, hole_round: of a socket. clearance_m: around the part that fits its hole.
    """

    wall_m: float | None = None
    boards_m: tuple[float, ...] | None = None
    slot_width_m: float | None = None
    hole_width_m: float | None = None
    hole_depth_m: float | None = None
    hole_round: bool | None = None
    clearance_m: float | None = None


@dataclass(frozen=True, eq=False)
class Entity:
    """One object of a scene.

    Attributes:
        id: unique, ``[A-Za-z0-9_]+``, the name of its body in a simulator. source_id: as the manifest has it.
        category: the known class it was recognised as ('mug', 'drawer', …), or the manifest's own word.
        labels: every word a role's ``categories`` may match, lower case.
        sim_role: one of the manifest schema's, 'unknown' if it has none.
        affordances: lower case. position: (3,) centre of the box. quat: (4,) wxyz. size: (3,) own frame.
        shape: what fills the box (tasks/shapes.py); round ones stand along the own z. mass_kg, friction: as
            given or the class default. movable: it can be carried or pushed away.
        interior: what is known of the inside of a hollow one. guesses: what of an entity that is made up
            or moved for a task stands in for what the manifest does not say, a sentence each.
    """

    id: str
    source_id: str
    category: str
    labels: frozenset[str]
    sim_role: str
    affordances: frozenset[str]
    position: Floats
    quat: Floats
    size: Floats
    shape: Shape
    mass_kg: float
    friction: float
    movable: bool
    joint: Joint | None = None
    handle: Handle | None = None
    interior: Interior = Interior()
    guesses: tuple[str, ...] = ()

    @cached_property
    def rotation(self) -> Floats:
        """(3, 3) own frame to scene."""
        return quat_matrix(self.quat)

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """Lowest and highest corner, (3,) each, of the axis-aligned box around it in the scene."""
        half = half_extents(self.rotation, self.size)
        return self.position - half, self.position + half

    @property
    def bottom(self) -> float:
        """Height of the lowest point in metres."""
        return float(self.bounds[0][2])

    @property
    def top(self) -> float:
        """Height of the highest point in metres."""
        return float(self.bounds[1][2])

    def to_scene(self, point: Floats) -> Floats:
        """(3,) a point of the own frame, in the scene."""
        return self.position + self.rotation @ point

    @property
    def moving_mass_kg(self) -> float:
        """Mass of the part that moves: its share of the box; all of it without a joint."""
        share = 1.0 if self.joint is None else self.joint.moving.size.prod() / self.size.prod()
        return self.mass_kg * float(share)

    @property
    def handle_position(self) -> Floats | None:
        """(3,) the handle's centre in the scene at joint position 0, or None."""
        return None if self.handle is None else self.to_scene(self.handle.center)

    @property
    def grip_position(self) -> Floats | None:
        """(3,) by what an articulated entity is moved: its handle, else (knob, button) its moving part."""
        if self.joint is None:
            return None
        return self.to_scene(self.joint.moving.center if self.handle is None else self.handle.center)

    @property
    def grip_outward(self) -> Floats | None:
        """(3,) unit, from there away from the front, in the scene; None if nothing moves."""
        if self.joint is None:
            return None
        return self.rotation @ (FRONT if self.handle is None else self.handle.outward)


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything read from one manifest.

    Attributes:
        id: the manifest's scene_id. path: where it was read. entities: in the manifest's order.
        environment: 'kitchen', …; '' when not given. up_axis: the manifest's, as decided. Floor: z = 0.
        notes: every leniency, decision and guess, a sentence each. guesses: stand-ins for measurements.
        digest: sha256 of the manifest's bytes, and of the URDFs that joints were read from.
    """

    id: str
    path: str
    entities: tuple[Entity, ...]
    environment: str
    up_axis: Literal["y", "z"]
    notes: tuple[str, ...]
    guesses: tuple[Guess, ...]
    digest: str
    by_id: dict[str, Entity] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {entity.id: entity for entity in self.entities})
