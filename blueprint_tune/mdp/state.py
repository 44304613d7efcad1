"""What a term may read: the state of the scene in every environment, by references resolved once.

Frames, joints and contacts are named in policy files (``robot/ee``, ``target/handle``,
``command/goal``). A :class:`Catalog` lists the names that exist for one bound task and turns them
into integer references before any simulator starts; a simulator then fills one
:class:`SceneState` in the catalog's order after every env step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from blueprint_tune.errors import ConfigError, nearest


@dataclass(frozen=True)
class Frame:
    """A reference to a frame: of the scene (``index``) or of a command (``command`` is its name)."""

    index: int
    command: str | None = None


@dataclass(frozen=True)
class Joint:
    """A reference to a joint of the robot or of a fixture."""

    index: int


class Command(NamedTuple):
    """A reference to a scalar or vector drawn anew each episode."""

    name: str


class Contact(NamedTuple):
    """A reference to contact forces: one column a body, ``columns`` of ``SceneState.contact_force``."""

    columns: tuple[int, ...]


class ContactRequest(NamedTuple):
    """A column of contact force: ``body`` against ``against`` (None = against anything)."""

    body: str
    against: str | None


@dataclass
class Catalog:
    """The names that exist for one bound task.

    ``bodies`` maps a name usable in terms (``robot/gripper``, ``target``) to the simulator's body
    names; ``contacts`` grows as terms ask for contact forces and is handed to the simulator.
    """

    frames: tuple[str, ...]
    joints: tuple[str, ...]
    bodies: dict[str, tuple[str, ...]]
    command_positions: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    contacts: list[ContactRequest] = field(default_factory=list)

    def frame(self, name: str, where: str) -> Frame:
        """Resolve a frame name; raises ConfigError naming ``where`` and the nearest frame."""
        if name in self.frames:
            return Frame(self.frames.index(name))
        commands = [f"command/{c}" for c in self.command_positions]
        if name in commands:
            return Frame(-1, name.removeprefix("command/"))
        raise unknown("frame", name, [*self.frames, *commands], where)

    def joint(self, name: str, where: str) -> Joint:
        """Resolve a joint name; raises ConfigError naming ``where`` and the nearest joint."""
        if name not in self.joints:
            raise unknown("joint", name, list(self.joints), where)
        return Joint(self.joints.index(name))

    def command(self, name: str, where: str) -> Command:
        """Resolve a command by its name in the policy file (with or without ``command/``)."""
        bare = name.removeprefix("command/")
        if bare not in self.commands:
            raise unknown("command", bare, list(self.commands), where)
        return Command(bare)

    def contact(self, by: str, against: str | None, where: str) -> Contact:
        """Ask for the contact forces of every body of ``by`` against ``against``."""
        for name in (by, against):
            if name is not None and name not in self.bodies:
                raise unknown("body", name, list(self.bodies), where)
        other = None if against is None else self.bodies[against][0]
        columns = []
        for body in self.bodies[by]:
            request = ContactRequest(body, other)
            if request not in self.contacts:
                self.contacts.append(request)
            columns.append(self.contacts.index(request))
        return Contact(tuple(columns))


def unknown(kind: str, name: str, known: list[str], where: str) -> ConfigError:
    """The error for a name that does not exist, with the nearest one that does."""
    return ConfigError(f"{where}: there is no {kind} '{name}'. {nearest(name, known)}")


class SceneState:
    """The scene in all environments after an env step; tensors are (num_envs, …) float32, z up, wxyz.

    Attributes:
        frame_pos: (N, F, 3) metres. frame_quat: (N, F, 4). frame_linvel, frame_angvel: (N, F, 3).
        joint_pos, joint_vel: (N, J) in rad or m and per second. joint_limits: (J, 2).
        contact_force: (N, C) newtons, magnitude of the net force of one contact request.
        num_robot_joints: the robot's joints are the first of ``joint_pos``. joint_targets: (N, R).

    The environment keeps the rest: start_frame_pos: (N, F, 3).
    start_joint_pos: (N, J). commands: name -> (N, d). action, previous_action: (N, A).
    elapsed_steps: (N,) env steps of the episode so far, of episode_steps.
    success_condition: (N,) bool, this env step.
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
        self.joint_pos, self.joint_vel = zeros(j), zeros(j)
        self.start_joint_pos = zeros(j)
        self.joint_limits = torch.zeros(j, 2, device=device)
        self.contact_force = zeros(c)
        self.num_robot_joints = num_robot_joints
        self.joint_targets = zeros(num_robot_joints)
        self.commands: dict[str, Tensor] = {}
        self.action, self.previous_action = zeros(num_actions), zeros(num_actions)
        self.elapsed_steps = zeros()
        self.episode_steps = 1
        self.success_condition = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self._shared: dict[tuple[Any, ...], Tensor] = {}

    def changed(self) -> None:
        """Forget what terms shared; to be called by whoever changes frames, contacts or commands."""
        self._shared.clear()

    def position(self, frame: Frame) -> Tensor:
        """(N, 3) position in metres of a scene or command frame."""
        if frame.command is not None:
            return self.commands[frame.command]
        return self.frame_pos[:, frame.index]

    def start_position(self, frame: Frame) -> Tensor:
        """(N, 3) where a scene frame was at the start of the episode."""
        return self.start_frame_pos[:, frame.index]

    def quaternion(self, frame: Frame) -> Tensor:
        """(N, 4) orientation, wxyz, of a scene frame."""
        return self.frame_quat[:, frame.index]

    def velocity(self, frame: Frame) -> Tensor:
        """(N, 3) linear velocity in m/s of a scene frame."""
        return self.frame_linvel[:, frame.index]

    def joint_error(self, joint: Joint, to: Command) -> Tensor:
        """(N,) rad or m from a joint to the commanded fraction of its range."""
        lower, upper = self.joint_limits[joint.index]
        wanted = lower + self.commands[to.name][:, 0] * (upper - lower)
        return wanted - self.joint_pos[:, joint.index]

    def distance(self, a: Frame, b: Frame) -> Tensor:
        """(N,) metres between two frames; computed once an env step, for all terms."""
        if (a, b) not in self._shared:
            self._shared[a, b] = torch.linalg.vector_norm(self.position(a) - self.position(b), dim=1)
        return self._shared[a, b]

    def grasped(self, contact: Contact, force_n: float) -> Tensor:
        """(N,) 1 where every body of the request presses with at least ``force_n``; once an env step."""
        key = (contact, force_n)
        if key not in self._shared:
            self._shared[key] = (self.forces(contact).amin(dim=1) >= force_n).float()
        return self._shared[key]

    def forces(self, contact: Contact) -> Tensor:
        """(N, k) newtons, one column a body of the request."""
        first, *rest = contact.columns
        if rest == list(range(first + 1, first + 1 + len(rest))):
            return self.contact_force[:, first : first + 1 + len(rest)]
        return self.contact_force[:, list(contact.columns)]
