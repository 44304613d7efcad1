"""What is drawn for an episode, and what the kinds of commands and events that draw it share.

Ranges ahead of and beside the robot are in the axes of its base (x ahead, y to its left, z up), so
a policy file does not depend on how a scene is turned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blueprint_tune.envs.random import uniform
from blueprint_tune.errors import ConfigError, nearest
from blueprint_tune.simulators.base import Starts
from blueprint_tune.tasks.roles import member_names
from blueprint_tune.tasks.spec import TaskSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass
class Episodes:
    """k drawn episodes.

    Attributes:
        starts: the simulator's. commands: name -> (k, d). order: (k, L) the members' turns.
        delays: what arrives late, ``actions`` or ``observations`` -> (k,) by how many env steps.
    """

    starts: Starts
    commands: dict[str, Floats]
    order: Ints
    delays: dict[str, Ints]

    def take(self, rows: Ints) -> Episodes:
        """The episodes of some rows."""
        commands = {name: values[rows] for name, values in self.commands.items()}
        delays = {name: values[rows] for name, values in self.delays.items()}
        return Episodes(self.starts.take(rows), commands, self.order[rows], delays)

    def put(self, rows: Ints, episodes: Episodes) -> None:
        """Replace the episodes of some rows."""
        for field in fields(Starts):
            getattr(self.starts, field.name)[rows] = getattr(episodes.starts, field.name)
        for name, values in episodes.commands.items():
            self.commands[name][rows] = values
        for name, steps in episodes.delays.items():
            self.delays[name][rows] = steps
        self.order[rows] = episodes.order


@dataclass
class Draw:
    """One batch of (seed, slot, attempt) triples to draw for."""

    seeds: Ints
    slots: Ints
    attempts: Ints

    def uniform(self, stream: str, columns: int) -> Floats:
        """(k, columns) numbers in [0, 1) of a named stream."""
        return uniform(self.seeds, self.slots, self.attempts, stream, columns)

    def between(self, stream: str, low: Floats, high: Floats) -> Floats:
        """(k, len(low)) numbers between two vectors."""
        return low + self.uniform(stream, len(low)) * (high - low)


Apply = Callable[[Draw, Episodes], None]
"""Draws one quantity for every episode of a batch and writes it into the episodes."""


def bounds(where: str, **ranges: Sequence[float]) -> tuple[Floats, Floats]:
    """Lower and upper bounds, (len(ranges),) each. Raises ConfigError for what is no interval."""
    for key, value in ranges.items():
        if not _is_interval(value):
            raise ConfigError(f"{where}: '{key}' must be [low, high], not {value!r}.")
    values = np.array(list(ranges.values()), dtype=np.float64)
    return values[:, 0], values[:, 1]


def _is_interval(value: Any) -> bool:
    numbers = isinstance(value, list | tuple) and all(isinstance(bound, int | float) for bound in value)
    return numbers and len(value) == 2 and value[0] <= value[1]


def loose_columns(task: TaskSpec, where: str, role: str, rigid: bool = False) -> list[int]:
    """The loose bodies of a role: one, or one for each of its members. ``rigid``: not cloth."""
    asked = task.policy.roles.get(role)
    names = member_names(role, asked) if asked is not None else (role,)
    loose = [entity.id for entity in (task.free if rigid else task.loose)]
    for name in names:
        if name not in task.roles:
            known = [*task.policy.roles, *(r for r in task.roles if r not in task.policy.roles)]
            raise ConfigError(f"{where}: there is no role '{name}'. {nearest(name, known)}")
        if task.roles[name].id not in loose:
            solid = " as a rigid body" if rigid else ""
            raise ConfigError(
                f"{where}: role '{name}' ('{task.roles[name].id}') does not move freely{solid}."
            )
    return [loose.index(task.roles[name].id) for name in names]


def in_base_axes(task: TaskSpec, offsets: Floats) -> Floats:
    """Turn (k, 3) offsets (x ahead of the robot, y to its left, z up) into world axes."""
    return turned_vectors(offsets, np.full(len(offsets), task.robot_base[3]))


def joint_column(task: TaskSpec, where: str, role: str) -> tuple[int, tuple[float, float]]:
    """The column of a fixture's joint among the joints of a start, and its limits."""
    if role not in task.roles:
        raise ConfigError(f"{where}: there is no role '{role}'. {nearest(role, task.roles)}")
    jointed = [entity.id for entity in task.jointed]
    joint = task.roles[role].joint
    if joint is None or task.roles[role].id not in jointed:
        raise ConfigError(f"{where}: role '{role}' has no joint.")
    column = len(task.robot.joints) + jointed.index(task.roles[role].id)
    return column, (joint.lower, joint.upper)


def turned_vectors(vectors: Floats, yaw: Floats) -> Floats:
    """Vectors (k, 3) turned by yaw (k,) about the vertical."""
    cos, sin, (x, y, z) = np.cos(yaw), np.sin(yaw), vectors.T
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=1)
