"""The closed set of events: what differs between episodes beside their commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from blueprint_tune.envs.episodes import (
    Apply,
    Draw,
    Episodes,
    Floats,
    bounds,
    in_base_axes,
    joint_column,
    loose_columns,
    turned_vectors,
)
from blueprint_tune.errors import ConfigError
from blueprint_tune.tasks.spec import TaskSpec


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
    low, high = bounds(where, x_m=x_m, y_m=y_m, z_m=[0.0, 0.0], yaw_rad=yaw_rad)
    columns = loose_columns(task, where, role)

    def apply(draw: Draw, episodes: Episodes) -> None:
        each = np.split(draw.between(f"event/{name}", *np.tile((low, high), len(columns))), len(columns), 1)
        starts = episodes.starts
        for column, drawn in zip(columns, each, strict=True):
            starts.body_pos[:, column] += in_base_axes(task, drawn[:, :3])
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
    low, high = bounds(where, x_m=x_m, y_m=y_m, z_m=[0.0, 0.0], yaw_rad=yaw_rad)
    columns = [column for role in roles for column in loose_columns(task, where, role)]
    around = task.loose[columns[0]].position

    def apply(draw: Draw, episodes: Episodes) -> None:
        drawn = draw.between(f"event/{name}", low, high)
        shift, yaw = in_base_axes(task, drawn[:, :3]), drawn[:, 3]
        starts = episodes.starts
        for column in columns:
            arm = starts.body_pos[:, column] - around
            starts.body_pos[:, column] = around + shift + turned_vectors(arm, yaw)
            starts.body_quat[:, column] = _turned(starts.body_quat[:, column], yaw)

    return apply


def _make_joint_fraction(task: TaskSpec, where: str, name: str, role: str, range: list[float]) -> Apply:
    """Start a fixture's joint anywhere in a part of its range."""
    low, high = bounds(where, range=range)
    column, (lower, upper) = joint_column(task, where, role)

    def apply(draw: Draw, episodes: Episodes) -> None:
        fraction = draw.between(f"event/{name}", low, high)[:, 0]
        episodes.starts.joint_pos[:, column] = lower + fraction * (upper - lower)

    return apply


def _make_scale(field: str) -> Callable[..., Apply]:
    def make(task: TaskSpec, where: str, name: str, role: str, range: list[float]) -> Apply:
        low, high = bounds(where, range=range)
        columns = loose_columns(task, where, role, rigid=field == "mass_scale")
        if low[0] <= 0:
            raise ConfigError(f"{where}: 'range' must be positive factors, not {range!r}.")

        def apply(draw: Draw, episodes: Episodes) -> None:
            getattr(episodes.starts, field)[:, columns] = draw.between(f"event/{name}", low, high)

        return apply

    return make


def _make_factor(field: str) -> Callable[..., Apply]:
    def make(task: TaskSpec, where: str, name: str, factor: float) -> Apply:
        """A factor on what all that moves freely has, on top of what other events have drawn."""
        if isinstance(factor, bool) or not isinstance(factor, int | float) or factor <= 0:
            raise ConfigError(f"{where}: 'factor' must be greater than 0, not {factor!r}.")
        changed = task.free if field == "mass_scale" else task.loose
        columns = [task.loose.index(entity) for entity in changed]

        def apply(draw: Draw, episodes: Episodes) -> None:
            getattr(episodes.starts, field)[:, columns] *= factor

        return apply

    return make


def _make_size_scale(task: TaskSpec, where: str, name: str, role: str, range: list[float]) -> Apply:
    """Make a role larger or smaller by a factor, standing where it stood."""
    columns = loose_columns(task, where, role, rigid=True)
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
        low, high = (int(bound[0]) for bound in bounds(where, steps=steps))
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


EVENTS: dict[str, Callable[..., Apply]] = {
    "object_pose": _make_object_pose,
    "group_pose": _make_group_pose,
    "joint_fraction": _make_joint_fraction,
    "mass_scale": _make_scale("mass_scale"),
    "friction_scale": _make_scale("friction_scale"),
    "size_scale": _make_size_scale,
    "mass_factor": _make_factor("mass_scale"),
    "friction_factor": _make_factor("friction_scale"),
    "solver": _make_solver,
    "action_delay": _make_delay("actions"),
    "observation_delay": _make_delay("observations"),
}
