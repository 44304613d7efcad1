"""A policy, a robot and facts to export."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.export.contract import JointFacts, PolicyFacts
from blueprint_tune.export.onnx import JointTargets, joint_targets
from blueprint_tune.learning.networks import DeployablePolicy, mlp
from blueprint_tune.mdp.describe import ObservationPart

ARM = tuple(f"panda_joint{i}" for i in range(1, 8))
FINGERS = ("panda_finger_joint1", "panda_finger_joint2")
LIMITS = np.array([[-2.9, 2.9]] * 7 + [[0.0, 0.04]] * 2 + [[0.0, 0.4]])
JOINTS = tuple(
    JointFacts(name, "rad" if name in ARM else "m", *limits)
    for name, limits in zip((*ARM, *FINGERS, "target/joint"), LIMITS.tolist(), strict=True)
)
OBSERVATIONS = (
    ObservationPart("joint_pos", 9, (*ARM, *FINGERS), ("rad",) * 7 + ("m",) * 2),
    ObservationPart("target_rel", 3, ("x", "y", "z"), ("m",) * 3, 5.0, "world", "relative_position"),
)


@pytest.fixture(scope="package")
def cfg() -> ExperimentConfig:
    overrides = ["+scene=kitchen_001", "policy=drawer_manipulation", "backend=pointmass", "preset=smoke"]
    joints = ["policy.actions.kind=joint_position_delta", "policy.actions.scale_rad=0.08"]
    return compose([*overrides, *joints, "agent.policy_hidden_dims=[32,16]", "agent.activation=elu"])


@pytest.fixture(scope="package")
def policy(cfg: ExperimentConfig) -> DeployablePolicy:
    torch.manual_seed(0)
    net = mlp([12, *cfg.agent.policy_hidden_dims, 8], cfg.agent.activation, 1.0)
    mean, variance = torch.linspace(-1, 1, 12), torch.linspace(0.01, 4, 12)
    return DeployablePolicy(net, mean, variance, cfg.agent.observation_clip)


@pytest.fixture(scope="package")
def observations() -> torch.Tensor:
    """Some of them far outside of what the normaliser clips to."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(200, 12, generator=generator) * torch.logspace(-2, 2, 200)[:, None]


@pytest.fixture(scope="package")
def joints(cfg: ExperimentConfig) -> JointTargets:
    found = joint_targets(cfg.policy.actions, cfg.robot, LIMITS)
    assert found is not None
    return found


@pytest.fixture(scope="package")
def facts() -> PolicyFacts:
    return PolicyFacts(
        policy_name="kitchen_001-drawer",
        job_id="kitchen_001-drawer-asha",
        observations=OBSERVATIONS,
        action_names=(*ARM, "gripper"),
        joints=JOINTS,
        robot_base=(0.1, -0.6, 0.6, 1.57),
        roles={"target": "drawer_1"},
        control_dt_s=0.032,
        updates=100,
        env_steps=614_400,
        training_time_s=180.0,
        success_rate=0.93,
        input_hash="0123456789ab",
        content_hash="ba9876543210",
    )
