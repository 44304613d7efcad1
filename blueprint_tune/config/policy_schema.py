"""The types of a policy file: what a policy type is, as ``conf/policy/`` says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from blueprint_tune.config.fields import STRICT, Count, Fraction, NonNegative, Positive, Term


@dataclass(config=STRICT)
class BudgetsConfig:
    """Env steps of one trial under each preset."""

    quick: Count
    benchmark: Count
    full: Count


@dataclass(config=STRICT)
class RoleConfig:
    """What a policy type asks of an entity of the scene."""

    kind: Literal["rigid", "articulated", "region", "deformable"]
    joint: Literal["prismatic", "revolute"] | None = None
    affordances: list[str] = Field(default_factory=list)
    categories: list[str] = Field(default_factory=list)
    graspable: bool = False
    """The entity's smaller horizontal extent must fit between the open fingers."""
    entity: str | None = None
    """Take this entity and no other; null = the best fitting one in reach."""
    fits: str | None = None
    """A region whose hole is made for the part that plays this role, where the manifest gives no width."""
    count: Annotated[int, Field(ge=1, le=8)] = 1
    """How many entities play the role. More than one are its members ``<role>_0``, ``<role>_1``, …, and the
    role's own name means the one whose turn it is (``sequence``)."""


@dataclass(config=STRICT)
class ActionConfig:
    """How policy outputs in [-1, 1] become joint targets."""

    kind: Literal["joint_position_delta", "ee_delta", "external"]
    """external = they are the task's own."""
    gripper: Literal["binary", "continuous", "closed", "none"]
    """The last output opens and closes it, in one of two ways; or it stays closed, or as it starts."""
    scale_rad: Positive
    """Change of a joint's target, or turn of the end effector's, for an output of 1 held for one env step."""
    windup_rad: Positive
    """A joint's target is kept within this distance of the measured joint."""
    scale_m: Positive | None = None
    """ee_delta: shift of the end effector's target for an output of 1 held for one env step."""
    windup_m: Positive | None = None
    """ee_delta: the target is kept within this distance of the measured end effector."""
    axes: Literal["xyz", "xyz_yaw", "xyz_twist", "pose"] | None = None
    """ee_delta: what is commanded; the rest of the orientation is held as it was at the start."""


@dataclass(config=STRICT)
class StartConfig:
    """Where the end effector starts: above or in front of a role, before randomisation."""

    near: str | None
    """A frame, for example ``target/handle``; null = where the home posture has the end effector."""
    offset_m: Annotated[list[float], Field(min_length=3, max_length=3)]
    """From that frame to the end effector: x towards the role from the robot, y left, z up."""
    approach: Literal["down", "slanted", "forward"]
    """Where the gripper points: straight down, ahead and 45 degrees down, or level ahead."""
    joint_noise_rad: NonNegative
    spread_m: Annotated[list[NonNegative], Field(min_length=3, max_length=3)] | None = None
    """The start is drawn within plus and minus this much of the offset, along the same axes."""
    spread_twist_rad: NonNegative = 0.0
    """And turned about the way the gripper points by up to this much either way."""
    holds: str | None = None
    """A rigid role that the closed gripper holds at the start."""


@dataclass(config=STRICT)
class SequenceConfig:
    """Which members of a role an episode is about, one after the other, in an order drawn for the episode."""

    role: str
    length: Count
    """How many of the role's members; 1 = one of them is drawn."""
    advance: Term | None
    """The condition on the member whose turn it is that brings the next one's; null = the first stays."""


@dataclass(config=STRICT)
class BenchmarkConfig:
    """What ``scripts/bench learning`` measures a policy type with."""

    scene: str
    overrides: list[str]
    """Further words on the command line: the robot, if it is not the scene's."""


@dataclass(config=STRICT)
class CurriculumChange:
    """Numbers of a policy file that change while it is trained, from ``start`` to what the file says."""

    path: str
    """Below the policy, for example ``events.target_pose.x_m``."""
    start: float | int | list[float | int]
    """At level 0: a number, or as many as the file has there. What is whole here and there stays whole."""


@dataclass(config=STRICT)
class CurriculumConfig:
    """How a training goes from an easier task to the one that the policy file states.

    The level begins at 0. At each report it moves by ``step``, up to 1, if the training episodes that
    ended since the last report succeeded often enough. Evaluations play the file's own task.
    """

    raise_at: Fraction
    """Success rate from which the level rises."""
    step: Annotated[float, Field(gt=0, le=1)]
    changes: Annotated[dict[str, CurriculumChange], Field(min_length=1)]
    lower_at: Fraction | None = None
    """Success rate down from which the level falls; null = it never does."""


@dataclass(config=STRICT)
class PolicyConfig:
    """A policy type: what the scene offers, what is seen, done, rewarded and counted as success."""

    name: str
    family: Literal["place", "articulate", "insert", "external"]
    """external = the task is not this file's: its environment brings all of it."""
    episode_s: Positive
    action_repeat: Annotated[int, Field(ge=1, le=50)]
    budget: BudgetsConfig
    roles: dict[str, RoleConfig]
    start: StartConfig
    actions: ActionConfig
    observations: dict[str, Term]
    rewards: dict[str, Term]
    commands: dict[str, Term]
    events: dict[str, Term]
    success: Term
    terminations: dict[str, Term] = Field(default_factory=dict)
    sequence: SequenceConfig | None = None
    benchmark: BenchmarkConfig | None = None
    curriculum: CurriculumConfig | None = None
    metrics: dict[str, Term] = Field(default_factory=dict)
    """What evaluations tell of an episode beside success: terms with ``reduce``, how its env steps become one
    number (final, sum, mean, max, onsets)."""
    grip: Term | None = None
    """The force with which the task's object is held, N; null = nothing is."""
    mobile_base: bool = False
    """The task is out of reach of a robot that stands still."""

    @property
    def grasps(self) -> bool:
        """Whether the task cannot be done without a gripper."""
        return any(role.graspable for role in self.roles.values())
