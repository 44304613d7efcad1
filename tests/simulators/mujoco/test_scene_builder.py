"""The compiled model: order of joints, sensors, who touches whom, what furniture is made of."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import lru_cache

import mujoco
import numpy as np
import pytest

from blueprint_tune.config.policy_schema import RoleConfig
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.task_terms import TaskTerms
from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.mujoco.fixtures import BUTTON_AT, BUTTON_N, HANDLE_MASS_KG
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene, compile_scene
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.spec import TaskSpec, bind_task, catalog

Compose = Callable[..., ExperimentConfig]
PICK, DRAWER, DOOR = (
    ("policy=dexterous_pick_place",),
    ("policy=drawer_manipulation",),
    ("policy=drawer_manipulation", "policy.roles.target.joint=revolute"),
)
KNOB = ("policy=knob_manipulation",)
BUTTON = (*KNOB, "policy.roles.target.joint=prismatic", "policy.roles.target.categories=[button]")


@lru_cache(maxsize=8)
def _bound(config: Compose, overrides: tuple[str, ...]) -> tuple[TaskSpec, CompiledScene]:
    settings = config(*overrides)
    task = bind_task(settings)
    names = catalog(task)
    TaskTerms.bind(settings.policy, names)
    return task, compile_scene(task, names)


@pytest.fixture
def bound(config: Compose) -> Callable[[tuple[str, ...]], tuple[TaskSpec, CompiledScene]]:
    return lambda overrides: _bound(config, overrides)


def forward(compiled: CompiledScene, **qpos: float) -> mujoco.MjData:
    data = mujoco.MjData(compiled.model)
    for name, value in qpos.items():
        data.joint(name).qpos[0] = value
    mujoco.mj_forward(compiled.model, data)
    return data


def touching(model: mujoco.MjModel, first: int, second: int) -> bool:
    """MuJoCo's filter: may these geoms collide?"""
    types, affinities = model.geom_contype, model.geom_conaffinity
    return bool((types[first] & affinities[second]) | (types[second] & affinities[first]))


def geoms(model: mujoco.MjModel, prefix: str) -> list[int]:
    """Of bodies whose name begins with ``prefix``, or world geoms of that very name."""
    bodies = {b for b in range(model.nbody) if b and model.body(b).name.startswith(prefix)}
    return [g for g in range(model.ngeom) if model.geom_bodyid[g] in bodies or model.geom(g).name == prefix]


@pytest.mark.parametrize("overrides", [PICK, DRAWER, DOOR])
def test_joints_are_robot_then_fixtures_then_free_bodies(bound, overrides: tuple[str, ...]) -> None:
    task, compiled = bound(overrides)
    model = compiled.model
    names = [model.joint(j).name for j in range(model.njnt)]
    robot = [*task.robot.chain, *task.robot.hand.joints]
    fixtures = [f"{entity.id}_joint" for entity in task.jointed]
    assert names == [*robot, *fixtures, *(f"{entity.id}_free" for entity in task.free)]
    assert compiled.robot_joints == tuple(robot) and compiled.fixture_joints == tuple(fixtures)
    assert model.jnt_qposadr[: len(robot) + len(fixtures)].tolist() == list(range(len(robot) + len(fixtures)))
    assert [model.actuator(a).name for a in range(model.nu)] == robot
    assert compiled.free_bodies == tuple(entity.id for entity in task.free)


@pytest.mark.parametrize("overrides", [PICK, DRAWER, DOOR])
def test_sensors_are_frames_then_contacts(bound, overrides: tuple[str, ...]) -> None:
    task, compiled = bound(overrides)
    names, data = catalog(task), forward(compiled)
    TaskTerms.bind(task.policy, names)
    count = len(names.frames)
    assert compiled.layout.size == len(data.sensordata) == 13 * count + 3 * len(names.contacts)
    positions = data.sensordata[: 3 * count].reshape(count, 3)
    quats = data.sensordata[3 * count : 7 * count].reshape(count, 4)
    np.testing.assert_allclose(positions[0], data.site("ee").xpos)
    target = task.roles["target"]
    np.testing.assert_allclose(positions[1], target.position, atol=1e-9)
    np.testing.assert_allclose(quats[1], target.quat, atol=1e-9)
    if target.handle is not None:
        np.testing.assert_allclose(positions[2], target.handle_position, atol=1e-9)


def test_the_robot_touches_everything_but_itself(bound) -> None:
    for overrides in (PICK, DRAWER, DOOR):
        task, compiled = bound(overrides)
        model, robot = compiled.model, geoms(compiled.model, "panda_")
        assert not any(touching(model, a, b) for a in robot for b in robot)
        for entity in (*task.static, *task.free, *task.jointed):
            for geom in geoms(model, entity.id):
                assert all(touching(model, geom, a) for a in robot), entity.id
        assert all(touching(model, model.geom("floor").id, a) for a in robot)


def test_furniture_does_not_touch_the_furniture_it_sits_in(bound) -> None:
    for overrides in (DRAWER, DOOR):
        task, compiled = bound(overrides)
        model, fixture = compiled.model, geoms(compiled.model, task.jointed[0].id)
        assert fixture
        fixed = [g for entity in task.static for g in geoms(model, entity.id)] + [model.geom("floor").id]
        assert not any(touching(model, a, b) for a in fixture for b in [*fixture, *fixed])


def test_free_bodies_touch_each_other_and_all_that_is_in_reach(bound) -> None:
    task, compiled = bound(PICK)
    model, tin = compiled.model, geoms(compiled.model, task.free[0].id)
    assert touching(model, tin[0], tin[0]) and touching(model, tin[0], model.geom("floor").id)
    for entity in task.static:
        assert all(touching(model, geom, tin[0]) for geom in geoms(model, entity.id))


def test_what_is_out_of_reach_costs_no_contact(bound) -> None:
    task, compiled = bound(PICK)
    model = compiled.model
    assert len(task.pruned) > 25
    for entity in task.pruned:
        for geom in geoms(model, entity.id):
            assert not any(touching(model, geom, other) for other in range(model.ngeom)), entity.id
    names = catalog(task)
    lean = compile_scene(replace(task, pruned=()), names)
    assert lean.model.ngeom < model.ngeom
    counts = []
    for each in (compiled.model, lean.model):
        data = mujoco.MjData(each)
        mujoco.mj_step(each, data, nstep=20)
        counts.append(data.ncon)
    assert counts[0] == counts[1] and 1 <= counts[0] <= 8, "the tin on its table"


def test_objects_weigh_and_stand_as_the_scene_says(bound) -> None:
    task, compiled = bound(PICK)
    tin, body = task.free[0], compiled.model.body(task.free[0].id)
    assert body.mass[0] == pytest.approx(tin.mass_kg)
    geom = compiled.model.geom(compiled.free_geoms[0][0])
    np.testing.assert_allclose(2 * geom.size, tin.size)
    assert geom.friction[0] == pytest.approx(tin.friction)
    np.testing.assert_allclose(forward(compiled).body(tin.id).xpos, tin.position)


@pytest.mark.parametrize("overrides", [DRAWER, DOOR])
def test_the_moving_part_fills_its_box_and_weighs_its_share(bound, overrides: tuple[str, ...]) -> None:
    task, compiled = bound(overrides)
    entity, model = task.jointed[0], compiled.model
    joint, body = entity.joint, model.body(entity.id)
    assert body.mass[0] == pytest.approx(entity.moving_mass_kg)
    assert model.body(f"{entity.id}_handle").mass[0] == pytest.approx(HANDLE_MASS_KG)
    parts = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body.id]
    low = np.min([model.geom_pos[g] - model.geom_size[g] for g in parts], axis=0)
    high = np.max([model.geom_pos[g] + model.geom_size[g] for g in parts], axis=0)
    np.testing.assert_allclose((low + high) / 2, joint.moving.center, atol=1e-9)
    np.testing.assert_allclose(high - low, joint.moving.size, atol=1e-9)
    volume = sum(8 * np.prod(model.geom_size[g]) for g in parts)
    assert volume <= np.prod(joint.moving.size) * (0.6 if joint.kind == "prismatic" else 1.001)


def test_a_drawer_is_open_at_the_top_and_closed_elsewhere(bound) -> None:
    task, compiled = bound(DRAWER)
    entity, data = task.jointed[0], forward(compiled)
    centre, size = entity.to_scene(entity.joint.moving.center), entity.joint.moving.size
    body, found = compiled.model.body(entity.id).id, np.zeros(1, dtype=np.int32)

    def hits(direction: np.ndarray) -> bool:
        """Does a ray from the middle meet the drawer before it leaves its box?"""
        distance = mujoco.mj_ray(compiled.model, data, centre, direction, None, 1, -1, found)
        met = found[0] >= 0 and compiled.model.geom_bodyid[found[0]] == body
        return bool(met and 0 < distance < size.max())

    for axis in (entity.rotation[:, 0], entity.rotation[:, 1]):
        assert hits(axis) and hits(-axis)
    assert hits(np.array([0.0, 0.0, -1.0])) and not hits(np.array([0.0, 0.0, 1.0]))


def test_the_handle_is_a_bar_before_the_face_that_opens(bound) -> None:
    for overrides in (DRAWER, DOOR):
        task, compiled = bound(overrides)
        entity, model, data = task.jointed[0], compiled.model, forward(compiled)
        handle = entity.handle
        bar, *posts = (
            g for g in range(model.ngeom) if model.geom_bodyid[g] == model.body(f"{entity.id}_handle").id
        )
        np.testing.assert_allclose(data.geom_xpos[bar], entity.handle_position, atol=1e-9)
        assert 2 * model.geom_size[bar, 1] == pytest.approx(handle.length_m)
        along = data.geom_xmat[bar].reshape(3, 3)[:, 2]
        assert abs(along @ entity.rotation @ handle.along) == pytest.approx(1.0)
        reach = [(data.geom_xpos[p] - entity.handle_position) @ entity.grip_outward for p in posts]
        np.testing.assert_allclose(reach, -handle.standoff_m / 2, atol=1e-6)


def test_a_knob_is_a_disc_with_a_bar_that_turns_with_it(bound) -> None:
    task, compiled = bound(KNOB)
    entity, model = task.jointed[0], compiled.model
    assert entity.handle is None
    disc, bar = (g for g in range(model.ngeom) if model.geom_bodyid[g] == model.body(entity.id).id)
    width, depth, height = entity.size
    np.testing.assert_allclose(2 * model.geom_size[bar], [0.3 * width, depth, height])
    for angle in (0.0, np.pi / 2, np.pi):
        data = forward(compiled, **{f"{entity.id}_joint": angle})
        upright = data.geom_xmat[bar].reshape(3, 3)[:, 2]
        assert upright[2] == pytest.approx(np.cos(angle), abs=1e-9)
        behind = (data.geom_xpos[disc] - data.geom_xpos[bar]) @ entity.grip_outward
        assert behind == pytest.approx(-0.35 * depth), "the disc lies against the panel, the bar stands out"
        assert model.body_mass[model.body(entity.id).id] == pytest.approx(entity.moving_mass_kg)
        assert not any(entity.id in model.body(model.geom_bodyid[c.geom1]).name for c in data.contact)


def test_a_button_is_a_block_that_moves_in(bound) -> None:
    task, compiled = bound(BUTTON)
    entity, model = task.jointed[0], compiled.model
    (block,) = (g for g in range(model.ngeom) if model.geom_bodyid[g] == model.body(entity.id).id)
    np.testing.assert_allclose(2 * model.geom_size[block], entity.size)
    travel = model.joint(f"{entity.id}_joint").range[1]
    out, pressed = (forward(compiled, **{f"{entity.id}_joint": p}).geom_xpos[block] for p in (0.0, travel))
    assert travel > 0 and (pressed - out) @ entity.grip_outward == pytest.approx(-travel)


@pytest.mark.parametrize("dt_s", [0.002, 0.008])
def test_a_button_returns_and_takes_newtons_to_press(bound, dt_s: float) -> None:
    task, compiled = bound(BUTTON)
    model, name = copy(compiled.model), task.jointed[0].id
    model.opt.timestep = dt_s
    data = mujoco.MjData(model)
    joint, travel = data.joint(f"{name}_joint"), model.joint(f"{name}_joint").range[1]

    def after(force_n: float) -> float:
        """Share of its travel half a second later."""
        joint.qfrc_applied[0] = force_n
        mujoco.mj_step(model, data, nstep=round(0.5 / dt_s))
        return float(joint.qpos[0] / travel)

    assert abs(after(0.3)) < 0.03, "a touch does not press it"
    assert after(BUTTON_N - 0.3) < BUTTON_AT < after(BUTTON_N + 0.3) < 1.0
    assert after(5.0) == pytest.approx(1.0, abs=0.05)
    assert abs(after(0.0)) < 0.03, "released, it comes back"
    assert abs(joint.qvel[0]) < 1e-6


def test_physics_is_that_of_the_profile(bound, config: Compose) -> None:
    option, physics = bound(PICK)[1].model.opt, config().physics
    assert option.timestep == physics.dt_s and option.impratio == physics.impratio
    assert option.iterations == physics.solver_iterations
    assert option.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
    assert option.disableflags & mujoco.mjtDisableBit.mjDSBL_AUTORESET
    np.testing.assert_allclose(option.gravity, [0, 0, -9.81])
    fine = _bound(config, (*PICK, "physics=manipulation_contact_rich"))[1].model.opt
    assert fine.timestep == 0.004 and fine.iterations == 32


def test_the_robot_stands_where_the_task_puts_it(bound) -> None:
    task, compiled = bound(PICK)
    base = forward(compiled).body("panda_link0")
    x, y, z, yaw = task.robot_base
    np.testing.assert_allclose(base.xpos, [x, y, z])
    np.testing.assert_allclose(base.xmat.reshape(3, 3)[:, 0], [np.cos(yaw), np.sin(yaw), 0.0], atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": "nowhere.xml"}, "robot 'franka': cannot read its model"),
        ({"base_body": "panda_link00"}, "has no body 'panda_link00'. Did you mean 'panda_link0'?"),
        (
            {"arm_joints": ["panda_joint1", "panda_jiont2"]},
            "has no joint 'panda_jiont2'. Did you mean 'panda_joint2'?",
        ),
        (
            {"arm_joints": ["panda_joint2", "panda_joint1"]},
            "its actuators must drive panda_joint2, panda_joint1,",
        ),
        ({"ee_site": "tip"}, "has no site 'tip' for its end effector. Available: ee."),
    ],
)
def test_a_robot_that_is_not_what_its_config_says_is_refused(
    bound, changes: dict[str, object], says: str
) -> None:
    task, _ = bound(PICK)
    with pytest.raises(SimulatorError) as caught:
        compile_scene(replace(task, robot=replace(task.robot, **changes)), catalog(task))
    assert says in str(caught.value)


def test_a_container_s_frame_is_its_region(bound) -> None:
    task, _ = bound(PICK)
    turned = np.array([np.cos(0.3), 0.0, 0.0, np.sin(0.3)])
    at = task.roles["target"].position + 0.3 * np.eye(3)[1]
    tote = replace(
        task.roles["target"],
        id="tote",
        position=at,
        quat=turned,
        size=np.array([0.4, 0.3, 0.2]),
        shape="bin",
        movable=False,
    )
    policy = replace(task.policy, roles={**task.policy.roles, "bin": RoleConfig(kind="region")})
    with_bin = replace(task, policy=policy, roles={**task.roles, "bin": tote}, static=(*task.static, tote))
    names = catalog(with_bin)
    compiled = compile_scene(with_bin, names)
    data, count = forward(compiled), len(names.frames)
    positions = data.sensordata[: 3 * count].reshape(count, 3)
    quats = data.sensordata[3 * count : 7 * count].reshape(count, 4)
    frame = names.frames.index("bin")
    np.testing.assert_allclose(data.body("tote").xpos, at)
    np.testing.assert_allclose(positions[frame], tote.to_scene(region(tote).center), atol=1e-9)
    np.testing.assert_allclose(quats[frame], turned, atol=1e-9)
    walls = geoms(compiled.model, "tote")
    assert len(walls) == 5
    tin = compiled.free_geoms[0][0]
    assert all(touching(compiled.model, wall, tin) for wall in walls)
    assert not any(touching(compiled.model, wall, other) for wall in walls for other in walls)


def test_every_geom_of_a_carried_dish_belongs_to_it(bound) -> None:
    task, _ = bound(PICK)
    mug = next(entity for entity in task.scene.entities if entity.category == "mug")
    free = (*task.free, mug)
    static = tuple(entity for entity in task.static if entity.id != mug.id)
    compiled = compile_scene(replace(task, free=free, static=static, pruned=()), catalog(task))
    model = compiled.model
    assert [len(found) for found in compiled.free_geoms] == [1, 10]
    owners = {model.body(model.geom_bodyid[g]).name for g in compiled.free_geoms[1]}
    assert owners == {mug.id} and model.body(mug.id).mass[0] == pytest.approx(mug.mass_kg)
