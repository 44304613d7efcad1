"""What a term may read: the state of the scene in every environment, by references resolved once.

Frames, joints and contacts are named in policy files (``robot/ee``, ``target/handle``,
``command/goal``). A :class:`Catalog` lists the names that exist for one bound task and turns them
into integer references before any simulator starts; a simulator then fills one
:class:`SceneState` in the catalog's order after every env step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from blueprint_tune.errors import ConfigError, nearest


@dataclass(frozen=True)
class Frame:
    """A reference to a frame: of the scene (``index``), of a command (``command`` is its name), or of that
    member of a role whose turn it is (``members`` are their indices)."""

    index: int
    command: str | None = None
    members: tuple[int, ...] = ()


@dataclass(frozen=True)
class Joint:
    """A reference to a joint of the robot or of a fixture; ``members`` as in :class:`Frame`.

    ``outward``: cosine between a fixture's axis and the way its front looks; 0 for the robot's joints.
    """

    index: int
    members: tuple[int, ...] = ()
    outward: float = 0.0


class Region(NamedTuple):
    """A reference to a box in which things are put: its frame, and half its extents in metres."""

    frame: Frame
    half_extents: tuple[float, float, float]


class Body(NamedTuple):
    """A reference to a rigid role: its frame, and half the extents of its box in metres."""

    frame: Frame
    half_extents: tuple[float, float, float]


class Command(NamedTuple):
    """A reference to a scalar or vector drawn anew each episode."""

    name: str


@dataclass(frozen=True)
class Members:
    """A reference to a role that several entities play."""

    count: int


class Contact(NamedTuple):
    """A reference to contact forces: one column a body, ``columns`` of ``SceneState.contact_force``.

    Of a role with members ``columns`` holds those of all members, ``per_member`` each.
    """

    columns: tuple[int, ...]
    per_member: int = 0


class ContactRequest(NamedTuple):
    """A column of contact force: ``body`` against ``against`` (None = against anything)."""

    body: str
    against: str | None


@dataclass
class Catalog:
    """The names that exist for one bound task.

    Attributes:
        bodies: a name usable in terms (``robot/gripper``, ``target``) -> the simulator's body names.
        members: a role played by several entities -> their names (``item`` -> ``item_0``, ``item_1``).
        regions: a role in which things are put -> half its region's extents in metres.
        boxes: a rigid role -> half its own. outward: a fixture's joint -> what :class:`Joint` says.
        joint_units: a joint -> rad or m. wrist: the arm's last joint, called ``robot/wrist`` in terms.
        contacts: grows as terms ask for contact forces and is handed to the simulator.
    """

    frames: tuple[str, ...]
    joints: tuple[str, ...]
    bodies: dict[str, tuple[str, ...]]
    command_positions: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    contacts: list[ContactRequest] = field(default_factory=list)
    members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    regions: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    boxes: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    outward: dict[str, float] = field(default_factory=dict)
    joint_units: dict[str, str] = field(default_factory=dict)
    wrist: str = ""

    def frame(self, name: str, where: str) -> Frame:
        """Resolve a frame name; raises ConfigError naming ``where`` and the nearest frame."""
        if name in self.frames:
            return Frame(self.frames.index(name))
        commands = [f"command/{c}" for c in self.command_positions]
        if name in commands:
            return Frame(-1, name.removeprefix("command/"))
        members = self._of_members(name, self.frames)
        if members:
            return Frame(-1, members=members)
        raise unknown("frame", name, [*self.frames, *self.members, *commands], where)

    def joint(self, name: str, where: str) -> Joint:
        """Resolve a joint name; raises ConfigError naming ``where`` and the nearest joint."""
        members = self._of_members(name, self.joints)
        if members:
            return Joint(-1, members)
        name = self.wrist if name == "robot/wrist" and self.wrist else name
        if name not in self.joints:
            raise unknown("joint", name, [*self.joints, *(f"{role}/joint" for role in self.members)], where)
        return Joint(self.joints.index(name), outward=self.outward.get(name, 0.0))

    def members_of(self, name: str, where: str) -> Members:
        """Resolve a role with members; raises ConfigError naming ``where`` and the nearest one."""
        if name not in self.members:
            raise unknown("role with several members", name, list(self.members), where)
        return Members(len(self.members[name]))

    def region(self, name: str, where: str) -> Region:
        """Resolve the region of a role; of one with members it is as large as the smallest of theirs."""
        return Region(self.frame(name, where), self._extents("region", self.regions, name, where))

    def box(self, name: str, where: str) -> Body:
        """Resolve a rigid role; one with members is as large as the smallest of them."""
        return Body(self.frame(name, where), self._extents("rigid role", self.boxes, name, where))

    def _extents(
        self, kind: str, known: dict[str, tuple[float, float, float]], name: str, where: str
    ) -> tuple[float, float, float]:
        """Half extents of a role; raises ConfigError naming ``where`` and the nearest one that has them."""
        found = [known[member] for member in self.members.get(name, (name,)) if member in known]
        if not found:
            raise unknown(kind, name, [*known, *self.members], where)
        x, y, z = (min(extents) for extents in zip(*found, strict=True))
        return x, y, z

    def _of_members(self, name: str, known: tuple[str, ...]) -> tuple[int, ...]:
        """The indices of ``<role>/<part>`` for every member of the role; empty if it has none."""
        role, slash, part = name.partition("/")
        names = [f"{member}{slash}{part}" for member in self.members.get(role, ())]
        return tuple(known.index(n) for n in names) if all(n in known for n in names) else ()

    def command(self, name: str, where: str) -> Command:
        """Resolve a command by its name in the policy file (with or without ``command/``)."""
        bare = name.removeprefix("command/")
        if bare not in self.commands:
            raise unknown("command", bare, list(self.commands), where)
        return Command(bare)

    def contact(self, by: str, against: str | None, where: str) -> Contact:
        """Ask for the contact forces of every body of ``by`` against ``against``."""
        for name in (by, against):
            if name is not None and name not in self.bodies and name not in self.members:
                raise unknown("body", name, [*self.bodies, *self.members], where)
        if by in self.members:
            raise ConfigError(f"{where}: '{by}' has several members; contact forces are asked of one body.")
        others: tuple[str | None, ...] = (None,)
        if against is not None:
            others = tuple(self.bodies[name][0] for name in self.members.get(against, (against,)))
        requests = [ContactRequest(body, other) for other in others for body in self.bodies[by]]
        self.contacts.extend(request for request in requests if request not in self.contacts)
        columns = tuple(self.contacts.index(request) for request in requests)
        return Contact(columns, len(self.bodies[by]) if against in self.members else 0)


def unknown(kind: str, name: str, known: list[str], where: str) -> ConfigError:
    """The error for a name that does not exist, with the nearest one that does."""
    return ConfigError(f"{where}: there is no {kind} '{name}'. {nearest(name, known)}")


SQUEEZE = 0.5
"""Largest share of the fingers' forces that their sum may keep: they point at least 120 degrees apart."""


class SceneState:
    """The scene in all environments after an env step; tensors are (num_envs, …) float32, z up, wxyz.

    Attributes:
        frame_pos: (N, F, 3) metres. frame_quat: (N, F, 4). frame_linvel, frame_angvel: (N, F, 3).
        frame_scale: (N, F) by which what a frame belongs to is larger than its role's entity.
        joint_pos, joint_vel: (N, J) in rad or m and per second. joint_limits: (J, 2).
        contact_force: (N, C) newtons, magnitude of the net force of one contact request. contact_vector:
            (N, C, 3) newtons, that force in world axes; 0 where a simulator does not know directions.
        num_robot_joints: the robot's joints are the first of ``joint_pos``. joint_targets: (N, R).

    The environment keeps the rest: start_frame_pos: (N, F, 3).
    start_joint_pos: (N, J). commands: name -> (N, d). action, previous_action: (N, A).
    elapsed_steps: (N,) env steps of the episode so far, of episode_steps.
    success_condition: (N,) bool, this env step.
    order: (N, L) int64, the members of a role in the order of their turns; (N, 0) without a sequence.
    stage: (N,) int64, how many of them are done. active: (N,) int64, whose turn it is.
    """

    def __init__(
        self, catalog: Catalog, num_envs: int, num_robot_joints: int, num_actions: int, device: str = "cpu"
    ) -> None:
        f, j, c = len(catalog.frames), len(catalog.joints), len(catalog.contacts)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(num_envs, *shape, device=device)

        self.catalog = catalog
        self.num_envs = num_envs
        self.device = device
        self.frame_pos, self.frame_quat = zeros(f, 3), zeros(f, 4)
        self.frame_linvel, self.frame_angvel = zeros(f, 3), zeros(f, 3)
        self.start_frame_pos = zeros(f, 3)
        self.frame_scale = torch.ones(num_envs, f, device=device)
        self.joint_pos, self.joint_vel = zeros(j), zeros(j)
        self.start_joint_pos = zeros(j)
        self.joint_limits = torch.zeros(j, 2, device=device)
        self.contact_force, self.contact_vector = zeros(c), zeros(c, 3)
        self.num_robot_joints = num_robot_joints
        self.joint_targets = zeros(num_robot_joints)
        self.commands: dict[str, Tensor] = {}
        self.action, self.previous_action = zeros(num_actions), zeros(num_actions)
        self.elapsed_steps = zeros()
        self.episode_steps = 1
        self.success_condition = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self.order = torch.zeros(num_envs, 0, dtype=torch.int64, device=device)
        self.stage = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.active = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._rows = torch.arange(num_envs, device=device)
        self._shared: dict[tuple[Any, ...], Tensor] = {}

    def changed(self) -> None:
        """Forget what terms shared; to be called by whoever changes frames, contacts or commands."""
        self._shared.clear()

    def position(self, frame: Frame) -> Tensor:
        """(N, 3) position in metres of a scene or command frame."""
        if frame.command is not None:
            return self.commands[frame.command]
        return self._row(self.frame_pos, frame)

    def start_position(self, frame: Frame) -> Tensor:
        """(N, 3) where a scene frame was at the start of the episode."""
        return self._row(self.start_frame_pos, frame)

    def quaternion(self, frame: Frame) -> Tensor:
        """(N, 4) orientation, wxyz, of a scene frame."""
        return self._row(self.frame_quat, frame)

    def velocity(self, frame: Frame) -> Tensor:
        """(N, 3) linear velocity in m/s of a scene frame."""
        return self._row(self.frame_linvel, frame)

    def scale_of(self, frame: Frame) -> Tensor:
        """(N,) factor on the size of what a scene frame belongs to."""
        return self._row(self.frame_scale, frame)

    def angular_velocity(self, frame: Frame) -> Tensor:
        """(N, 3) angular velocity in rad/s, world axes, of a scene frame."""
        return self._row(self.frame_angvel, frame)

    def joint_position(self, joint: Joint) -> Tensor:
        """(N,) rad or m."""
        return self._row(self.joint_pos, joint)

    def joint_velocity(self, joint: Joint) -> Tensor:
        """(N,) rad/s or m/s."""
        return self._row(self.joint_vel, joint)

    def start_joint_position(self, joint: Joint) -> Tensor:
        """(N,) where a joint was at the start of the episode, rad or m."""
        return self._row(self.start_joint_pos, joint)

    def joint_range(self, joint: Joint) -> tuple[Tensor, Tensor]:
        """Lower and upper limit, rad or m: scalars, or (N,) for a role with members."""
        limits = self.joint_limits
        if joint.members:
            return limits[self._turn(joint), 0], limits[self._turn(joint), 1]
        return limits[joint.index, 0], limits[joint.index, 1]

    def joint_fraction(self, joint: Joint) -> Tensor:
        """(N,) position of a joint as a fraction of its range."""
        lower, upper = self.joint_range(joint)
        return (self.joint_position(joint) - lower) / (upper - lower)

    def joint_error(self, joint: Joint, to: Command) -> Tensor:
        """(N,) rad or m from a joint to the commanded fraction of its range."""
        lower, upper = self.joint_range(joint)
        return lower + self.commands[to.name][:, 0] * (upper - lower) - self.joint_position(joint)

    def distance(self, a: Frame, b: Frame) -> Tensor:
        """(N,) metres between two frames; computed once an env step, for all terms."""
        if (a, b) not in self._shared:
            self._shared[a, b] = torch.linalg.vector_norm(self.position(a) - self.position(b), dim=1)
        return self._shared[a, b]

    def horizontal_distance(self, a: Frame, b: Frame) -> Tensor:
        """(N,) metres between two frames seen from above."""
        return torch.linalg.vector_norm((self.position(a) - self.position(b))[:, :2], dim=1)

    def grasped(self, contact: Contact, force_n: float) -> Tensor:
        """(N,) 1 where all bodies of the request squeeze with at least ``force_n`` each; once an env step.

        Fingers that press the same way push: of a squeeze at most half the force is left in the sum.
        """
        key = (contact, force_n)
        if key not in self._shared:
            forces = self.forces(contact)
            net = torch.linalg.vector_norm(self._of(contact, self.contact_vector).sum(dim=1), dim=1)
            squeezed = net <= SQUEEZE * forces.sum(dim=1)
            self._shared[key] = ((forces.amin(dim=1) >= force_n) & squeezed).float()
        return self._shared[key]

    def forces(self, contact: Contact) -> Tensor:
        """(N, k) newtons, one column a body of the request."""
        return self._of(contact, self.contact_force)

    def _of(self, contact: Contact, values: Tensor) -> Tensor:
        """(N, k, …) columns of (N, C, …) that belong to a request."""
        if contact.per_member:
            columns = torch.tensor(contact.columns, device=self.device).view(-1, contact.per_member)
            return values[self._rows[:, None], columns[self.active]]
        first, *rest = contact.columns
        if rest == list(range(first + 1, first + 1 + len(rest))):
            return values[:, first : first + 1 + len(rest)]
        return values[:, list(contact.columns)]

    def on_member(self, member: int, function: Callable[[SceneState], Tensor]) -> Tensor:
        """What a function of the state gives when it is this member's turn in every environment."""
        active, shared = self.active, self._shared
        self.active, self._shared = torch.full_like(active, member), {}
        try:
            return function(self)
        finally:
            self.active, self._shared = active, shared

    def _row(self, values: Tensor, of: Frame | Joint) -> Tensor:
        """``values[:, index]``, of a role with members the row of the one whose turn it is."""
        if of.members:
            return values[self._rows, self._turn(of)]
        return values[:, of.index]

    def _turn(self, of: Frame | Joint) -> Tensor:
        """(N,) the index of the member whose turn it is; found once an env step."""
        if of.members not in self._shared:
            self._shared[of.members] = torch.tensor(of.members, device=self.device)[self.active]
        return self._shared[of.members]
