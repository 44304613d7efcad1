"""How episodes are drawn: ranges in the robot's axes, and one sentence for every wrong entry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blueprint_tune.config.policy_schema import SequenceConfig
from blueprint_tune.envs.commands import COMMANDS
from blueprint_tune.envs.draws import make_draws
from blueprint_tune.envs.episodes import Draw, Episodes
from blueprint_tune.envs.events import EVENTS, _turned
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
        dt_s=np.full(COUNT, task.physics.dt_s),
        solver_iterations=np.full(COUNT, float(task.physics.solver_iterations)),
    )
    episodes = Episodes(starts, {}, np.zeros((COUNT, 0), dtype=np.int64), {})
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


def test_a_group_is_shifted_and_turned_as_one(pick_task: TaskSpec) -> None:
    task = replace(pick_task, robot_base=(0.0, 0.0, 0.0, 0.3))
    stack = tuple(
        replace(task.free[0], position=task.free[0].position + offset)
        for offset in ([0.0, 0.0, 0.0], [0.1, 0.0, 0.2])
    )
    stack = (stack[0], replace(stack[1], id="lid_001"))
    roles = {**task.roles, "lid": stack[1]}
    task = replace(task, free=stack, roles=roles)
    area = {"x_m": [-0.1, 0.2], "y_m": [0.0, 0.1], "yaw_rad": [0.5, 1.5]}
    starts = drawn(task, events={"pose": {"kind": "group_pose", "roles": ["target", "lid"], **area}}).starts
    ahead, left = ahead_left(task, starts.body_pos[:, 0] - stack[0].position)
    assert fills(ahead, -0.1, 0.2) and fills(left, 0.0, 0.1)
    yaw = 2 * np.arctan2(starts.body_quat[:, 0, 3], starts.body_quat[:, 0, 0])
    assert fills(yaw, 0.5, 1.5)
    np.testing.assert_array_equal(starts.body_quat[:, 0], starts.body_quat[:, 1])
    apart = starts.body_pos[:, 1] - starts.body_pos[:, 0]
    expected = np.stack([0.1 * np.cos(yaw), 0.1 * np.sin(yaw), np.full(COUNT, 0.2)], axis=1)
    np.testing.assert_allclose(apart, expected, atol=1e-9)


def test_turning_keeps_a_tilt() -> None:
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


def test_a_factor_multiplies_what_other_events_have_drawn(pick_task: TaskSpec) -> None:
    grip = {"kind": "friction_scale", "role": "target", "range": [0.9, 1.1]}
    before = drawn(pick_task, events={"grip": grip}).starts
    factors = {name: {"kind": name, "factor": 0.5} for name in ("friction_factor", "mass_factor")}
    after = drawn(pick_task, events={"grip": grip, **factors}).starts
    np.testing.assert_array_equal(after.friction_scale, 0.5 * before.friction_scale)
    np.testing.assert_array_equal(after.mass_scale, 0.5 * before.mass_scale)
    np.testing.assert_array_equal(after.body_pos, before.body_pos)


def test_the_solver_is_drawn_around_the_profile_and_within_its_ranges(pick_task: TaskSpec) -> None:
    """manipulation_standard: 8 ms and 16 iterations; noise of 15 % and 4; ranges 6 … 12 ms and 12 … 24."""
    starts = drawn(pick_task, events={"solver": {"kind": "solver"}}).starts
    assert fills(starts.dt_s, 0.0068, 0.0092)
    assert set(starts.solver_iterations.tolist()) == set(range(12, 21))
    entry = {"kind": "solver", "dt_noise_ratio": 0.9, "solver_iteration_noise": 100}
    starts = drawn(pick_task, events={"solver": entry}).starts
    assert fills(starts.dt_s, 0.006, 0.012)
    assert set(starts.solver_iterations.tolist()) == set(range(12, 25))
    assert abs(np.corrcoef(starts.dt_s, starts.solver_iterations)[0, 1]) < 0.1
    entry = {"kind": "solver", "dt_noise_ratio": 0.0, "solver_iteration_noise": 0}
    starts = drawn(pick_task, events={"solver": entry}).starts
    assert (starts.dt_s == 0.008).all() and (starts.solver_iterations == 16).all()
    slow = replace(pick_task, physics=replace(pick_task.physics, dt_s=0.02, solver_iterations=1))
    starts = drawn(slow, events={"solver": {"kind": "solver"}}).starts
    assert fills(starts.dt_s, 0.017, 0.02), "a step beyond the profile's range is where it ends"
    assert starts.solver_iterations.min() == 1 and starts.solver_iterations.max() == 5


def test_delays_are_whole_env_steps_equally_likely(pick_task: TaskSpec) -> None:
    events = {
        "late": {"kind": "action_delay", "steps": [0, 2]},
        "seen": {"kind": "observation_delay", "steps": [1, 4]},
    }
    delays = drawn(pick_task, events=events).delays
    for name, expected in (("actions", [0, 1, 2]), ("observations", [1, 2, 3, 4])):
        values, counts = np.unique(delays[name], return_counts=True)
        assert delays[name].dtype == np.int64 and values.tolist() == expected
        assert counts.min() > 0.85 * COUNT / len(expected)
    assert abs(np.corrcoef(delays["actions"], delays["observations"])[0, 1]) < 0.1


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
        ("commands", {**BOX}, "has kind ''. Available: choice, joint_target, position, uniform."),
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
        ("events", {"kind": "mass_scale", "role": "target", "range": 2}, "must be [low, high], not 2."),
        ("events", {"kind": "action_delay", "steps": [0, 1.5]}, "whole numbers of env steps, not [0, 1.5]."),
        ("events", {"kind": "observation_delay", "steps": [-1, 1]}, "env steps, not [-1, 1]."),
        ("events", {"kind": "action_delay"}, "needs 'steps' (kind 'action_delay' takes steps)."),
        ("events", {"kind": "mass_factor", "factor": 0}, "'factor' must be greater than 0, not 0."),
        (
            "events",
            {"kind": "friction_factor", "factor": [1, 2]},
            "'factor' must be greater than 0, not [1, 2].",
        ),
        ("events", {"kind": "solver", "dt_noise": 0.1}, "has 'dt_noise'. Did you mean 'dt_noise_ratio'?"),
        ("events", {"kind": "solver", "dt_noise_ratio": 1.0}, "must be 0 or more and below 1, not 1.0."),
        ("events", {"kind": "solver", "solver_iteration_noise": 0.5}, "must be a whole number, not 0.5."),
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


def test_a_joints_command_is_near_where_it_starts_and_within_its_range(drawer_task: TaskSpec) -> None:
    joint = drawer_task.roles["target"].joint
    assert joint is not None
    within = 0.3 * joint.range
    episodes = drawn(
        drawer_task,
        events={"state": {"kind": "joint_fraction", "role": "target", "range": [0.0, 1.0]}},
        commands={"opening": {"kind": "joint_target", "role": "target", "within": within}},
    )
    start = (episodes.starts.joint_pos[:, -1] - joint.lower) / joint.range
    wanted = episodes.commands["opening"][:, 0]
    assert wanted.min() >= 0 and wanted.max() <= 1
    assert fills(wanted - start, -0.3, 0.3)


def two_roles(task: TaskSpec) -> TaskSpec:
    """The task with a second object, 10 cm beside and 5 cm above the first, in the role 'load'."""
    first = task.free[0]
    load = replace(first, id="load", position=first.position + np.array([0.1, 0.02, 0.05]))
    asked = {**task.policy.roles, "load": task.policy.roles["target"]}
    return replace(
        task,
        policy=replace(task.policy, roles=asked),
        roles={**task.roles, "load": load},
        free=(first, load, *task.free[1:]),
    )


def test_members_are_moved_independently_and_take_turns_in_every_order(pick_task: TaskSpec) -> None:
    pair = two_roles(pick_task)
    roles = {"item": replace(pair.policy.roles["target"], count=2)}
    sequence = SequenceConfig(role="item", length=2, advance=None)
    policy = replace(pair.policy, roles=roles, sequence=sequence)
    members = {"item_0": pair.free[0], "item_1": pair.free[1]}
    task = replace(pair, policy=policy, roles=members)
    ranges = {"x_m": [-0.1, 0.1], "y_m": [-0.1, 0.1], "yaw_rad": [0.0, 0.0]}
    episodes = drawn(task, events={"pose": {"kind": "object_pose", "role": "item", **ranges}})
    moved = episodes.starts.body_pos[:, :2] - [entity.position for entity in task.free[:2]]
    assert abs(np.corrcoef(moved[:, 0, 0], moved[:, 1, 0])[0, 1]) < 0.1
    orders, counts = np.unique(episodes.order, axis=0, return_counts=True)
    assert orders.tolist() == [[0, 1], [1, 0]] and counts.min() > 0.45 * COUNT


def test_every_kind_is_tested() -> None:
    assert set(COMMANDS) == {"position", "choice", "uniform", "joint_target"}
    scales = {"mass_scale", "friction_scale", "size_scale", "mass_factor", "friction_factor"}
    late = {"action_delay", "observation_delay"}
    assert set(EVENTS) == {"object_pose", "group_pose", "joint_fraction", *scales, "solver", *late}
