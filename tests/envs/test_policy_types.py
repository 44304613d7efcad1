"""Every policy type: a good state, put together by hand, counts as success, and a near miss does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from blueprint_tune.config.paths import group_options
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.simulators.base import Starts
from blueprint_tune.simulators.mujoco.simulator import MujocoSimulator
from blueprint_tune.tasks.geometry import quat_about, quat_multiply
from blueprint_tune.tasks.regions import region

NewEnv = Callable[..., ManipulationEnv]
Benchmark = Callable[[str], list[str]]
Floats = NDArray[np.float64]

INTO = ("dish_loading", "mixed_sku_logistics", "pallet_handling")
JOINTS = ("articulated_access", "door_manipulation", "drawer_manipulation", "knob_manipulation")
GOALS = ("dexterous_pick_place", "general_manipulation")
REST = ("grocery_stocking", "laundry_sorting", "panel_interaction", "precision_insertion", "table_clearing")
ENVS = 4


def test_every_policy_type_is_tested_here() -> None:
    assert sorted((*INTO, *JOINTS, *GOALS, *REST)) == group_options("policy")


@pytest.fixture
def begun(new_env: NewEnv, benchmark: Benchmark) -> Callable[[str], ManipulationEnv]:
    """begun(policy) -> its benchmark's environment at the start of an episode."""

    def make(policy: str) -> ManipulationEnv:
        env = new_env(*benchmark(policy), "backend=mujoco", num_envs=ENVS)
        env.reset(np.full(ENVS, 7, dtype=np.int64), np.arange(ENVS))
        return env

    return make


def nominal(env: ManipulationEnv) -> Starts:
    return env.simulator.nominal.take(np.zeros(ENVS, dtype=np.int64))


def held(env: ManipulationEnv, starts: Starts, steps: int | None = None) -> list[bool]:
    """Whether the episodes succeed that are put into a state and left alone there."""
    everyone = np.arange(ENVS)
    env.simulator.reset(everyone, starts)
    env.actions.restart(everyone, env.simulator)
    still = torch.zeros(ENVS, env.num_actions)
    if env.action_names[-1:] == ("gripper",):
        still[:, -1] = 1.0  # open
    for _ in range(steps or round(1.0 / env.control_dt_s)):
        result = env.step(still)
    return result.success_now.tolist()


def column(env: ManipulationEnv, role: str) -> int:
    return env.simulator.free_bodies.index(env.task.roles[role].id)


def put(env: ManipulationEnv, starts: Starts, role: str, position: Floats) -> None:
    starts.body_pos[:, column(env, role)] = position


def standing_in(
    env: ManipulationEnv, role: str, into: str, offset: tuple[float, float] = (0.0, 0.0)
) -> Floats:
    """(3,) where a role's middle is when it stands in a region, at an offset (m, the region's axes)."""
    entity, place = env.task.roles[role], env.task.roles[into]
    inside = region(place)
    assert inside is not None
    x, y, z = inside.center
    floor = place.to_scene(np.array([x + offset[0], y + offset[1], z - inside.size[2] / 2]))
    return above(floor, (entity.top - entity.bottom) / 2 + 0.002)


def above(point: Floats, height_m: float) -> Floats:
    return np.array([point[0], point[1], point[2] + height_m])


@pytest.mark.parametrize("policy", JOINTS)
def test_the_commanded_position_succeeds_and_a_near_miss_does_not(
    begun: Callable[[str], ManipulationEnv], policy: str
) -> None:
    env = begun(policy)
    success = env.policy.success
    lower, upper = env.simulator.joint_limits[-1]
    wanted = env.simulator.state.commands[success["at"]][:, 0].double().numpy()
    tolerance = success["tolerance"] if "tolerance" in success else success["distance"] / (upper - lower)
    inwards = np.where(wanted > 0.5, -1.0, 1.0)
    for miss, expected in ((0.0, True), (0.8, True), (1.3, False)):
        env.reset(np.full(ENVS, 7, dtype=np.int64), np.arange(ENVS))
        starts = nominal(env)
        starts.joint_pos[:, -1] = lower + (wanted + inwards * miss * tolerance) * (upper - lower)
        assert held(env, starts) == [expected] * ENVS, miss


@pytest.mark.parametrize("policy", INTO)
def test_what_stands_in_the_receptacle_succeeds_and_what_stands_beside_does_not(
    begun: Callable[[str], ManipulationEnv], policy: str
) -> None:
    env = begun(policy)
    starts = nominal(env)
    put(env, starts, "target", standing_in(env, "target", "receptacle"))
    assert held(env, starts) == [True] * ENVS
    env = begun(policy)
    inside = region(env.task.roles["receptacle"])
    assert inside is not None
    starts = nominal(env)
    beside = (float(inside.size[0]) / 2 + 0.05, 0.0)
    put(env, starts, "target", above(standing_in(env, "target", "receptacle", beside), 0.02))
    assert held(env, starts) == [False] * ENVS


@pytest.mark.parametrize("policy", GOALS)
def test_an_object_at_its_goal_succeeds_and_one_beside_it_does_not(
    begun: Callable[[str], ManipulationEnv], policy: str
) -> None:
    for miss, expected in ((0.7, True), (1.3, False)):
        env = begun(policy)
        state, starts = env.simulator.state, nominal(env)
        arm = len(env.task.robot.home_rad)  # out of the way
        starts.joint_pos[:, :arm] = starts.joint_target[:, :arm] = env.task.robot.home_rad
        goal = state.commands["goal"].double().numpy().copy()
        goal[:, 0] += miss * env.policy.success["distance_m"]
        for i in range(ENVS):
            role = f"target_{state.active[i]}" if env.policy.sequence else "target"
            starts.body_pos[i, column(env, role)] = goal[i]
        if env.policy.sequence is None:  # in the air: judged in the first env step, before it has fallen
            env._hold_steps = 1
            assert held(env, starts, steps=1) == [expected] * ENVS
        else:
            assert held(env, starts) == [expected] * ENVS


def turned(env: ManipulationEnv, role: str, like: str, yaw_rad: float) -> Floats:
    return quat_multiply(quat_about((0, 0, 1), yaw_rad), env.task.roles[like].quat)


def test_a_product_faces_the_aisle_within_fifteen_degrees(begun: Callable[[str], ManipulationEnv]) -> None:
    for yaw_degrees, expected in ((0.0, True), (12.0, True), (18.0, False), (180.0, False)):
        env = begun("grocery_stocking")
        starts = nominal(env)
        put(env, starts, "target", standing_in(env, "target", "receptacle"))
        yaw = np.radians(yaw_degrees)
        starts.body_quat[:, column(env, "target")] = turned(env, "target", "receptacle", yaw)
        assert held(env, starts) == [expected] * ENVS, yaw_degrees


def test_a_product_that_lies_is_not_stocked(begun: Callable[[str], ManipulationEnv]) -> None:
    env = begun("grocery_stocking")
    starts = nominal(env)
    put(env, starts, "target", standing_in(env, "target", "receptacle"))
    lying = quat_multiply(turned(env, "target", "receptacle", 0.0), quat_about((1, 0, 0), np.pi / 2))
    starts.body_quat[:, column(env, "target")] = lying
    assert held(env, starts) == [False] * ENVS


def test_every_item_has_to_be_in_the_bin(begun: Callable[[str], ManipulationEnv]) -> None:
    for cleared, expected in (
        (("target_0", "target_1"), True),
        (("target_0",), False),
        (("target_1",), False),
    ):
        env = begun("table_clearing")
        starts = nominal(env)
        for role, aside in zip(cleared, (-0.07, 0.07), strict=False):
            put(env, starts, role, standing_in(env, role, "receptacle", (aside, 0.0)))
        assert held(env, starts) == [expected] * ENVS, cleared


def test_cloth_belongs_into_the_bin_of_its_class(begun: Callable[[str], ManipulationEnv]) -> None:
    env = begun("laundry_sorting")
    state = env.simulator.state
    turns = state.order[:, 0].tolist()
    assert set(turns) == {0, 1}, "these starts ask for either bin"
    starts = nominal(env)
    put(env, starts, "target", standing_in(env, "target", "receptacle_0"))
    assert held(env, starts) == [turn == 0 for turn in turns]


def test_a_part_counts_from_eighty_percent_of_the_depth_on(begun: Callable[[str], ManipulationEnv]) -> None:
    for depth, expected in ((0.85, True), (0.6, False)):  # it falls 5 mm, an eighth, in an env step
        env = begun("precision_insertion")
        env._hold_steps = 1  # judged in the first env step: the part is put there, not held
        hole, part = env.task.roles["socket"], env.task.roles["part"]
        inside = region(hole)
        assert inside is not None
        middle, deep = hole.to_scene(inside.center), float(inside.size[2])
        starts = nominal(env)
        put(env, starts, "part", above(middle, (0.5 - depth) * deep + part.size[2] / 2))
        starts.body_quat[:, column(env, "part")] = hole.quat
        starts.joint_target[:, -2:] = starts.joint_pos[:, -2:] = 0.04
        assert held(env, starts, steps=1) == [expected] * ENVS, depth


def press(env: ManipulationEnv, members: NDArray[np.int64]) -> None:
    """One button of each environment is fully pressed, and stays so as if a finger held it."""
    assert isinstance(env.simulator, MujocoSimulator)
    env.simulator._batch.expand("dof_damping")[:, len(env.simulator.robot_joints) :] = 1e4
    starts = nominal(env)
    first = len(env.simulator.robot_joints)
    for i, member in enumerate(members):
        place = [entity.id for entity in env.task.jointed].index(env.task.roles[f"button_{member}"].id)
        starts.joint_pos[i, first + place] = env.simulator.joint_limits[first + place, 1]
    env.simulator.reset(np.arange(ENVS), starts)
    env.actions.restart(np.arange(ENVS), env.simulator)


def test_buttons_count_in_their_order(begun: Callable[[str], ManipulationEnv]) -> None:
    env = begun("panel_interaction")
    order = env.simulator.state.order.numpy().copy()
    still = torch.zeros(ENVS, env.num_actions)
    press(env, order[:, 0])
    first = env.step(still)
    if int(env.simulator.state.stage.min()) == 0:
        pytest.fail("a pressed button is done within an env step")
    assert not first.terminated.any() and not first.success_now.any()
    press(env, order[:, 1])
    for _ in range(round(0.6 / env.control_dt_s)):
        result = env.step(still)
    assert result.success_now.all()


def test_the_wrong_button_ends_the_episode(begun: Callable[[str], ManipulationEnv]) -> None:
    env = begun("panel_interaction")
    press(env, env.simulator.state.order[:, 1].numpy().copy())
    result = env.step(torch.zeros(ENVS, env.num_actions))
    assert result.terminated.all() and not result.success.any()
