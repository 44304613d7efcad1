"""The test double moves things and keeps to the semantics of Isaac Lab that users fall over."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pxr import UsdGeom, UsdPhysics

from tests.simulators.isaaclab import usd_files

DT_S = 0.004


def box_at(path: Path, position: tuple[float, float, float], name: str = "box", sensed: bool = False) -> Any:
    from isaaclab.assets import RigidObjectCfg
    from isaaclab.sim import UsdFileCfg

    return RigidObjectCfg(
        prim_path=f"{{ENV_REGEX_NS}}/{name}",
        spawn=UsdFileCfg(usd_path=str(path), activate_contact_sensors=sensed),
        init_state=RigidObjectCfg.InitialStateCfg(pos=position),
    )


def ground() -> Any:
    from isaaclab.assets import AssetBaseCfg
    from isaaclab.sim import GroundPlaneCfg

    return AssetBaseCfg(prim_path="/World/ground", spawn=GroundPlaneCfg())


def cabinet_at(
    path: Path, position: tuple[float, float, float], actuators: dict[str, Any] | None = None
) -> Any:
    from isaaclab.assets import ArticulationCfg
    from isaaclab.sim import UsdFileCfg

    return ArticulationCfg(
        prim_path="{ENV_REGEX_NS}/cabinet",
        spawn=UsdFileCfg(usd_path=usd_files.cabinet(path / "cabinet.usda"), activate_contact_sensors=True),
        init_state=ArticulationCfg.InitialStateCfg(pos=position),
        actuators=actuators or {},
    )


def motor(joint: str, stiffness: float, damping: float, **more: Any) -> Any:
    from isaaclab.actuators import ImplicitActuatorCfg

    return ImplicitActuatorCfg(joint_names_expr=[joint], stiffness=stiffness, damping=damping, **more)


def franka() -> Any:
    from isaaclab_assets.robots.franka import FRANKA_PANDA_HIGH_PD_CFG

    robot = FRANKA_PANDA_HIGH_PD_CFG.replace(prim_path="{ENV_REGEX_NS}/Robot")
    robot.spawn.articulation_props.enabled_self_collisions = False  # our primitives overlap
    return robot


def run(playing: Any, steps: int) -> None:
    for _ in range(steps):
        playing.sim.step(render=False)
    playing.scene.update(steps * DT_S)


def test_the_app_comes_first_and_on_the_main_thread(isaac_double: str) -> None:
    script = """
        import os, signal, sys, threading
        import isaaclab
        from isaaclab.utils import configclass
        for module in ("sim", "scene", "assets", "sensors", "actuators"):
            try:
                __import__(f"isaaclab.{module}")
            except ModuleNotFoundError as error:
                assert error.name == "carb", error
            else:
                raise AssertionError(module)
        from isaaclab.app import AppLauncher
        caught = []
        def launch():
            try:
                AppLauncher(headless=True, device="cpu")
            except ValueError as error:
                caught.append(str(error))
        thread = threading.Thread(target=launch)
        thread.start(); thread.join()
        assert "main thread" in caught[0], caught
    """
    again = """
        import io, os, signal, sys
        from isaaclab.app import AppLauncher
        sys.stdout = io.StringIO()
        signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
        app = AppLauncher(headless=True, device="cpu").app
        assert sys.stdout is sys.__stdout__ and app.is_running()
        os.kill(os.getpid(), signal.SIGTERM)
        assert not app.is_running(), "Isaac Sim's handler closes the app"
        os.environ["ISAAC_DOUBLE_CLOSE"] = "exit"
        try:
            raise RuntimeError("a failure")
        finally:
            app.close()
    """
    for code in (script, again):
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120)


def test_a_box_falls_as_gravity_says(play: Callable[..., Any], tmp_path: Path) -> None:
    playing = play(box=box_at(usd_files.box(tmp_path / "box.usda"), (0.0, 0.0, 2.0)))
    run(playing, 25)
    expected = 2.0 - 9.81 * DT_S**2 * 25 * 26 / 2
    data = playing.box.data
    torch.testing.assert_close(data.root_link_pos_w[:, 2], torch.full((3,), expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        data.root_link_lin_vel_w[:, 2], torch.full((3,), -9.81 * 0.1), atol=1e-4, rtol=0
    )
    apart = data.root_link_pos_w - playing.scene.env_origins
    torch.testing.assert_close(apart[:, :2], torch.zeros(3, 2))
    assert len(set(playing.scene.env_origins[:, :2].sum(dim=1).tolist())) > 1, "environments stand apart"
    assert data.root_link_pos_w.dtype == torch.float32


def test_shapes_have_the_masses_and_sizes_of_their_files(play: Callable[..., Any], tmp_path: Path) -> None:
    stage, root = usd_files.new_file(tmp_path / "shapes.usda", "shapes")
    usd_files.make_body(root)
    usd_files.shape(UsdGeom.Cube, root, "cube", scale=(0.1, 0.2, 0.3))
    usd_files.shape(UsdGeom.Cylinder, root, "rod", scale=(2, 1, 1), axis="X", radius=0.02, height=0.2)
    usd_files.shape(UsdGeom.Capsule, root, "pill", axis="Z", radius=0.02, height=0.1)
    usd_files.shape(UsdGeom.Sphere, root, "ball", scale=(0.05, 0.05, 0.05), radius=1.0)
    stage.Save()
    box = play(box=box_at(tmp_path / "shapes.usda", (0, 0, 1))).box
    volumes = [
        8 * 0.1 * 0.2 * 0.3,
        np.pi * 0.02**2 * 0.4,
        np.pi * 0.02**2 * 0.1 + 4 / 3 * np.pi * 0.02**3,
        4 / 3 * np.pi * 0.05**3,
    ]
    np.testing.assert_allclose(
        box.root_physx_view.get_masses(), 1000 * sum(volumes) * np.ones((3, 1)), rtol=1e-5
    )
    assert box.root_physx_view.get_material_properties().shape == (3, 4, 3)
    inertia = box.root_physx_view.get_inertias()[0].view(3, 3)
    rod, cube = 1000 * volumes[1], 1000 * volumes[0]
    pill_and_ball = 1000 * (volumes[2] + volumes[3]) * 0.05**2
    low = cube * (0.4**2 + 0.6**2) / 12 + rod * 0.02**2 / 2
    assert low < inertia[0, 0] < low + pill_and_ball
    assert inertia[2, 2] > cube * (0.2**2 + 0.4**2) / 12 + rod * 0.4**2 / 12


def test_a_drawer_opens_along_its_axis_and_a_door_about_its_own(
    play: Callable[..., Any], tmp_path: Path
) -> None:
    cabinet = play(cabinet=cabinet_at(tmp_path, (0.5, 0.0, 1.0))).cabinet
    limits = cabinet.data.joint_pos_limits[0]
    torch.testing.assert_close(limits, torch.tensor([[0.0, 0.3], [0.0, np.pi / 2]], dtype=torch.float32))
    before = cabinet.data.body_link_pose_w.clone()
    position = torch.tensor([0.2, np.pi / 3]).float().repeat(3, 1)
    cabinet.write_joint_state_to_sim(position, torch.zeros(3, 2))
    moved = cabinet.data.body_link_pos_w - before[..., :3]
    drawer, door, knob = (cabinet.body_names.index(name) for name in ("drawer", "door", "knob"))
    for body in (drawer, knob):
        torch.testing.assert_close(moved[:, body], torch.tensor([0.0, 0.2, 0.0]).repeat(3, 1))
    torch.testing.assert_close(moved[:, door], torch.zeros(3, 3), atol=1e-6, rtol=0)
    turned = torch.tensor([np.cos(np.pi / 6), 0.0, 0.0, np.sin(np.pi / 6)]).float().repeat(3, 1)
    torch.testing.assert_close(cabinet.data.body_link_quat_w[:, door], turned)


def test_links_and_joints_come_level_by_level(play: Callable[..., Any], tmp_path: Path) -> None:
    playing = play(cabinet=cabinet_at(tmp_path, (0.5, 0.0, 1.0)), robot=franka())
    assert playing.cabinet.body_names == ["base", "drawer", "door", "knob"], "the knob is a level deeper"
    assert playing.cabinet.joint_names == ["drawer_joint", "door_joint"]
    assert playing.robot.body_names[-3:] == ["panda_hand", "panda_leftfinger", "panda_rightfinger"]
    assert playing.robot.find_joints(["panda_finger_joint.*", "panda_joint1"])[0] == [0, 7, 8]
    found = playing.robot.find_joints(["panda_finger_joint.*", "panda_joint1"], preserve_order=True)
    assert found == ([7, 8, 0], ["panda_finger_joint1", "panda_finger_joint2", "panda_joint1"])
    with pytest.raises(ValueError, match="not_there"):
        playing.robot.find_bodies("not_there")


def test_springs_and_motors_are_those_of_file_and_config(play: Callable[..., Any], tmp_path: Path) -> None:
    """The file's drive counts degrees, the config's radians, and the config wins."""
    from isaac_physics import session

    play(
        cabinet=cabinet_at(tmp_path, (0, 0, 1), {"door": motor("door_joint", 7.0, 0.3, effort_limit_sim=2.0)})
    )
    door = session.current.world.model.actuator("/World/envs/env_0/cabinet/door_joint")
    assert (door.gainprm[0], door.biasprm[1], door.biasprm[2]) == (7.0, -7.0, -0.3)
    assert door.forcerange.tolist() == [-2.0, 2.0]
    (tmp_path / "again").mkdir()
    play(cabinet=cabinet_at(tmp_path / "again", (0, 0, 1)))
    door = session.current.world.model.actuator("/World/envs/env_0/cabinet/door_joint")
    np.testing.assert_allclose(door.gainprm[0], 0.5 * 180 / np.pi, rtol=1e-6)


def test_data_is_as_old_as_the_last_update(play: Callable[..., Any], tmp_path: Path) -> None:
    playing = play(box=box_at(usd_files.box(tmp_path / "box.usda"), (0.0, 0.0, 2.0)), robot=franka())
    before = playing.box.data.root_link_pos_w.clone(), playing.robot.data.joint_pos.clone()
    playing.robot.set_joint_position_target(torch.full((3, 9), 0.3))
    playing.scene.write_data_to_sim()
    for _ in range(10):
        playing.sim.step(render=False)
    assert torch.equal(playing.box.data.root_link_pos_w, before[0])
    assert torch.equal(playing.robot.data.joint_pos, before[1])
    playing.scene.update(10 * DT_S)
    assert (playing.box.data.root_link_pos_w[:, 2] < before[0][:, 2]).all()
    assert not torch.equal(playing.robot.data.joint_pos, before[1])


def test_targets_act_after_they_are_written(play: Callable[..., Any]) -> None:
    robot = (playing := play(robot=franka())).robot
    start = torch.tensor([[0, -0.569, 0, -2.81, 0, 3.037, 0.741, 0.04, 0.04]]).repeat(3, 1)
    robot.write_joint_state_to_sim(start, torch.zeros(3, 9))
    robot.set_joint_position_target(start)
    playing.scene.write_data_to_sim()
    robot.set_joint_position_target(start + 0.1 * (torch.arange(9) == 0))
    run(playing, 100)
    torch.testing.assert_close(robot.data.joint_pos, start, atol=1e-4, rtol=0)
    playing.scene.write_data_to_sim()
    run(playing, 250)
    torch.testing.assert_close(robot.data.joint_pos[:, 0], start[:, 0] + 0.1, atol=0.005, rtol=0)


def test_contact_forces_are_normal_mutual_and_only_of_what_reports_them(
    play: Callable[..., Any], tmp_path: Path
) -> None:
    from isaaclab.sensors import ContactSensorCfg

    file = usd_files.box(tmp_path / "box.usda")
    paths = {name: f"{{ENV_REGEX_NS}}/{name}" for name in ("low", "high")}
    playing = play(
        ground=ground(),
        low=box_at(file, (0, 0, 0.05), "low", sensed=True),
        high=box_at(file, (0.01, 0, 0.15), "high", sensed=True),
        under=ContactSensorCfg(prim_path=paths["low"], filter_prim_paths_expr=[paths["high"]]),
        over=ContactSensorCfg(prim_path=paths["high"], filter_prim_paths_expr=[paths["low"]]),
    )
    run(playing, 200)
    weight = torch.tensor([0.0, 0.0, 0.5 * 9.81]).repeat(3, 1)
    under, over = playing.under.data, playing.over.data
    torch.testing.assert_close(over.net_forces_w[:, 0], weight, atol=1e-3, rtol=0)
    torch.testing.assert_close(over.force_matrix_w[:, 0, 0], weight, atol=1e-3, rtol=0)
    torch.testing.assert_close(under.force_matrix_w[:, 0, 0], -weight, atol=1e-3, rtol=0)
    torch.testing.assert_close(under.net_forces_w[:, 0], weight, atol=1e-3, rtol=0)
    playing.high.write_root_pose_to_sim(torch.tensor([[0.0, 0, 5, 1, 0, 0, 0]]), torch.tensor([1]))
    playing.scene.reset(torch.tensor([1]))
    assert playing.over._data.net_forces_w[1].abs().max() == 0
    torch.testing.assert_close(playing.over.data.net_forces_w[1, 0], weight[1], atol=1e-3, rtol=0)
    run(playing, 1)
    assert playing.over.data.net_forces_w[:, 0, 2].gt(1).tolist() == [True, False, True]
    with pytest.raises(RuntimeError, match="contact reporter"):
        play(low=box_at(file, (0, 0, 0.05), "low"), under=ContactSensorCfg(prim_path=paths["low"]))


def test_filters_are_for_one_body_against_one(play: Callable[..., Any], tmp_path: Path) -> None:
    from isaaclab.sensors import ContactSensorCfg

    file, robot = usd_files.box(tmp_path / "box.usda"), franka()
    robot.spawn.activate_contact_sensors = True
    fingers, box = "{ENV_REGEX_NS}/Robot/panda_.*finger", "{ENV_REGEX_NS}/box"
    things = {"robot": robot, "box": box_at(file, (0, 0, 3))}
    touch = play(**things, touch=ContactSensorCfg(prim_path=fingers)).touch
    assert touch.body_names == ["panda_leftfinger", "panda_rightfinger"]
    assert touch.data.net_forces_w.shape == (3, 2, 3) and touch.data.force_matrix_w is None
    with pytest.raises(ValueError, match="one body"):
        play(**things, touch=ContactSensorCfg(prim_path=fingers, filter_prim_paths_expr=[box]))
    for none_or_many in ("{ENV_REGEX_NS}/nothing", "{ENV_REGEX_NS}/Robot/.*"):
        sensor = ContactSensorCfg(
            prim_path="{ENV_REGEX_NS}/Robot/panda_hand", filter_prim_paths_expr=[none_or_many]
        )
        with pytest.raises(ValueError, match="one rigid body"):
            play(**things, touch=sensor)


def test_writers_change_the_rows_they_are_given(play: Callable[..., Any], tmp_path: Path) -> None:
    file = usd_files.box(tmp_path / "box.usda")
    playing = play(box=box_at(file, (0.0, 0.0, 2.0)), robot=franka())
    pose = torch.tensor([[1.0, 2.0, 3.0, 0.0, 1.0, 0.0, 0.0]])
    before = playing.box.data.root_link_pose_w.clone()
    playing.box.write_root_pose_to_sim(pose, env_ids=torch.tensor([2]))
    run(playing, 0)
    assert torch.equal(playing.box.data.root_link_pose_w[:2], before[:2])
    playing.scene.update(DT_S)
    torch.testing.assert_close(playing.box.data.root_link_pose_w[2:], pose)
    playing.robot.write_joint_state_to_sim(
        torch.full((1, 2), 0.02), torch.zeros(1, 2), joint_ids=[7, 8], env_ids=torch.tensor([1])
    )
    playing.scene.update(DT_S)
    expected = torch.zeros(3, 9)
    expected[1, 7:] = 0.02
    torch.testing.assert_close(playing.robot.data.joint_pos, expected)
    with pytest.raises(TypeError, match="tensor"):
        playing.box.write_root_pose_to_sim(pose, env_ids=[2])
    with pytest.raises(TypeError):
        playing.robot.set_joint_position_target(torch.zeros(1, 2), joint_ids=[7, 8], env_ids=[1])


def test_written_velocities_are_of_the_centre_of_mass(play: Callable[..., Any], tmp_path: Path) -> None:
    file = usd_files.box(tmp_path / "box.usda", offset=(0.2, 0.0, 0.0))
    playing = play(box=box_at(file, (0.0, 0.0, 2.0)))
    data = playing.box.data
    assert data.root_link_lin_vel_w.abs().max() == 0
    playing.box.write_root_velocity_to_sim(torch.tensor([[0.0, 0, 0, 0, 0, 3.0]]).repeat(3, 1))
    assert data.root_link_lin_vel_w.abs().max() == 0, "computed once per update"
    playing.scene.update(DT_S)
    torch.testing.assert_close(data.root_com_lin_vel_w, torch.zeros(3, 3))
    torch.testing.assert_close(data.root_link_lin_vel_w, torch.tensor([0.0, -0.6, 0.0]).repeat(3, 1))
    torch.testing.assert_close(data.root_link_ang_vel_w, torch.tensor([0.0, 0.0, 3.0]).repeat(3, 1))


def test_jacobians_are_of_centres_of_mass_without_the_root(play: Callable[..., Any], tmp_path: Path) -> None:
    playing = play(robot=franka(), cabinet=cabinet_at(tmp_path, (1.0, 0.0, 0.5)))
    for thing, rows in ((playing.robot, 10), (playing.cabinet, 3)):
        position, velocity = torch.rand(2, 3, thing.num_joints) * 0.02 + 0.01
        thing.write_joint_state_to_sim(position, velocity)
        assert thing.data.body_com_lin_vel_w.abs().max() == 0, "kinematics are redone when poses are read"
        thing.write_joint_state_to_sim(position, velocity)
        thing.data.body_link_pos_w  # noqa: B018
        jacobian = thing.root_physx_view.get_jacobians()
        assert jacobian.shape == (3, rows, 6, thing.num_joints) and thing.is_fixed_base
        twist = (jacobian @ velocity[:, None, :, None]).squeeze(3)
        torch.testing.assert_close(twist[..., :3], thing.data.body_com_lin_vel_w[:, 1:], atol=1e-6, rtol=0)
        torch.testing.assert_close(twist[..., 3:], thing.data.body_com_ang_vel_w[:, 1:], atol=1e-6, rtol=0)
    data, hand = playing.robot.data, playing.robot.body_names.index("panda_hand")
    lever = data.body_link_pos_w - data.body_com_pos_w
    expected = data.body_com_lin_vel_w + torch.linalg.cross(data.body_com_ang_vel_w, lever)
    torch.testing.assert_close(data.body_link_lin_vel_w, expected, atol=1e-6, rtol=0)
    assert not torch.allclose(data.body_link_lin_vel_w[:, hand], data.body_com_lin_vel_w[:, hand], atol=1e-5)


def test_masses_and_friction_differ_between_environments(play: Callable[..., Any], tmp_path: Path) -> None:
    from isaaclab.sensors import ContactSensorCfg

    file = usd_files.box(tmp_path / "box.usda")
    playing = play(
        ground=ground(),
        box=box_at(file, (0, 0, 0.05), sensed=True),
        touch=ContactSensorCfg(prim_path="{ENV_REGEX_NS}/box"),
    )
    view, only = playing.box.root_physx_view, torch.tensor([1])
    view.set_masses(view.get_masses() * 2, only)
    view.set_inertias(view.get_inertias() * 2, only)
    assert view.get_masses().flatten().tolist() == [0.5, 1.0, 0.5]
    torch.testing.assert_close(view.get_inertias()[1], view.get_inertias()[0] * 2)
    run(playing, 200)
    torch.testing.assert_close(
        playing.touch.data.net_forces_w[:, 0, 2], torch.tensor([4.905, 9.81, 4.905]), atol=1e-3, rtol=0
    )
    rough = view.get_material_properties()
    rough[:, :, :2] = 0.9
    view.set_material_properties(rough, torch.tensor([2]))
    start = playing.box.data.root_link_pos_w[:, 0].clone()
    playing.box.write_root_velocity_to_sim(torch.tensor([[1.0, 0, 0, 0, 0, 0]]).repeat(3, 1))
    run(playing, 300)
    slid = playing.box.data.root_link_pos_w[:, 0] - start
    torch.testing.assert_close(slid, 1 / (2 * 9.81 * torch.tensor([0.5, 0.5, 0.9])), rtol=0.1, atol=0)


def test_of_two_written_materials_the_average_counts(play: Callable[..., Any], tmp_path: Path) -> None:
    """PhysX gives a material that is written the mode "average", whatever it was."""
    file = usd_files.box(tmp_path / "box.usda")
    slab = usd_files.box(tmp_path / "slab.usda", mass=500.0, size=1.0)
    playing = play(
        ground=ground(), low=box_at(slab, (0, 0, 0.5), "low"), high=box_at(file, (0, 0, 1.05), "high")
    )
    for thing, friction, envs in ((playing.high, 0.9, [1, 2]), (playing.low, 0.3, [2])):
        view = thing.root_physx_view
        materials = view.get_material_properties()
        materials[:, :, :2] = friction
        view.set_material_properties(materials, torch.tensor(envs))
    playing.high.write_root_velocity_to_sim(torch.tensor([[1.0, 0, 0, 0, 0, 0]]).repeat(3, 1))
    before = playing.high.data.root_link_pos_w[:, 0].clone()
    run(playing, 150)
    slid = playing.high.data.root_link_pos_w[:, 0] - before
    torch.testing.assert_close(slid, 1 / (2 * 9.81 * torch.tensor([0.5, 0.9, 0.6])), rtol=0.1, atol=0)


def test_a_joint_that_a_dict_leaves_out_gets_zero(play: Callable[..., Any], tmp_path: Path) -> None:
    """So a limit of the speed of one joint freezes the others of its group."""
    motors = motor(".*", 500.0, 10.0, velocity_limit_sim={"door_joint": 1.0})
    playing = play(cabinet=cabinet_at(tmp_path, (0.5, 0.0, 1.0), {"all": motors}))
    cabinet = playing.cabinet
    cabinet.set_joint_position_target(torch.tensor([[0.2, 1.5]]).repeat(3, 1))
    playing.scene.write_data_to_sim()
    run(playing, 100)
    drawer, door = cabinet.data.joint_pos.T
    torch.testing.assert_close(drawer, torch.zeros(3))
    torch.testing.assert_close(door, torch.full((3,), 0.4), atol=0.05, rtol=0)
    torch.testing.assert_close(cabinet.data.joint_vel, torch.tensor([[0.0, 1.0]]).repeat(3, 1))


def test_one_simulation_at_a_time_whose_stage_outlives_it(play: Callable[..., Any], tmp_path: Path) -> None:
    import isaaclab.sim as sim_utils
    from isaaclab.assets import RigidObject
    from isaaclab.scene import InteractiveScene, InteractiveSceneCfg

    box = box_at(usd_files.box(tmp_path / "box.usda"), (0.0, 0.0, 2.0))
    playing = play(box=box)
    cfg = sim_utils.SimulationCfg(device="cpu")
    with pytest.raises(RuntimeError, match="clear_instance"):
        sim_utils.SimulationContext(cfg)
    playing.sim.clear_instance()
    with pytest.raises(RuntimeError, match="SimulationContext"):
        InteractiveScene(InteractiveSceneCfg(num_envs=1, env_spacing=1.0))
    sim_utils.SimulationContext(cfg)
    with pytest.raises(RuntimeError, match="already exists"):
        RigidObject(box)
    sim_utils.create_new_stage()
    with pytest.raises(AttributeError):
        RigidObject(box).data  # noqa: B018  there is none before reset()


def test_configs_are_complete_copied_and_within_limits(play: Callable[..., Any], tmp_path: Path) -> None:
    from isaaclab.assets import ArticulationCfg, RigidObjectCfg
    from isaaclab.sim import RigidBodyPropertiesCfg, UsdFileCfg

    with pytest.raises(TypeError, match="usd_path"):
        play(box=RigidObjectCfg(prim_path="{ENV_REGEX_NS}/box", spawn=UsdFileCfg()))
    properties = RigidBodyPropertiesCfg(disable_gravity=True)
    spawn = UsdFileCfg(usd_path=usd_files.box(tmp_path / "box.usda"), rigid_props=properties)
    properties.disable_gravity = False
    box = RigidObjectCfg(prim_path="{ENV_REGEX_NS}/box", spawn=spawn)
    playing = play(box=box)
    run(playing, 10)
    assert playing.box.data.root_link_pos_w[:, 2].abs().max() == 0, "no gravity, as when the config was made"
    robot = franka().replace(init_state=ArticulationCfg.InitialStateCfg())
    with pytest.raises(ValueError, match="panda_joint4"):
        play(robot=robot)


def test_a_camera_shows_the_last_render(play: Callable[..., Any], tmp_path: Path) -> None:
    from isaaclab.sensors import CameraCfg
    from isaaclab.sim import PinholeCameraCfg

    playing = play(
        box=box_at(usd_files.box(tmp_path / "box.usda"), (0.0, 0.0, 0.5)),
        camera=CameraCfg(prim_path="/World/camera", width=40, height=30, spawn=PinholeCameraCfg()),
    )
    at = playing.scene.env_origins[:1] + torch.tensor([0.0, 0.0, 0.5])
    playing.camera.set_world_poses_from_view(at + torch.tensor([0.6, 0.0, 0.2]), at)
    playing.camera.update(DT_S)
    assert playing.camera.data.output["rgb"].max() == 0
    playing.sim.render()
    playing.camera.update(DT_S)
    picture = playing.camera.data.output["rgb"].clone()
    assert picture.shape == (1, 30, 40, 3) and picture.dtype == torch.uint8
    assert not torch.equal(picture[0, 15, 20], picture[0, 0, 0]), "the box is in the middle"
    run(playing, 100)
    playing.sim.render()
    playing.camera.update(DT_S)
    assert torch.equal(playing.camera.data.output["rgb"][0, 15, 20], picture[0, 0, 0]), "it has fallen"


def test_a_mesh_is_its_convex_hull(play: Callable[..., Any], tmp_path: Path) -> None:
    stage, root = usd_files.new_file(tmp_path / "mesh.usda", "mesh")
    corners = [(x, y, z) for x in (0.0, 0.1) for y in (0.0, 0.2) for z in (0.0, 0.3)]
    usd_files.shape(UsdGeom.Mesh, usd_files.make_body(root), "mesh", (0, 0, 0.1), points=corners)
    stage.Save()
    box = (playing := play(ground=ground(), box=box_at(tmp_path / "mesh.usda", (0, 0, 0)))).box
    assert box.root_physx_view.get_masses()[0].item() == pytest.approx(1000 * 0.1 * 0.2 * 0.3, rel=1e-5)
    run(playing, 300)
    torch.testing.assert_close(box.data.root_link_pos_w[:, 2], torch.full((3,), -0.1), atol=1e-3, rtol=0)


def test_a_ground_may_be_a_file_of_ones_own(play: Callable[..., Any], tmp_path: Path) -> None:
    from isaaclab.assets import AssetBaseCfg
    from isaaclab.sim import UsdFileCfg

    stage, root = usd_files.new_file(tmp_path / "ground.usda", "ground")
    usd_files.shape(UsdGeom.Plane, root, "plane", (0, 0, 0.1), axis="Z")
    stage.Save()
    spawn = UsdFileCfg(usd_path=str(tmp_path / "ground.usda"))
    playing = play(
        ground=AssetBaseCfg(prim_path="/World/ground", spawn=spawn),
        box=box_at(usd_files.box(tmp_path / "box.usda"), (0, 0, 0.3)),
    )
    run(playing, 300)
    torch.testing.assert_close(
        playing.box.data.root_link_pos_w[:, 2], torch.full((3,), 0.15), atol=1e-3, rtol=0
    )
    spawn.usd_path = usd_files.box(tmp_path / "shared.usda")
    with pytest.raises(ValueError, match="planes only"):
        play(ground=AssetBaseCfg(prim_path="/World/ground", spawn=spawn))


def test_what_the_double_cannot_is_refused(play: Callable[..., Any], tmp_path: Path) -> None:
    stage, root = usd_files.new_file(tmp_path / "mesh.usda", "mesh")
    usd_files.shape(UsdGeom.Cone, usd_files.make_body(root), "cone")
    stage.Save()
    with pytest.raises(ValueError, match="Cone"):
        play(box=box_at(tmp_path / "mesh.usda", (0, 0, 1)))
    loose, root = usd_files.new_file(tmp_path / "loose.usda", "loose")
    UsdPhysics.ArticulationRootAPI.Apply(root)
    base, other = usd_files.link(root, "base"), usd_files.link(root, "other", (0, 0, 1))
    usd_files.join(UsdPhysics.RevoluteJoint, "joint", base, other, (0, 0, 1))
    loose.Save()
    cabinet = cabinet_at(tmp_path, (0, 0, 1))
    cabinet.spawn.usd_path = str(tmp_path / "loose.usda")
    with pytest.raises(RuntimeError, match="fixed joint"):
        play(cabinet=cabinet)
