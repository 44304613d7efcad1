"""What a deployer computes from the bundle alone is what the environment does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from blueprint_tune.config.compose import compose
from blueprint_tune.envs.factory import make_env
from blueprint_tune.export.onnx import export_onnx, joint_targets
from blueprint_tune.learning.networks import DeployablePolicy, mlp


def test_the_graph_gives_the_targets_the_simulator_follows(tmp_path: Path) -> None:
    overrides = ["+scene=kitchen_001", "policy=dexterous_pick_place", "backend=mujoco", "preset=smoke"]
    overrides += ["policy.actions.kind=joint_position_delta"]
    cfg = compose([*overrides, "backend.num_envs=3"])
    env = make_env(cfg, num_threads=1)
    torch.manual_seed(0)
    size = env.num_observations
    policy = DeployablePolicy(
        mlp([size, 32, env.num_actions], "elu", 5.0), torch.zeros(size), torch.ones(size), 5.0
    )
    observations = env.reset(np.full(3, 42), np.arange(3))
    joints = joint_targets(cfg.policy.actions, cfg.robot, env.simulator.joint_limits)
    assert joints is not None
    export_onnx(policy, observations, tmp_path / "policy.onnx", 1e-4, {}, joints)
    session = onnxruntime.InferenceSession(str(tmp_path / "policy.onnx"))
    state = env.simulator.state
    for _ in range(20):
        feeds = {
            "observations": observations.numpy(),
            "joint_positions": state.joint_pos[:, : len(joints.joints)].numpy().copy(),
            "previous_targets": state.joint_targets.numpy().copy(),
        }
        actions, targets = session.run(None, feeds)
        observations = env.step(torch.from_numpy(actions)).observations
        np.testing.assert_allclose(targets, state.joint_targets.numpy(), atol=1e-5)
    env.close()
