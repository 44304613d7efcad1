"""The seam to learning and evaluation: a vectorised environment.

An episode's start is a pure function of (seed, slot): the number of environments, their order and
what ran before do not change it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.envs.probe import Probe
from blueprint_tune.mdp.describe import ObservationPart
from blueprint_tune.mdp.state import Catalog
from blueprint_tune.simulators.base import Viewpoint

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class JointFacts:
    """A joint that is driven or observed: ``rad`` or ``m``, and its range in that unit."""

    name: str
    unit: str
    lower: float
    upper: float


def joint_facts(catalog: Catalog, limits: NDArray[np.float64]) -> tuple[JointFacts, ...]:
    """The joints of a bound task with their limits, (J, 2) in the catalog's order."""
    return tuple(
        JointFacts(name, catalog.joint_units[name], float(lower), float(upper))
        for name, (lower, upper) in zip(catalog.joints, limits, strict=True)
    )


@dataclass(frozen=True)
class TaskFacts:
    """What documents, bundles and perturbations need to know of the task that is played.

    Attributes:
        digest: of the scene's content, or whatever else the task is made of.
        joints: the robot's in the order of targets, then the fixtures'; none where a task does not tell them.
        robot_base: x, y, z (m) and yaw (rad) of the robot in the world; None where nobody knows.
        roles: role -> the scene's object.
        loose, rigid: what moves freely, and what of that has a mass to change.
        takes_events: whether :meth:`VecEnv.configure` can add randomisation.
        action_ranges: what outputs of -1 and 1 are to a task of its own, one pair an action; else none.
    """

    digest: str
    joints: tuple[JointFacts, ...] = ()
    robot_base: tuple[float, float, float, float] | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    loose: tuple[str, ...] = ()
    rigid: tuple[str, ...] = ()
    takes_events: bool = False
    action_ranges: tuple[tuple[float, float], ...] = ()


@dataclass
class StepResult:
    """One env step of every environment; a finished environment is already at its next start.

    Attributes:
        observations: (N, O) after the auto-reset. terminal_observations: (N, O) before it (the same
            tensor as ``observations`` when nothing finished).
        rewards: (N,) float32. terminated, truncated: (N,) bool.
        success: (N,) bool, meaningful where an episode ended: the success criterion was held during it.
        success_now: (N,) bool: the criterion has been held in the running (or just ended) episode.
        done: whether any environment finished (saves a synchronisation).
    """

    observations: Tensor
    terminal_observations: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    success: Tensor
    success_now: Tensor
    done: bool


class VecEnv(ABC):
    """What the trainer and the benchmark drive.

    Attributes:
        num_envs, num_observations, num_actions: sizes. device: of every tensor.
        control_dt_s: seconds an env step. max_episode_steps: env steps after which an episode is truncated.
        observation_names: (name, size) of the parts of an observation, in order.
        action_names: one name an action.
        reward_terms: names, the order of the columns of :meth:`reward_sums`. reward_weights: theirs.
        slot_stride: how far an environment's next episode is from its last one, in slots: the number of
            environments that share the slots, here and in other processes.
        policy: the policy config in force. facts: about the task.
        keeps_episodes: whether :meth:`load_state` goes on with the episodes that were saved; where it cannot,
            new ones begin. observations: (N, O), what the next actions are for.
    """

    num_envs: int
    num_observations: int
    num_actions: int
    device: str
    control_dt_s: float
    max_episode_steps: int
    observation_names: tuple[tuple[str, int], ...]
    action_names: tuple[str, ...]
    reward_terms: tuple[str, ...]
    slot_stride: int
    reward_weights: tuple[float, ...]
    policy: PolicyConfig
    facts: TaskFacts
    keeps_episodes: bool = True
    observations: Tensor

    @abstractmethod
    def reset(self, seeds: Ints, slots: Ints, stagger: bool = False) -> Tensor:
        """Start episode ``slots[i]`` of ``seeds[i]`` in environment i; returns (N, O) observations.

        When an episode ends, environment i goes on with slot ``slots[i] + slot_stride``. ``stagger``
        shortens the first episodes of groups of environments (by slot) by different amounts, so that
        resets spread over time in training.
        """

    @abstractmethod
    def step(self, actions: Tensor) -> StepResult:
        """Apply (N, A) actions, nominally in [-1, 1] (clipped by the environment)."""

    @abstractmethod
    def measure(self, num_episodes: int) -> Probe | None:
        """Measure the episodes that the first environments have just begun, until the next reset.

        To be called after :meth:`reset`; steps are slower until then, what they do is the same bit for bit.
        None where nothing can be measured.
        """

    @abstractmethod
    def configure(self, policy: PolicyConfig) -> None:
        """Swap weights, thresholds and events between trials; the scene and sizes must stay the same."""

    def describe_observations(self) -> tuple[ObservationPart, ...]:
        """What the numbers of an observation are, in order; here no more than the parts' names and sizes."""
        return tuple(
            ObservationPart(name, size, tuple(str(number) for number in range(size)))
            for name, size in self.observation_names
        )

    @abstractmethod
    def reward_sums(self) -> tuple[Tensor, Tensor, int]:
        """Raw and weighted sums, (T,) each, and the number of (env, step) pairs since the last call."""

    @abstractmethod
    def dump_history(self, env_id: int, path: Path) -> Path:
        """Write the last steps of one environment to an npz file, for explaining a failure."""

    @abstractmethod
    def save_state(self) -> dict[str, Any]:
        """Everything needed to go on as if nothing had happened."""

    @abstractmethod
    def load_state(self, saved: dict[str, Any]) -> None:
        """Restore a saved state, or begin new episodes where that cannot be (``keeps_episodes``)."""

    @abstractmethod
    def render(
        self, env_id: int = 0, width: int = 640, height: int = 480, view: Viewpoint | None = None
    ) -> NDArray[np.uint8]:
        """(height, width, 3) picture of one environment, from :meth:`viewpoint` unless told."""

    @abstractmethod
    def viewpoint(self, env_id: int = 0) -> Viewpoint:
        """From where one environment is seen best just now; several pictures from it are a film."""

    @abstractmethod
    def close(self) -> None:
        """Free what the environment holds."""
