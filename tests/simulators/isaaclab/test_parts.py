"""What the backend works out before Isaac Lab is asked: quaternions' order, sensors, physics settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.validate import apply_overrides
from blueprint_tune.errors import ConfigError, SimulatorError
from blueprint_tune.mdp.state import ContactRequest
from blueprint_tune.simulators.isaaclab.contacts import plan_contacts
from blueprint_tune.simulators.isaaclab.quaternions import QuaternionOrder, scalar_first
from blueprint_tune.tasks.asked import ask
from blueprint_tune.tasks.spec import bind_task

Config = Callable[..., ExperimentConfig]
CHECKOUT = Path(__file__).parents[3]


@pytest.mark.parametrize(("version", "first"), [("2.3.2", True), ("2.3.2.post1", True), ("3.0.0", False)])
def test_quaternions_change_their_order_with_version_3(version: str, first: bool) -> None:
    assert scalar_first(version) is first
    order, ours = QuaternionOrder(first), torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    theirs = order.theirs(ours)
    expected = [0.1, 0.2, 0.3, 0.4] if first else [0.2, 0.3, 0.4, 0.1]
    torch.testing.assert_close(theirs, torch.tensor([expected]))
    torch.testing.assert_close(order.ours(theirs), ours)
    assert order.tuple_of((0.1, 0.2, 0.3, 0.4)) == pytest.approx(tuple(expected))


def test_each_body_asked_about_has_one_sensor() -> None:
    requests = [
        ContactRequest("left", "mug"),
        ContactRequest("right", "mug"),
        ContactRequest("left", None),
        ContactRequest("left", "plate"),
        ContactRequest("hand", None),
    ]
    plan = plan_contacts(requests)
    assert plan.sensors == {"left": ("mug", "plate"), "right": ("mug",), "hand": ()}
    assert plan.columns == (("left", 0), ("right", 0), ("left", None), ("left", 1), ("hand", None))


def test_the_profile_reaches_physx(config: Config, launched: None) -> None:
    from blueprint_tune.simulators.isaaclab.scene_cfg import simulation_cfg

    settings = config("backend=isaaclab")
    physics = replace(settings.physics, solver_type="PGS", solver_iterations=12)
    found = simulation_cfg(physics, settings.backend, 4096)
    assert found.dt == 0.008 and found.gravity == (0.0, 0.0, -9.81) and found.device == "cuda:0"
    physx = found.physx
    assert physx.solver_type == 0
    assert (physx.min_position_iteration_count, physx.max_position_iteration_count) == (12, 12)
    assert (physx.min_velocity_iteration_count, physx.max_velocity_iteration_count) == (3, 3)
    assert physx.bounce_threshold_velocity == 0.5 and physx.friction_offset_threshold == 0.04
    assert physx.friction_correlation_distance == 0.025
    assert physx.gpu_max_rigid_patch_count == 128 * 4096
    assert physx.enable_stabilization is False, "it falsifies contact forces"
    wanted = replace(settings.backend, ignores=[])
    assert simulation_cfg(physics, wanted, 4).physx.enable_stabilization is True
    most = replace(physics, solver_iterations=1000, solver_type="TGS")
    limits = simulation_cfg(most, settings.backend, 4).physx
    assert limits.max_position_iteration_count == 255 and limits.max_velocity_iteration_count == 4
    assert limits.solver_type == 1


def test_bodies_get_the_rest_of_the_profile(config: Config, launched: None) -> None:
    from blueprint_tune.simulators.isaaclab.scene_cfg import _from_usd

    physics = config("backend=isaaclab").physics
    spawn = _from_usd("x.usda", physics, felt=True, articulated=True, weightless=True)
    assert spawn.activate_contact_sensors and spawn.rigid_props.disable_gravity
    assert spawn.rigid_props.enable_gyroscopic_forces is True
    assert spawn.rigid_props.solver_position_iteration_count == 16
    assert spawn.articulation_props.solver_velocity_iteration_count == 4
    assert spawn.articulation_props.enabled_self_collisions is False
    assert (spawn.collision_props.contact_offset, spawn.collision_props.rest_offset) == (0.005, 0.001)


def test_events_it_cannot_play_are_left_out_and_told() -> None:
    asked = ["+scene=warehouse_001", "policy=mixed_sku_logistics"]
    before = compose([*asked, "backend=mujoco"]).policy.events
    settings = compose([*asked, "backend=isaaclab", "+policy.events.solver={kind: solver}"])
    assert set(before) - set(settings.policy.events) == {"target_size"}
    notes = bind_task(settings).notes
    assert "event 'target_size' (size_scale) is left out: backend 'isaaclab' cannot play it." in notes
    assert "event 'solver' (solver) is left out: backend 'isaaclab' cannot play it." in notes
    assert apply_overrides(settings, {}) == settings, "what is left out is left out once"


def test_a_curriculum_loses_what_it_changes_of_them() -> None:
    size = "size: {path: events.target_size.range, start: [0.9, 1.0]}"
    changes = f"{{{size}, pose: {{path: events.target_pose.x_m, start: [0.0, 0.0]}}}}"
    curriculum = f"+policy.curriculum={{raise_at: 0.7, step: 0.25, lower_at: null, changes: {changes}}}"
    found = compose(["+scene=warehouse_001", "policy=mixed_sku_logistics", "backend=isaaclab", curriculum])
    assert found.policy.curriculum is not None and set(found.policy.curriculum.changes) == {"pose"}


def test_a_search_cannot_bring_them_back() -> None:
    settings = compose(["+scene=kitchen_001", "backend=isaaclab"])
    with pytest.raises(ConfigError, match=r"of kind 'solver', which backend 'isaaclab' cannot play"):
        apply_overrides(settings, {"policy.events.solver": {"kind": "solver"}})


@pytest.mark.parametrize("backend", ["isaaclab", "pointmass"])
def test_cloth_is_refused_before_anything_starts(config: Config, backend: str) -> None:
    settings = config("+scene=laundry_001", "policy=laundry_sorting", f"backend={backend}")
    with pytest.raises(SimulatorError, match=f"backend '{backend}' has no cloth.*'laundry_sorting'"):
        ask(settings)


@pytest.mark.parametrize(
    "words",
    [
        ("+scene=kitchen_001", "backend=isaaclab"),
        ("plan", "+scene=kitchen_001", "backend=isaaclab"),
        ("backend=isaaclab_task", "backend.task=Mine-Reach-v0"),
    ],
)
def test_a_machine_without_isaac_lab_is_told_before_ray_starts(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    place = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if "isaac_" not in path]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *place])}
    found = [
        sys.executable,
        "-c",
        "import importlib.util as i, sys; sys.exit(i.find_spec('isaaclab') is None)",
    ]
    if not subprocess.run(found, env=env, cwd=tmp_path).returncode:
        pytest.skip("Isaac Lab is installed here")
    command = [sys.executable, "-m", "blueprint_tune", *words]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2 and "Traceback" not in said and "starting Ray" not in said, said
    assert f"{words[-1 if 'backend=isaaclab' in words else 0].split('=')[1]}' needs NVIDIA Isaac Lab" in said


def test_a_trial_reserves_the_gpu_that_its_backend_needs(config: Config) -> None:
    def gpus(*overrides: str) -> Any:
        return config(*overrides).sweep.resources.gpus

    assert gpus() == 0 and gpus("backend=isaaclab") == 1
    assert gpus("backend=isaaclab", "sweep.resources.gpus=0.5") == 0.5
    with pytest.raises(ConfigError, match="backend.device=cuda:0 simulates on a GPU, and the trials"):
        gpus("backend=isaaclab", "sweep.resources.gpus=0")
