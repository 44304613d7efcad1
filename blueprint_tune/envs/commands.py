"""The closed set of commands: what an episode is asked to bring about."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from blueprint_tune.envs.episodes import (
    Apply,
    Draw,
    Episodes,
    bounds,
    in_base_axes,
    joint_column,
    loose_columns,
)
from blueprint_tune.errors import ConfigError
from blueprint_tune.tasks.spec import TaskSpec


def _make_position(
    task: TaskSpec, where: str, name: str, near: str, x_m: list[float], y_m: list[float], z_m: list[float]
) -> Apply:
    """A point in a box around a role's resting place, or the middle of its members'.

    x ahead of the robot, y to its left, z up.
    """
    low, high = bounds(where, x_m=x_m, y_m=y_m, z_m=z_m)
    centre = np.mean([task.loose[column].position for column in loose_columns(task, where, near)], axis=0)

    def apply(draw: Draw, episodes: Episodes) -> None:
        episodes.commands[name] = centre + in_base_axes(task, draw.between(f"command/{name}", low, high))

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
    lowest, highest = bounds(where, values=[low, high])

    def apply(draw: Draw, episodes: Episodes) -> None:
        episodes.commands[name] = draw.between(f"command/{name}", lowest, highest)

    return apply


def _make_joint_target(task: TaskSpec, where: str, name: str, role: str, within: float) -> Apply:
    """A fraction of a joint's range at most ``within`` (rad or m) from where the joint starts."""
    column, (lower, upper) = joint_column(task, where, role)
    if within <= 0:
        raise ConfigError(f"{where}: 'within' must be greater than 0, not {within!r}.")

    def apply(draw: Draw, episodes: Episodes) -> None:
        start = episodes.starts.joint_pos[:, column]
        low, high = np.maximum(lower, start - within), np.minimum(upper, start + within)
        wanted = low + draw.uniform(f"command/{name}", 1)[:, 0] * (high - low)
        episodes.commands[name] = ((wanted - lower) / (upper - lower))[:, None]

    return apply


COMMANDS: dict[str, Callable[..., Apply]] = {
    "position": _make_position,
    "choice": _make_choice,
    "uniform": _make_uniform,
    "joint_target": _make_joint_target,
}
