"""The backend on the double: what the suite of all simulators does not ask."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable

import numpy as np
import pytest
import torch

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.errors import ConfigError, SimulatorError
from blueprint_tune.simulators.isaaclab.variation import FRICTION_STEP

NewEnv = Callable[..., ManipulationEnv]
ISAAC = ("backend=isaaclab", "backend.device=cpu")


@pytest.fixture(autouse=True)
def _double(isaac_double: str) -> None:
    """Every test here runs on it."""


@pytest.mark.parametrize(
    "overrides",
    [
        ("policy=dexterous_pick_place",),
        ("policy=drawer_manipulation",),
        ("policy=door_manipulation", "robot=fetch"),
        ("+scene=lab_001", "policy=precision_insertion"),
        ("policy=dexterous_pick_place", "robot=ur10", "robot.gripper=parallel"),
        ("policy=dexterous_pick_place", "robot=ur10", "robot.gripper=parallel", "robot.isaaclab.asset=null"),
    ],
)
def test_every_frame_is_where_mujoco_has_it(new_env: NewEnv, overrides: tuple[str, ...]) -> None:
    """At the same start: positions, orientations and Jacobian, relative to each environment's origin."""
    envs = [new_env(*overrides, *backend, num_envs=3) for backend in (("backend=mujoco",), ISAAC)]
    seeds, slots = np.full(3, 7, dtype=np.int64), np.arange(3)
    ours, theirs = envs
    ours.reset(seeds, slots)
    theirs.reset(seeds, slots)
    a, b = ours.simulator, theirs.simulator
    assert (a.joint_names, a.free_bodies) == (b.joint_names, b.free_bodies)
    torch.testing.assert_close(b.state.frame_pos, a.state.frame_pos, atol=1e-4, rtol=0)
    turned = (b.state.frame_quat * a.state.frame_quat).sum(dim=2).abs()
    torch.testing.assert_close(turned, torch.ones_like(turned), atol=1e-5, rtol=0)
    torch.testing.assert_close(b.ee_jacobian(), a.ee_jacobian(), atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(b.joint_limits, a.joint_limits, atol=2e-3)


def test_friction_and_mass_reach_physx_once(new_env: NewEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = new_env(*ISAAC, num_envs=3).simulator
    view = simulator._world._bodies[0].root_physx_view
    nominal = view.get_masses().clone(), view.get_inertias().clone(), simulator._world._frictions[0].nominal
    starts = simulator.nominal.take(np.zeros(3, dtype=np.int64))
    starts.mass_scale[:, 0], starts.friction_scale[:, 0] = [1.0, 1.5, 2.0], [1.0, 0.501, 0.9]
    simulator.reset(np.arange(3), starts)
    factors = torch.tensor([[1.0], [1.5], [2.0]])
    torch.testing.assert_close(view.get_masses(), nominal[0] * factors)
    torch.testing.assert_close(view.get_inertias(), nominal[1] * factors)
    friction = view.get_material_properties()[:, 0, 0] / nominal[2][:, 0, 0]
    torch.testing.assert_close(friction, torch.tensor([1.0, 0.5, 0.9]), atol=FRICTION_STEP / 2, rtol=0)
    # PhysX averages what was written: between pad (1) and body the wanted factor must come out
    robot = simulator._world._robot.root_physx_view.get_material_properties()[:, 0, 0]
    between = (robot + view.get_material_properties()[:, 0, 0])[1:] / 2
    torch.testing.assert_close(between, torch.tensor([0.5, 0.9]), atol=FRICTION_STEP / 2, rtol=0)
    written: list[str] = []
    for name in ("scale_masses", "scale_frictions"):
        monkeypatch.setattr(simulator._world, name, lambda *given, name=name: written.append(name))
    simulator.reset(np.array([1, 2]), starts.take(np.array([1, 2])))
    assert not written, "what is in force is not written again"


def test_a_dishwasher_stays_as_far_open_as_it_stands(new_env: NewEnv) -> None:
    flap = ("policy=door_manipulation", "robot=ur10", "robot.gripper=parallel")
    env = new_env(*flap, *ISAAC, num_envs=8)
    robot = len(env.simulator.robot_joints)
    (name,) = env.simulator.joint_names[robot:]
    assert name == "dishwasher_001_joint"
    before = env.simulator.state.joint_pos[:, robot].clone()
    for _ in range(10):
        env.step(torch.zeros(8, env.num_actions))
    assert ((env.simulator.state.joint_pos[:, robot] - before).abs() < 0.03).all()


def test_another_simulator_ends_the_first(new_env: NewEnv) -> None:
    first, second = new_env(*ISAAC).simulator, new_env(*ISAAC).simulator
    second.step(1)
    with pytest.raises(SimulatorError, match="This simulation has ended, because a process can run one"):
        first.step(1)


def test_cameras_take_pictures_in_the_size_that_is_asked() -> None:
    """In a process of its own: Isaac Sim is started with or without cameras."""
    code = """
        import numpy as np
        from blueprint_tune.config.compose import compose
        from blueprint_tune.envs.factory import make_env
        words = ["backend=isaaclab", "backend.device=cpu", "backend.gpus=0", "backend.cameras=true"]
        cfg = compose(["+scene=kitchen_001", "policy=drawer_manipulation", "preset=smoke", *words])
        env = make_env(cfg, 1)
        picture = env.render(1, 80, 60)
        assert picture.shape == (60, 80, 3) and picture.dtype == np.uint8
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10, "it shows something"
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_a_picture_needs_cameras(new_env: NewEnv) -> None:
    with pytest.raises(SimulatorError, match=r"backend.cameras=true"):
        new_env(*ISAAC).render()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("robot.isaaclab.asset=isaaclab_assets.robots.franka:NO_SUCH", "Isaac Lab has no asset"),
        ("robot.isaaclab.usd_path=/nowhere/arm.usd", "there is no such file"),
    ],
)
def test_an_asset_that_is_not_there(new_env: NewEnv, override: str, message: str) -> None:
    with pytest.raises((SimulatorError, ConfigError), match=message):
        new_env(*ISAAC, override)


def test_an_asset_of_another_robot_is_refused(new_env: NewEnv) -> None:
    from isaac_physics.robots import asset

    ur10 = asset("ur10")
    with pytest.raises(SimulatorError, match=rf"(?s)cannot build the scene.*panda_joint1.*{ur10}; its links"):
        new_env(*ISAAC, f"robot.isaaclab.usd_path={ur10}")


def test_an_end_effector_elsewhere_is_refused(new_env: NewEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """An asset whose links have other frames would have every observation lie."""
    simulator = new_env(*ISAAC).simulator
    simulator.state.frame_pos[0, simulator._ee, 2] += 0.02
    with pytest.raises(SimulatorError, match=r"2.0 cm and 0.0 degrees away from that of 'franka.xml'"):
        simulator._check_end_effector()
