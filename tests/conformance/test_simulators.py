"""What every simulator promises, whatever physics is behind it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.errors import SimulatorError
from blueprint_tune.mdp.state import Frame
from blueprint_tune.simulators.base import Simulator, Starts

BACKENDS = ("mujoco", "pointmass", "isaaclab")
POLICIES = ("dexterous_pick_place", "drawer_manipulation")

ON_CPU = {"isaaclab": ("backend.device=cpu",)}
CLOSE = {"atol": 0.05, "rtol": 0.05}
"""How alike a simulator is to itself that is not exact: it moves by that much within these tests."""

Make = Callable[..., Simulator]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "isaaclab":
        request.getfixturevalue("isaac_double")
    return str(request.param)


@pytest.fixture
def make(backend: str, new_env: Callable[..., ManipulationEnv]) -> Make:
    def build(policy: str = POLICIES[0], num_envs: int = 4, num_threads: int = 2) -> Simulator:
        overrides = (f"policy={policy}", f"backend={backend}", *ON_CPU.get(backend, ()))
        return new_env(*overrides, num_envs=num_envs, num_threads=num_threads).simulator

    return build


def snapshot(simulator: Simulator) -> dict[str, Tensor]:
    """Copies of everything a simulator keeps in its state."""
    state = simulator.state
    names = ("frame_pos", "frame_quat", "frame_linvel", "frame_angvel", "joint_pos", "joint_vel")
    copies = {name: getattr(state, name).clone() for name in (*names, "contact_force", "joint_targets")}
    return copies | {"ee_jacobian": simulator.ee_jacobian().clone()}


def assert_same(
    found: dict[str, Tensor], expected: dict[str, Tensor], rows: slice | list[int], exact: bool = True
) -> None:
    """Equal to the bit; without ``exact`` nearly so, and contact forces not compared."""
    for name, values in expected.items():
        if exact:
            assert torch.equal(found[name][rows], values[rows]), name
        elif "contact_force" not in name:
            torch.testing.assert_close(found[name][rows], values[rows], **CLOSE, msg=name)


def has_one_solver(simulator: Simulator) -> bool:
    """Whether all environments step by the same length with the same solver."""
    return type(simulator).__module__.startswith("blueprint_tune.simulators.isaaclab")


def starts_of(simulator: Simulator, seed: int, count: int | None = None) -> Starts:
    """Different starts: joints and free bodies a little off the nominal ones."""
    rng = np.random.default_rng(seed)
    starts = simulator.nominal.take(np.zeros(count or simulator.num_envs, dtype=np.int64))
    robot = len(simulator.robot_joints)
    starts.joint_pos[:, : robot - 2] += rng.uniform(-0.1, 0.1, starts.joint_pos[:, : robot - 2].shape)
    low, high = simulator.joint_limits.T
    fixtures = rng.uniform(0.2, 0.8, starts.joint_pos[:, robot:].shape)
    starts.joint_pos[:, robot:] = low[robot:] + fixtures * (high - low)[robot:]
    starts.joint_pos = np.clip(starts.joint_pos, low, high)
    starts.joint_target = np.clip(starts.joint_pos[:, :robot] + 0.01, low[:robot], high[:robot])
    starts.body_pos[..., :2] += rng.uniform(-0.05, 0.05, starts.body_pos[..., :2].shape)
    starts.mass_scale *= rng.uniform(0.8, 1.25, starts.mass_scale.shape)
    starts.friction_scale *= rng.uniform(0.8, 1.25, starts.friction_scale.shape)
    if not has_one_solver(simulator):
        starts.dt_s *= rng.uniform(0.85, 1.15, starts.dt_s.shape)
        starts.solver_iterations += rng.integers(-4, 5, starts.solver_iterations.shape)
    return starts


def in_the_gripper(simulator: Simulator) -> Starts:
    """The first free body between the open fingers, so that closing them touches it."""
    starts = simulator.nominal.take(np.zeros(simulator.num_envs, dtype=np.int64))
    simulator.reset(np.arange(simulator.num_envs), starts)
    ee = simulator.state.frame_pos[:, 0].double().numpy()
    starts.body_pos[:, 0] = ee + np.linspace(-0.002, 0.002, simulator.num_envs)[:, None] * [1.0, 0.0, 0.0]
    return starts


def targets(simulator: Simulator, step: int, closed: bool = False) -> Tensor:
    """Joint targets that move every environment differently; a pure function of the step."""
    robot, n = len(simulator.robot_joints), simulator.num_envs
    nominal = torch.from_numpy(simulator.nominal.joint_pos[:, :robot]).float().expand(n, robot).clone()
    phase = torch.arange(n)[:, None] + torch.arange(robot - 2)[None] * 0.7 + 0.3 * step
    nominal[:, : robot - 2] += 0.06 * min(1.0, step / 5) * torch.sin(phase)
    nominal[:, robot - 2 :] = 0.0 if closed else 0.04
    return nominal


def run(simulator: Simulator, steps: range, closed: bool = False) -> None:
    for step in steps:
        simulator.set_joint_targets(targets(simulator, step, closed))
        simulator.step(4)


def everyone(simulator: Simulator) -> np.ndarray:
    return np.arange(simulator.num_envs)


@pytest.mark.parametrize("policy", POLICIES)
def test_state_has_the_shapes_of_the_catalog(make: Make, policy: str) -> None:
    simulator = make(policy)
    state, n = simulator.state, 4
    frames, joints = len(state.catalog.frames), len(state.catalog.joints)
    expected = {
        "frame_pos": (n, frames, 3),
        "frame_quat": (n, frames, 4),
        "frame_linvel": (n, frames, 3),
        "frame_angvel": (n, frames, 3),
        "joint_pos": (n, joints),
        "joint_vel": (n, joints),
        "contact_force": (n, len(state.catalog.contacts)),
        "joint_targets": (n, len(simulator.robot_joints)),
        "joint_limits": (joints, 2),
    }
    for name, shape in expected.items():
        tensor = getattr(state, name)
        assert tensor.shape == shape and tensor.dtype == torch.float32, name
    torch.testing.assert_close(state.frame_quat.norm(dim=2), torch.ones(n, frames))


@pytest.mark.parametrize("policy", POLICIES)
def test_names_limits_and_nominal_start_agree(make: Make, policy: str) -> None:
    simulator = make(policy)
    robot, joints, bodies = simulator.robot_joints, simulator.joint_names, len(simulator.free_bodies)
    nominal = simulator.nominal
    assert joints[: len(robot)] == robot == simulator.state.catalog.joints[: len(robot)]
    assert simulator.state.num_robot_joints == len(robot)
    assert len(joints) == len(simulator.state.catalog.joints)
    assert nominal.joint_pos.shape == (1, len(joints)) and nominal.body_pos.shape == (1, bodies, 3)
    assert nominal.body_quat.shape == (1, bodies, 4)
    assert (nominal.mass_scale == 1).all() and nominal.mass_scale.shape == (1, bodies)
    low, high = simulator.joint_limits.T
    assert (low < high).all()
    assert (low <= nominal.joint_pos).all() and (nominal.joint_pos <= high).all()
    np.testing.assert_allclose(simulator.state.joint_limits, simulator.joint_limits, rtol=1e-6)
    assert simulator.physics_dt_s == 0.008
    assert simulator.sliding.tolist() == [False] * 7 + [True] * 2, "arm joints turn, fingers slide"


@pytest.mark.parametrize("policy", POLICIES)
def test_a_reset_puts_environments_at_their_starts_at_rest(make: Make, policy: str) -> None:
    simulator = make(policy)
    run(simulator, range(3))
    starts = starts_of(simulator, seed=1)
    simulator.reset(everyone(simulator), starts)
    state = simulator.state
    np.testing.assert_array_equal(state.joint_pos, starts.joint_pos.astype(np.float32))
    np.testing.assert_array_equal(state.joint_targets, starts.joint_target.astype(np.float32))
    for column in range(len(simulator.free_bodies)):
        frame = state.catalog.frames.index("target")
        np.testing.assert_allclose(state.frame_pos[:, frame], starts.body_pos[:, column], atol=1e-6)
    for still in (state.joint_vel, state.frame_linvel, state.frame_angvel, state.contact_force):
        assert (still == 0).all()


def test_resetting_some_leaves_the_others_bit_identical(make: Make) -> None:
    simulator = make()
    simulator.reset(everyone(simulator), in_the_gripper(simulator))
    run(simulator, range(6), closed=True)
    before = snapshot(simulator)
    assert (before["contact_force"][:, :2] > 0).all(), "the fingers must hold something"
    simulator.reset(np.array([1, 2]), starts_of(simulator, 2, count=2))
    assert_same(snapshot(simulator), before, [0, 3])
    middle = snapshot(simulator)
    assert (middle["contact_force"][1:3] == 0).all()
    simulator.reset(np.array([0]), starts_of(simulator, 3, count=1))
    assert_same(snapshot(simulator), middle, [1, 2, 3])


def test_resetting_some_does_not_change_how_the_others_go_on(make: Make) -> None:
    finals = []
    for disturb in (False, True):
        simulator = make()
        simulator.reset(everyone(simulator), in_the_gripper(simulator))
        run(simulator, range(4), closed=True)
        if disturb:
            simulator.reset(np.array([1]), starts_of(simulator, 2, count=1))
        run(simulator, range(4, 8), closed=True)
        finals.append(snapshot(simulator))
    assert_same(finals[1], finals[0], [0, 2, 3], simulator.exact_state)
    assert not torch.equal(finals[1]["joint_pos"][1], finals[0]["joint_pos"][1])


@pytest.mark.parametrize("policy", POLICIES)
def test_same_starts_and_targets_give_the_same_bits(make: Make, policy: str) -> None:
    """In as many or more environments, on one thread or two, after other episodes or none."""
    finals = []
    for num_envs, num_threads, warm in ((4, 1, False), (4, 2, True), (16, 2, False)):
        simulator = make(policy, num_envs, num_threads)
        if warm:
            simulator.reset(everyone(simulator), starts_of(simulator, seed=9))
            run(simulator, range(5), closed=True)
        starts = starts_of(simulator, seed=4, count=4)
        rows = np.arange(num_envs) % 4
        simulator.reset(everyone(simulator), starts.take(rows))
        run(simulator, range(10))
        finals.append(snapshot(simulator))
    for other in finals[1:]:
        assert_same(other, finals[0], [0, 1, 2, 3], simulator.exact_state)


def test_a_start_in_contact_forgets_what_ran_before(make: Make) -> None:
    """Solvers begin where they ended: a reset must not hand one episode's forces to the next."""
    finals = []
    for warm in (False, True):
        simulator = make()
        starts = in_the_gripper(simulator)
        starts.joint_pos[:, 7:9] = 0.024
        if warm:
            simulator.reset(everyone(simulator), starts)
            run(simulator, range(20), closed=True)
        simulator.reset(everyone(simulator), starts)
        simulator.step(1)
        first = snapshot(simulator)
        run(simulator, range(5), closed=True)
        assert (simulator.state.contact_force[:, :2] > 0).all()
        finals.append(first | {f"later {name}": values for name, values in snapshot(simulator).items()})
    assert_same(finals[1], finals[0], slice(None), simulator.exact_state)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_loaded_state_goes_on_as_it_would_have(make: Make, policy: str) -> None:
    """Bit for bit where the simulator says so, else nearly."""
    simulator = make(policy)
    exact = simulator.exact_state
    assert exact or has_one_solver(simulator)
    start = in_the_gripper(simulator) if simulator.free_bodies else starts_of(simulator, 5)
    start.friction_scale *= 0.9
    simulator.reset(everyone(simulator), start)
    run(simulator, range(6), closed=True)
    saved, at_save = simulator.save_state(), snapshot(simulator)
    if simulator.free_bodies:
        assert (at_save["contact_force"][:, :2] > 0).all(), "contacts must be saved too"
    run(simulator, range(6, 12), closed=True)
    expected = snapshot(simulator)
    simulator.reset(np.array([0, 2]), starts_of(simulator, 6, count=2))
    run(simulator, range(3))
    for make_another in (lambda: simulator, lambda: make(policy)):
        restored = make_another()  # which may end the other one: some have one simulation a process
        restored.load_state(saved)
        found = snapshot(restored)
        jacobians = found.pop("ee_jacobian"), at_save["ee_jacobian"]
        assert_same(found, {name: at_save[name] for name in found}, slice(None))
        torch.testing.assert_close(*jacobians, **({"atol": 0, "rtol": 0} if exact else CLOSE))
        run(restored, range(6, 12), closed=True)
        assert_same(snapshot(restored), expected, slice(None), exact)


def test_what_ran_in_inference_mode_is_loaded_and_reset_outside_of_it(make: Make) -> None:
    simulator = make()
    saved = simulator.save_state()
    with torch.inference_mode():
        run(simulator, range(3))
    simulator.load_state(saved)
    with torch.inference_mode():
        simulator.reset(everyone(simulator), starts_of(simulator, 2))
        run(simulator, range(3))
    simulator.reset(np.array([1]), starts_of(simulator, 3, count=1))
    run(simulator, range(3, 6))
    assert simulator.state.joint_pos.isfinite().all()


def test_loaded_targets_are_held_without_being_set_again(make: Make) -> None:
    simulator = make()
    run(simulator, range(2))
    saved = simulator.save_state()
    simulator.step(8)
    expected = snapshot(simulator)
    run(simulator, range(7, 9))
    simulator.load_state(saved)
    simulator.step(8)
    assert_same(snapshot(simulator), expected, slice(None), simulator.exact_state)


def test_a_saved_state_is_a_copy(make: Make) -> None:
    simulator = make()
    run(simulator, range(2))
    saved = simulator.save_state()
    copied = deepcopy(saved)
    run(simulator, range(2, 5))
    simulator.reset(everyone(simulator), starts_of(simulator, 8))
    varied = saved.pop("variation", {}) | saved
    for name, values in (copied.pop("variation", {}) | copied).items():
        assert torch.equal(varied[name], values), name


def test_joint_targets_are_reached(make: Make) -> None:
    simulator = make()
    simulator.reset(everyone(simulator), simulator.nominal.take(np.zeros(4, dtype=np.int64)))
    wanted = targets(simulator, step=5)
    wanted[:, 7:] = 0.01
    simulator.set_joint_targets(wanted)
    simulator.step(round(2.0 / simulator.physics_dt_s))
    torch.testing.assert_close(simulator.state.joint_pos[:, :9], wanted, atol=0.01, rtol=0)
    assert simulator.state.joint_vel.abs().max() < 0.02
    assert torch.equal(simulator.state.joint_targets, wanted)


def test_what_terms_share_is_as_new_as_the_state(make: Make) -> None:
    simulator = make()
    state, frames = simulator.state, simulator.state.catalog.frames
    ee, target = (Frame(frames.index(name)) for name in ("robot/ee", "target"))

    def assert_shared_is_fresh() -> None:
        apart = state.frame_pos[:, ee.index] - state.frame_pos[:, target.index]
        torch.testing.assert_close(state.distance(ee, target), apart.norm(dim=1))

    saved = simulator.save_state()
    assert_shared_is_fresh()
    run(simulator, range(8))
    assert_shared_is_fresh()
    simulator.reset(np.array([1, 2]), starts_of(simulator, seed=3).take(np.array([1, 2])))
    assert_shared_is_fresh()
    simulator.load_state(saved)
    assert_shared_is_fresh()


def test_velocities_are_the_rates_of_positions(make: Make) -> None:
    simulator = make()
    run(simulator, range(8))
    before = snapshot(simulator)
    simulator.step(1)
    after = snapshot(simulator)
    moved = (after["frame_pos"] - before["frame_pos"])[:, 0] / simulator.physics_dt_s
    torch.testing.assert_close(moved, after["frame_linvel"][:, 0], atol=0.05, rtol=0.2)
    assert moved.norm(dim=1).min() > 0.02


@pytest.mark.parametrize("policy", POLICIES)
def test_the_jacobian_turns_joint_rates_into_the_end_effectors(make: Make, policy: str) -> None:
    simulator = make(policy)
    arm = len(simulator.robot_joints) - 2
    for steps in (range(8), range(8, 11)):
        run(simulator, steps)
        jacobian, state = simulator.ee_jacobian(), simulator.state
        assert jacobian.shape == (4, 6, arm) and jacobian.dtype == torch.float32
        twist = (jacobian @ state.joint_vel[:, :arm, None]).squeeze(2)
        torch.testing.assert_close(twist[:, :3], state.frame_linvel[:, 0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(twist[:, 3:], state.frame_angvel[:, 0], atol=1e-4, rtol=1e-4)
        assert state.frame_linvel[:, 0].norm(dim=1).min() > 0.01


def test_free_bodies_stay_where_they_stand(make: Make) -> None:
    simulator = make()
    state, frame = simulator.state, simulator.state.catalog.frames.index("target")
    simulator.reset(everyone(simulator), simulator.nominal.take(np.zeros(4, dtype=np.int64)))
    start = state.frame_pos[:, frame].clone()
    simulator.step(round(1.0 / simulator.physics_dt_s))
    torch.testing.assert_close(state.frame_pos[:, frame], start, atol=0.002, rtol=0)
    assert state.frame_linvel[:, frame].abs().max() < 0.01


def test_free_bodies_fall(make: Make) -> None:
    simulator = make()
    frame = simulator.state.catalog.frames.index("target")
    starts = simulator.nominal.take(np.zeros(4, dtype=np.int64))
    starts.body_pos[:, 0] += [0.0, 0.15, 0.1]
    simulator.reset(everyone(simulator), starts)
    high = simulator.state.frame_pos[0, frame, 2].item()
    simulator.step(10)
    fallen = high - simulator.state.frame_pos[:, frame, 2]
    expected = 9.81 * (10 * simulator.physics_dt_s) ** 2 / 2
    torch.testing.assert_close(fallen, torch.full((4,), expected), rtol=0.15, atol=0)


def test_a_longer_physics_step_takes_further_in_as_many_steps(make: Make) -> None:
    simulator = make()
    frame = simulator.state.catalog.frames.index("target")
    starts = simulator.nominal.take(np.zeros(4, dtype=np.int64))
    starts.body_pos[:, 0] += [0.0, 0.15, 0.1]
    starts.dt_s *= [1.0, 0.5, 1.0, 1.2]
    if has_one_solver(simulator):
        with pytest.raises(SimulatorError, match="cannot change dt_s from environment to environment"):
            simulator.reset(everyone(simulator), starts)
        return
    simulator.reset(everyone(simulator), starts)
    high = simulator.state.frame_pos[:, frame, 2].clone()
    simulator.step(10)
    fallen = high - simulator.state.frame_pos[:, frame, 2]
    torch.testing.assert_close(fallen / fallen[0], torch.tensor([1.0, 0.25, 1.0, 1.44]), rtol=1e-3, atol=0)
    simulator.reset(np.array([1, 3]), simulator.nominal.take(np.zeros(2, dtype=np.int64)))
    starts.dt_s[:] = simulator.physics_dt_s
    simulator.reset(everyone(simulator), starts)
    simulator.step(10)
    again = high - simulator.state.frame_pos[:, frame, 2]
    assert torch.equal(again, fallen[:1].expand(4)), "the next episode has its own"


def test_fixtures_stay_where_they_are_left(make: Make) -> None:
    simulator = make("drawer_manipulation")
    starts = starts_of(simulator, seed=7)
    starts.joint_pos[:, :7] = [0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]
    simulator.reset(everyone(simulator), starts)
    simulator.step(round(0.5 / simulator.physics_dt_s))
    np.testing.assert_allclose(simulator.state.joint_pos[:, -1], starts.joint_pos[:, -1], atol=0.002)


def test_the_handle_frame_moves_with_its_joint(make: Make) -> None:
    simulator = make("drawer_manipulation")
    frames = simulator.state.catalog.frames
    starts = simulator.nominal.take(np.zeros(4, dtype=np.int64))
    starts.joint_pos[:, -1] = np.linspace(*simulator.joint_limits[-1], 4)
    simulator.reset(everyone(simulator), starts)
    for name in ("target", "target/handle"):
        position = simulator.state.frame_pos[:, frames.index(name)]
        travelled = (position - position[0]).norm(dim=1)
        np.testing.assert_allclose(
            travelled, starts.joint_pos[:, -1] - simulator.joint_limits[-1, 0], atol=1e-5
        )


def test_a_closed_gripper_carries_what_is_between_its_fingers(make: Make) -> None:
    simulator = make()
    state, frame = simulator.state, simulator.state.catalog.frames.index("target")
    simulator.reset(everyone(simulator), in_the_gripper(simulator))
    wanted = state.joint_targets.clone()
    wanted[:, 7:] = 0.0
    simulator.set_joint_targets(wanted)
    simulator.step(round(1.0 / simulator.physics_dt_s))
    gap = (state.frame_pos[:, frame] - state.frame_pos[:, 0]).norm(dim=1)
    assert (gap < 0.03).all()
    assert (state.contact_force[:, :2] > 1.0).all(), "both fingers press"
    wanted[:, 7:] = 0.04
    simulator.set_joint_targets(wanted)
    simulator.step(round(0.5 / simulator.physics_dt_s))
    assert (state.frame_pos[:, frame, 2] < state.frame_pos[:, 0, 2] - 0.05).all(), "released, it falls"
    assert (state.contact_force[:, :2] == 0).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_picture_or_a_sentence_that_says_how_to_get_one(make: Make, policy: str) -> None:
    found = picture_or_excuse(make(policy))
    if isinstance(found, str):
        assert "MUJOCO_GL" in found or "backend.cameras=true" in found
    else:
        assert found.shape == (60, 80, 3) and found.dtype == np.uint8
        assert len(np.unique(found.reshape(-1, 3), axis=0)) > 2


def picture_or_excuse(simulator: Simulator) -> np.ndarray | str:
    try:
        return simulator.render(env_id=1, width=80, height=60)
    except SimulatorError as error:
        return str(error)
