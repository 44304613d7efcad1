"""The closed set of commands and events: how each quantity of an episode is drawn.

Ranges ahead of and beside the robot are in the axes of its base (x ahead, y to its left, z up), so
a policy file does not depend on how a scene is turned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blueprint_tune.config.schema import PolicyConfig
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


def make_draws(policy: PolicyConfig, task: TaskSpec) -> list[Apply]:
    """What draws a policy's events, then its commands. Raises ConfigError naming a wrong entry."""
    where = f"conf/policy/{policy.name}.yaml"
    events = [_entry(EVENTS, task, f"{where}: event", name, e) for name, e in policy.events.items()]
    commands = [_entry(COMMANDS, task, f"{where}: command", name, e) for name, e in policy.commands.items()]
    return [*events, *commands, *_sequence(policy, task, where)]


def _sequence(policy: PolicyConfig, task: TaskSpec, where: str) -> list[Apply]:
    """What draws whose turn it is in which order."""
    sequence = policy.sequence
    if sequence is None:
        return []
    several = [role for role, config in policy.roles.items() if config.count > 1]
    if sequence.role not in several:
        raise ConfigError(
            f"{where}: sequence.role: no role with several members is called "
            f"'{sequence.role}'. {nearest(sequence.role, several)}"
        )
    members = policy.roles[sequence.role].count
    length = sequence.length
    if length > members:
        raise ConfigError(
            f"{where}: sequence.length={length} is more than the {members} members of "
            f"role '{sequence.role}'. Use sequence.length={members} or less."
        )

    def apply(draw: Draw, episodes: Episodes) -> None:
        episodes.order = np.argsort(draw.uniform("sequence", members), axis=1, kind="stable")[:, :length]

    return [apply]


def _entry(
    kinds: dict[str, Callable[..., Apply]], task: TaskSpec, where: str, name: str, entry: dict[str, Any]
) -> Apply:
    given = dict(entry)
    kind = str(given.pop("kind", ""))
    place = f"{where} '{name}'"
    if kind not in kinds:
        raise ConfigError(f"{place} has kind '{kind}'. {nearest(kind, kinds)}")
    make = kinds[kind]
    parameters = list(inspect.signature(make).parameters.values())[3:]
    wanted = [parameter.name for parameter in parameters]
    for key in given:
        if key not in wanted:
            raise ConfigError(f"{place} has '{key}'. {nearest(key, wanted)}")
    for parameter in parameters:
        if parameter.name not in given and parameter.default is parameter.empty:
            takes = ", ".join(wanted)
            raise ConfigError(f"{place} needs '{parameter.name}' (kind '{kind}' takes {takes}).")
    return make(task, place, name, **given)


def _bounds(where: str, **ranges: Sequence[float]) -> tuple[Floats, Floats]:
    for key, value in ranges.items():
        if not _is_interval(value):
            raise ConfigError(f"{where}: '{key}' must be [low, high], not {value!r}.")
    values = np.array(list(ranges.values()), dtype=np.float64)
    return values[:, 0], values[:, 1]


def _is_interval(value: Any) -> bool:
    numbers = isinstance(value, list | tuple) and all(isinstance(bound, int | float) for bound in value)
    return numbers and len(value) == 2 and value[0] <= value[1]


def _columns(task: TaskSpec, where: str, role: str, rigid: bool = False) -> list[int]:
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


def _in_base_axes(task: TaskSpec, offsets: Floats) -> Floats:
    """Turn (k, 3) offsets (x ahead of the robot, y to its left, z up) into world axes."""
    return _turned_vectors(offsets, np.full(len(offsets), task.robot_base[3]))


def _turned_vectors(vectors: Floats, yaw: Floats) -> Floats:
    """Vectors (k, 3) turned by yaw (k,) about the vertical."""
    cos, sin, (x, y, z) = np.cos(yaw), np.sin(yaw), vectors.T
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=1)


def _make_position(
    task: TaskSpec, where: str, name: str, near: str, x_m: list[float], y_m: list[float], z_m: list[float]
) -> Apply:
    """A point in a box around a role's resting place, or the middle of its members'.

    x ahead of the robot, y to its left, z up.
    """
    low, high = _bounds(where, x_m=x_m, y_m=y_m, z_m=z_m)
    centre = np.mean([task.loose[column].position for column in _columns(task, where, near)], axis=0)

    def apply(draw: Draw, episodes: Episodes) -> None:
        episodes.commands[name] = centre + _in_base_axes(task, draw.between(f"command/{name}", low, high))

    return apply


def _make_choice(task: TaskSpec, where: str, name: str, values: list[float]) -> Apply:
    """One of some numbers, equally likely."""
    options = np.asarray(values, dtype=np.float64)

    def apply(draw: Draw, episodes: Episodes) -> None:
        index = (draw.uniform(f"command/{name}", 1)[:, 0] * len(options)).astype(np.int64)
        episodes.commands[name] = options[index][:, None]

    return apply


def _make_uniform(task: TaskSpec, where: str, name: str, low: float, high: float) -> Apply:
    """A number between two bounds."""
    bounds = _bounds(where, values=[low, high])

    def apply(draw: Draw, episodes: Episodes) -> None:
        episodes.commands[name] = draw.between(f"command/{name}", *bounds)

    return apply


def _make_joint_target(task: TaskSpec, where: str, name: str, role: str, within: float) -> Apply:
    """A fraction of a joint's range at most ``within`` (rad or m) from where the joint starts."""
    column, (lower, upper) = _joint_column(task, where, role)
    if within <= 0:
        raise ConfigError(f"{where}: 'within' must be greater than 0, not {within!r}.")

    def apply(draw: Draw, episodes: Episodes) -> None:
        start = episodes.starts.joint_pos[:, column]
        low, high = np.maximum(lower, start - within), np.minimum(upper, start + within)
        wanted = low + draw.uniform(f"command/{name}", 1)[:, 0] * (high - low)
        episodes.commands[name] = ((wanted - lower) / (upper - lower))[:, None]

    return apply


def _make_object_pose(
    task: TaskSpec,
    where: str,
    name: str,
    role: str,
    x_m: list[float],
    y_m: list[float],
    yaw_rad: list[float],
) -> Apply:
    """Shift a role on its support (x ahead of the robot, y to its left) and turn it about the vertical.

    Members of a role are shifted and turned independently.
    """
    low, high = _bounds(where, x_m=x_m, y_m=y_m, z_m=[0.0, 0.0], yaw_rad=yaw_rad)
    columns = _columns(task, where, role)

    def apply(draw: Draw, episodes: Episodes) -> None:
        each = np.split(draw.between(f"event/{name}", *np.tile((low, high), len(columns))), len(columns), 1)
        starts = episodes.starts
        for column, drawn in zip(columns, each, strict=True):
            starts.body_pos[:, column] += _in_base_axes(task, drawn[:, :3])
            starts.body_quat[:, column] = _turned(starts.body_quat[:, column], drawn[:, 3])

    return apply


def _make_group_pose(
    task: TaskSpec,
    where: str,
    name: str,
    roles: list[str],
    x_m: list[float],
    y_m: list[float],
    yaw_rad: list[float],
) -> Apply:
    """Shift roles that stand on each other together, turning them about the first one's middle."""
    low, high = _bounds(where, x_m=x_m, y_m=y_m, z_m=[0.0, 0.0], yaw_rad=yaw_rad)
    columns = [column for role in roles for column in _columns(task, where, role)]
    around = task.loose[columns[0]].position

    def apply(draw: Draw, episodes: Episodes) -> None:
        drawn = draw.between(f"event/{name}", low, high)
        shift, yaw = _in_base_axes(task, drawn[:, :3]), drawn[:, 3]
        starts = episodes.starts
        for column in columns:
            arm = starts.body_pos[:, column] - around
            starts.body_pos[:, column] = around + shift + _turned_vectors(arm, yaw)
            starts.body_quat[:, column] = _turned(starts.body_quat[:, column], yaw)

    return apply


def _make_joint_fraction(task: TaskSpec, where: str, name: str, role: str, range: list[float]) -> Apply:
    """Start a fixture's joint anywhere in a part of its range."""
    low, high = _bounds(where, range=range)
    column, (lower, upper) = _joint_column(task, where, role)

    def apply(draw: Draw, episodes: Episodes) -> None:
        fraction = draw.between(f"event/{name}", low, high)[:, 0]
        episodes.starts.joint_pos[:, column] = lower + fraction * (upper - lower)

    return apply


def _joint_column(task: TaskSpec, where: str, role: str) -> tuple[int, tuple[float, float]]:
    """The column of a fixture's joint among the joints of a start, and its limits."""
    if role not in task.roles:
        raise ConfigError(f"{where}: there is no role '{role}'. {nearest(role, task.roles)}")
    jointed = [entity.id for entity in task.jointed]
    joint = task.roles[role].joint
    if joint is None or task.roles[role].id not in jointed:
        raise ConfigError(f"{where}: role '{role}' has no joint.")
    column = len(task.robot.joints) + jointed.index(task.roles[role].id)
    return column, (joint.lower, joint.upper)


def _make_scale(field: str) -> Callable[..., Apply]:
    def make(task: TaskSpec, where: str, name: str, role: str, range: list[float]) -> Apply:
        low, high = _bounds(where, range=range)
        columns = _columns(task, where, role, rigid=field == "mass_scale")
        if low[0] <= 0:
            raise ConfigError(f"{where}: 'range' must be positive factors, not {range!r}.")

        def apply(draw: Draw, episodes: Episodes) -> None:
            getattr(episodes.starts, field)[:, columns] = draw.between(f"event/{name}", low, high)

        return apply

    return make


def _make_size_scale(task: TaskSpec, where: str, name: str, role: str, range: list[float]) -> Apply:
    """Make a role larger or smaller by a factor, standing where it stood."""
    columns = _columns(task, where, role, rigid=True)
    scale = _make_scale("size_scale")(task, where, name, role, range)
    half_heights = np.array([(task.free[c].top - task.free[c].bottom) / 2 for c in columns])

    def apply(draw: Draw, episodes: Episodes) -> None:
        scale(draw, episodes)
        starts = episodes.starts
        starts.body_pos[:, columns, 2] += half_heights * (starts.size_scale[:, columns] - 1.0)

    return apply


def _make_solver(
    task: TaskSpec,
    where: str,
    name: str,
    dt_noise_ratio: float | None = None,
    solver_iteration_noise: int | None = None,
) -> Apply:
    """Another length of the physics step and another bound on the solver's iterations.

    Around the physics profile's values and within its ranges; how far around is the profile's
    ``solver_noise`` unless it is given. The number of physics steps in an env step stays.
    """
    physics, ranges = task.physics, task.physics.randomization
    ratio = ranges.solver_noise.dt_noise_ratio if dt_noise_ratio is None else dt_noise_ratio
    noise = ranges.solver_noise.solver_iteration_noise
    noise = noise if solver_iteration_noise is None else solver_iteration_noise
    if not 0 <= ratio < 1:
        raise ConfigError(f"{where}: 'dt_noise_ratio' must be 0 or more and below 1, not {ratio!r}.")
    if noise < 0 or noise != int(noise):
        raise ConfigError(f"{where}: 'solver_iteration_noise' must be a whole number, not {noise!r}.")
    dt_low, dt_high = _around(physics.dt_s, ratio * physics.dt_s, ranges.dt_jitter_range_s)
    fewest, most = _around(physics.solver_iterations, noise, ranges.solver_iteration_range)
    fewest = max(fewest, 1)

    def apply(draw: Draw, episodes: Episodes) -> None:
        drawn = draw.uniform(f"event/{name}", 2)
        episodes.starts.dt_s[:] = dt_low + drawn[:, 0] * (dt_high - dt_low)
        episodes.starts.solver_iterations[:] = fewest + np.floor(drawn[:, 1] * (most - fewest + 1))

    return apply


def _around(value: float, by: float, within: Sequence[float]) -> tuple[float, float]:
    """The interval around a value, cut to a range that holds the value or is widened to."""
    return max(value - by, min(within[0], value)), min(value + by, max(within[1], value))


def _make_delay(what: str) -> Callable[..., Apply]:
    def make(task: TaskSpec, where: str, name: str, steps: list[int]) -> Apply:
        """A number of env steps, the same for a whole episode."""
        low, high = (int(bound[0]) for bound in _bounds(where, steps=steps))
        if low < 0 or [low, high] != list(steps):
            raise ConfigError(f"{where}: 'steps' must be whole numbers of env steps, not {steps!r}.")

        def apply(draw: Draw, episodes: Episodes) -> None:
            drawn = draw.uniform(f"event/{name}", 1)[:, 0]
            episodes.delays[what] = low + (drawn * (high - low + 1)).astype(np.int64)

        return apply

    return make


def _turned(quat: Floats, yaw: Floats) -> Floats:
    """Quaternions (k, 4) wxyz turned by yaw about the world's vertical."""
    cos, sin = np.cos(yaw / 2), np.sin(yaw / 2)
    w, x, y, z = quat.T
    return np.stack([cos * w - sin * z, cos * x - sin * y, cos * y + sin * x, cos * z + sin * w], axis=1)


COMMANDS: dict[str, Callable[..., Apply]] = {
    "position": _make_position,
    "choice": _make_choice,
    "uniform": _make_uniform,
    "joint_target": _make_joint_target,
}
EVENTS: dict[str, Callable[..., Apply]] = {
    "object_pose": _make_object_pose,
    "group_pose": _make_group_pose,
    "joint_fraction": _make_joint_fraction,
    "mass_scale": _make_scale("mass_scale"),
    "friction_scale": _make_scale("friction_scale"),
    "size_scale": _make_size_scale,
    "solver": _make_solver,
    "action_delay": _make_delay("actions"),
    "observation_delay": _make_delay("observations"),
}
