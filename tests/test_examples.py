"""The examples for deployers: on numpy and onnxruntime alone, and equal to what was trained."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.export.bundle import write_bundle
from blueprint_tune.export.contract import PolicyFacts, controller
from blueprint_tune.learning.networks import DeployablePolicy, mlp

EXAMPLES = Path(__file__).parents[1] / "examples"
ONLY = {"numpy", "onnxruntime"}
BLOCKED = f"""
import importlib.abc, runpy, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {ONLY!r}:
            raise ImportError(f"no {{name}} on this robot")
sys.meta_path.insert(0, Blocker())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def bundle(env: ManipulationEnv, cfg: ExperimentConfig, folder: Path) -> Path:
    """An untrained policy's bundle, with observations of its own episodes."""
    torch.manual_seed(0)
    size = env.num_observations
    net = mlp([size, *cfg.agent.policy_hidden_dims, env.num_actions], cfg.agent.activation, 3.0)
    policy = DeployablePolicy(net, torch.zeros(size), torch.ones(size), cfg.agent.observation_clip)
    rows = [env.reset(np.full(env.num_envs, 1), np.arange(env.num_envs)).clone()]
    rows += [env.step(policy(rows[-1]).detach()).observations.clone() for _ in range(10)]
    facts = PolicyFacts(
        policy_name="p",
        job_id="j",
        observations=env.describe_observations(),
        action_names=env.action_names,
        joints=env.facts.joints,
        robot_base=env.task.robot_base,
        roles={role: entity.id for role, entity in env.task.roles.items()},
        control_dt_s=0.002,
        updates=1,
        env_steps=1,
        training_time_s=1.0,
        success_rate=None,
        input_hash="0" * 12,
        content_hash="0" * 12,
    )
    write_bundle(folder, policy, torch.cat(rows), cfg, facts, {})
    return folder


def deploy(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", BLOCKED, str(EXAMPLES / "deploy.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("kind", ["ee_delta", "joint_position_delta"])
def test_a_bundle_runs_on_numpy_and_onnxruntime_alone(
    new_env: Callable[..., ManipulationEnv],
    config: Callable[..., ExperimentConfig],
    tmp_path: Path,
    kind: str,
) -> None:
    words = ["policy=drawer_manipulation", "backend=pointmass", f"policy.actions.kind={kind}"]
    folder = bundle(new_env(*words, num_envs=4), config(*words), tmp_path / "bundle")
    done = deploy(folder)
    assert done.returncode == 0, done.stderr
    assert "44 steps at 500 Hz for franka" in done.stdout and "gripper" in done.stdout
    assert float(done.stdout.split()[-1]) < 1e-5
    data = bytearray((folder / "recorded.npz").read_bytes())
    data[100] ^= 1
    (folder / "recorded.npz").write_bytes(data)
    done = deploy(folder)
    assert done.returncode == 1 and "damaged: recorded.npz is not what was written" in done.stderr


def test_the_blocker_blocks(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import torch")
    command = [sys.executable, "-I", "-c", BLOCKED, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "no torch on this robot" in done.stderr


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "words",
    [
        ("policy=dexterous_pick_place",),
        ("policy=panel_interaction",),
        ("policy=drawer_manipulation", "policy.actions.gripper=continuous"),
        ("+scene=lab_001", "policy=precision_insertion", "policy.actions.axes=xyz_twist"),
        ("+scene=loading_dock_001", "policy=pallet_handling", "robot=fetch", "robot.base=planar"),
    ],
)
def test_a_controller_written_from_the_bundle_gives_the_targets_that_were_trained_with(
    new_env: Callable[..., ManipulationEnv], config: Callable[..., ExperimentConfig], words: tuple[str, ...]
) -> None:
    env, cfg = new_env("backend=mujoco", *words, num_envs=2), config("backend=mujoco", *words)
    facts = env.facts.joints
    numbers = json.loads(json.dumps(controller(cfg.policy.actions, cfg.robot, facts)))
    assert numbers["axes"] == cfg.policy.actions.axes
    env.reset(np.full(2, 3), np.arange(2))
    state, arm = env.simulator.state, len(numbers["arm_joints"])
    ee = state.catalog.frames.index("robot/ee")

    def measured() -> tuple[np.ndarray, np.ndarray]:
        return state.frame_pos[1, ee].double().numpy(), state.frame_quat[1, ee].double().numpy()

    ours = example("end_effector").EndEffector(numbers, *measured())
    generator = torch.Generator().manual_seed(0)
    for _ in range(25):
        actions = torch.rand(2, env.num_actions, generator=generator) * 3.0 - 1.5
        jacobian = env.simulator.ee_jacobian()[1].double().numpy()
        joints, fingers = state.joint_pos[1, :arm].numpy(), state.joint_targets[1, arm:].numpy()
        targets = ours.targets(actions[1].numpy(), *measured(), jacobian, joints, fingers)
        env.step(actions)
        np.testing.assert_allclose(targets, state.joint_targets[1].numpy(), atol=2e-4)
