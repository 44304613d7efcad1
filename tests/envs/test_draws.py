"""How episodes are drawn: ranges in the robot's axes, and one sentence for every wrong entry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blueprint_tune.envs.draws import COMMANDS, EVENTS, Draw, Episodes, make_draws
from blueprint_tune.errors import ConfigError
from blueprint_tune.simulators.base import Starts
from blueprint_tune.tasks.spec import TaskSpec

COUNT = 2000


def drawn(task: TaskSpec, **sections: dict[str, dict[str, Any]]) -> Episodes:
    """COUNT episodes of a policy that has these events and commands only."""
    policy = replace(task.policy, **({"events": {}, "commands": {}} | sections))
    bodies, joints = len(task.free), 9 + len(task.jointed)
    starts = Starts(
        joint_pos=np.zeros((COUNT, joints)),
        joint_target=np.zeros((COUNT, 9)),
        body_pos=np.tile([e.position for e in task.free], (COUNT, 1, 1)).reshape(COUNT, bodies, 3),
        body_quat=np.tile([e.quat for e in task.free], (COUNT, 1, 1)).reshape(COUNT, bodies, 4),
        mass_scale=np.ones((COUNT, bodies)),
        friction_scale=np.ones((COUNT, bodies)),
        size_scale=np.ones((COUNT, bodies)),
    )
    episodes = Episodes(starts, {}, np.zeros((COUNT, 0), dtype=np.int64))
    draw = Draw(np.zeros(COUNT, dtype=np.int64), np.arange(COUNT), np.zeros(COUNT, dtype=np.int64))
    for apply in make_draws(policy, task):
        apply(draw, episodes)
    return episodes


def fills(values: np.ndarray, low: float, high: float) -> bool:
    """Within the range, and over nearly all of it."""
    slack = 0.01 * (high - low)
    inside = values.min() >= low - 1e-9 and values.max() <= high + 1e-9
    return inside and values.min() <= low + slack and values.max() >= high - slack


def ahead_left(task: TaskSpec, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    yaw = task.robot_base[3]
    ahead = offsets[:, 0] * np.cos(yaw) + offsets[:, 1] * np.sin(yaw)
    return ahead, offsets[:, 1] * np.cos(yaw) - offsets[:, 0] * np.sin(yaw)


def test_positions_are_drawn_in_the_robots_axes(pick_task: TaskSpec) -> None:
    task = replace(pick_task, robot_base=(0.0, 0.0, 0.0, 0.7))
    box = {"kind": "position", "near": "target", "x_m": [-0.1, 0.3], "y_m": [0.0, 0.2], "z_m": [0.05, 0.25]}
    goals = drawn(task, commands={"goal": box}).commands["goal"]
    assert goals.shape == (COUNT, 3)
    offsets = goals - task.free[0].position
    ahead, left = ahead_left(task, offsets)
    assert fills(ahead, -0.1, 0.3) and fills(left, 0.0, 0.2) and fills(offsets[:, 2], 0.05, 0.25)


def test_objects_are_shifted_and_turned_on_their_support(pick_task: TaskSpec) -> None:
    task = replace(pick_task, robot_base=(0.0, 0.0, 0.0, -0.4))
    event = {
        "kind": "object_pose",
        "role": "target",
        "x_m": [-0.1, 0.1],
        "y_m": [0.0, 0.3],
        "yaw_rad": [0.2, 1.0],
    }
    starts = drawn(task, events={"pose": event}).starts
    offsets = starts.body_pos[:, 0] - task.free[0].position
    ahead, left = ahead_left(task, offsets)
    assert fills(ahead, -0.1, 0.1) and fills(left, 0.0, 0.3)
    assert (offsets[:, 2] == 0).all()
    quat = starts.body_quat[:, 0]
    np.testing.assert_allclose(np.linalg.norm(quat, axis=1), 1.0)
    np.testing.assert_allclose(task.free[0].quat, [1, 0, 0, 0])
    assert fills(2 * np.arctan2(quat[:, 3], quat[:, 0]), 0.2, 1.0)


def test_turning_keeps_a_tilt() -> None:
    from blueprint_tune.envs.draws import _turned
    from blueprint_tune.tasks.geometry import quat_about, quat_multiply

    tilted = quat_about((1, 0, 0), 0.3)
    found = _turned(np.array([tilted]), np.array([0.8]))[0]
    np.testing.assert_allclose(found, quat_multiply(quat_about((0, 0, 1), 0.8), tilted))


def test_joints_scales_choices_and_numbers(pick_task: TaskSpec, drawer_task: TaskSpec) -> None:
    joint = drawer_task.jointed[0].joint
    assert joint is not None
    event = {"kind": "joint_fraction", "role": "target", "range": [0.25, 0.5]}
    commands = {
        "opening": {"kind": "choice", "values": [0.0, 0.5, 1.0]},
        "angle": {"kind": "uniform", "low": -2.0, "high": 3.0},
    }
    episodes = drawn(drawer_task, events={"state": event}, commands=commands)
    fraction = (episodes.starts.joint_pos[:, -1] - joint.lower) / joint.range
    assert fills(fraction, 0.25, 0.5) and (episodes.starts.joint_pos[:, :-1] == 0).all()
    values, counts = np.unique(episodes.commands["opening"], return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0] and counts.min() > 0.28 * COUNT
    assert episodes.commands["angle"].shape == (COUNT, 1) and fills(episodes.commands["angle"], -2.0, 3.0)
    events = {
        "mass": {"kind": "mass_scale", "role": "target", "range": [0.5, 2.0]},
        "grip": {"kind": "friction_scale", "role": "target", "range": [0.9, 1.1]},
    }
    starts = drawn(pick_task, events=events).starts
    assert fills(starts.mass_scale, 0.5, 2.0) and fills(starts.friction_scale, 0.9, 1.1)
    assert abs(np.corrcoef(starts.mass_scale[:, 0], starts.friction_scale[:, 0])[0, 1]) < 0.12


def test_adding_an_event_does_not_change_the_others(pick_task: TaskSpec) -> None:
    policy = pick_task.policy
    more = {"mass": {"kind": "mass_scale", "role": "target", "range": [0.5, 2.0]}, **policy.events}
    few = drawn(pick_task, events=policy.events, commands=policy.commands)
    many = drawn(pick_task, events=more, commands=policy.commands)
    np.testing.assert_array_equal(few.starts.body_pos, many.starts.body_pos)
    np.testing.assert_array_equal(few.commands["goal"], many.commands["goal"])


BOX = {"near": "target", "x_m": [0, 1], "y_m": [0, 1], "z_m": [0, 1]}


@pytest.mark.parametrize(
    ("section", "entry", "says"),
    [
        ("commands", {"kind": "positon", **BOX}, "has kind 'positon'. Did you mean 'position'?"),
        ("commands", {**BOX}, "has kind ''. Available: choice, position, uniform."),
        ("commands", {"kind": "position", **BOX, "xm": 1}, "has 'xm'. Did you mean 'x_m'?"),
        ("commands", {"kind": "choice"}, "needs 'values' (kind 'choice' takes values)."),
        (
            "commands",
            {"kind": "position", **BOX, "near": "targte"},
            "no role 'targte'. Did you mean 'target'?",
        ),
        ("commands", {"kind": "position", **BOX, "x_m": [1, 0]}, "'x_m' must be [low, high], not [1, 0]."),
        (
            "events",
            {"kind": "mass_scale", "role": "target", "range": [0, 2]},
            "must be positive factors, not [0, 2].",
        ),
        ("events", {"kind": "friction_scale", "role": "target", "range": [1]}, "'range' must be [low, high]"),
        (
            "events",
            {"kind": "joint_fraction", "role": "target", "range": [0, 1]},
            "role 'target' has no joint.",
        ),
    ],
)
def test_mistakes_name_the_entry(pick_task: TaskSpec, section: str, entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        drawn(pick_task, **{section: {"probe": entry}})
    assert str(caught.value).startswith(f"conf/policy/dexterous_pick_place.yaml: {section[:-1]} 'probe'")
    assert says in str(caught.value)


def test_what_does_not_move_freely_cannot_be_shifted(drawer_task: TaskSpec) -> None:
    with pytest.raises(ConfigError, match=r"role 'target' \('drawer_001'\) does not move freely"):
        drawn(drawer_task, events={"pose": {"kind": "mass_scale", "role": "target", "range": [1, 2]}})


def test_every_kind_is_tested() -> None:
    assert set(COMMANDS) == {"position", "choice", "uniform"}
    assert set(EVENTS) == {"object_pose", "joint_fraction", "mass_scale", "friction_scale"}
