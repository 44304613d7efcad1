"""The seam to physics: a :class:`Simulator` takes joint targets and gives back a ``SceneState``.

Rewards, observations, actions and episodes are the environment's business; cameras other than
:meth:`Simulator.render` do not exist here. One process owns one simulator for life.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.mdp.state import SceneState

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Viewpoint:
    """Where pictures are taken from.

    Attributes:
        lookat: m, world: what is in the middle. distance_m: from there to the camera.
        azimuth_deg, elevation_deg: of the camera's gaze: 0, 0 looks along x; -90 of elevation straight down.
    """

    lookat: tuple[float, float, float]
    distance_m: float
    azimuth_deg: float
    elevation_deg: float


@dataclass
class Starts:
    """The start of k episodes, in the order of the simulator's joints and free bodies.

    Attributes:
        joint_pos: (k, J) rad or m, robot joints first, as ``Simulator.joint_names``.
        joint_target: (k, R) rad or m, where the robot's joints are driven to until the first action.
        body_pos: (k, B, 3) metres and body_quat: (k, B, 4) wxyz, as ``Simulator.free_bodies``.
        mass_scale, friction_scale, size_scale: (k, B) factors on the bodies' nominal values.
        dt_s: (k,) length of a physics step. solver_iterations: (k,) the contact solver's upper bound, whole.
    """

    joint_pos: Floats
    joint_target: Floats
    body_pos: Floats
    body_quat: Floats
    mass_scale: Floats
    friction_scale: Floats
    size_scale: Floats
    dt_s: Floats
    solver_iterations: Floats

    def take(self, rows: NDArray[np.int64]) -> Starts:
        """The starts of some rows."""
        return Starts(*(getattr(self, field.name)[rows] for field in fields(self)))


class Simulator(ABC):
    """Physics of one bound task in ``num_envs`` environments.

    Attributes:
        num_envs: environments. device: where ``state`` lives. physics_dt_s: one physics step, unless
            a start says another length.
        state: what terms read; valid after :meth:`reset` and after every :meth:`step`, which tell it that
            it changed.
        robot_joints: names of the actuated joints, arm first, then gripper; the order of targets.
        joint_names: ``state.joint_pos``'s order: ``robot_joints``, then joints of fixtures.
        free_bodies: names of the bodies that move freely.
        nominal: starts with nothing randomised, the settled scene and the robot at its start pose; several
            of them where a policy spreads that pose.
        joint_limits: (J, 2) rad or m. sliding: (R,) which of ``robot_joints`` slide; the others turn.
        exact_state: whether load_state(save_state()) continues bit for bit.
    """

    num_envs: int
    device: str
    physics_dt_s: float
    state: SceneState
    robot_joints: tuple[str, ...]
    joint_names: tuple[str, ...]
    free_bodies: tuple[str, ...]
    nominal: Starts
    joint_limits: Floats
    sliding: NDArray[np.bool_]
    exact_state: bool

    @abstractmethod
    def reset(self, env_ids: NDArray[np.int64], starts: Starts) -> None:
        """Put environments (sorted, unique ids, (k,)) at their starts, at rest; refresh their state rows."""

    @abstractmethod
    def set_joint_targets(self, position: Tensor) -> None:
        """Position targets, (N, R) rad or m in the order of ``robot_joints``; held until set again."""

    @abstractmethod
    def ee_jacobian(self) -> Tensor:
        """(N, 6, A): end-effector velocity (m/s, then rad/s, world axes) per velocity of each arm joint."""

    @abstractmethod
    def step(self, num_physics_steps: int) -> None:
        """Advance every environment and refresh ``state``. Raises SimulatorError if physics failed."""

    @abstractmethod
    def save_state(self) -> dict[str, Any]:
        """Everything that :meth:`load_state` needs to go on as if nothing had happened (arrays, copied)."""

    @abstractmethod
    def load_state(self, saved: dict[str, Any]) -> None:
        """Restore a saved state of the same task and number of environments."""

    @abstractmethod
    def render(
        self, env_id: int = 0, width: int = 640, height: int = 480, view: Viewpoint | None = None
    ) -> NDArray[np.uint8]:
        """(height, width, 3) picture of one environment, from :meth:`viewpoint` unless told.

        Raises SimulatorError where nothing can draw.
        """

    @abstractmethod
    def viewpoint(self, env_id: int = 0) -> Viewpoint:
        """From where the end effector of one environment is seen best just now."""

    @abstractmethod
    def close(self) -> None:
        """Free what the simulator holds."""
