"""What a deployer must know: the same facts in the ONNX graph's metadata and in ``policy_config.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from blueprint_tune.config.policy_schema import ActionConfig
from blueprint_tune.config.schema import ExperimentConfig, RobotConfig
from blueprint_tune.envs.actions import DAMPING, POSE_GAIN
from blueprint_tune.envs.base import JointFacts
from blueprint_tune.export.loading import FORMAT_VERSION
from blueprint_tune.export.onnx import OPSET, JointTargets
from blueprint_tune.mdp.describe import ObservationPart

_TEXT = ("policy_name", "policy_id", "job_id", "scene", "robot", "input_hash", "content_hash")
"""What of a contract is text, which the metadata keep as it is."""
_GRIPPER = {
    "binary": "opens the gripper above 0, closes it otherwise",
    "continuous": "closes the gripper at -1, opens it at 1, in between in proportion",
}
_SHIFT = "shifts the end effector's target by up to scale along this axis"
_TURN = "turns the end effector's target by up to scale about"
_END_EFFECTOR = {
    "x": ("world", _SHIFT),
    "y": ("world", _SHIFT),
    "z": ("world", _SHIFT),
    "yaw": ("world", f"{_TURN} z"),
    "twist": ("robot/ee", f"{_TURN} its own z axis"),
    "rx": ("world", f"{_TURN} x"),
    "ry": ("world", f"{_TURN} y"),
    "rz": ("world", f"{_TURN} z"),
}
"""Action of ``ee_delta`` -> along whose axes it counts, and what it does."""


@dataclass(frozen=True)
class PolicyFacts:
    """What a bundle says about its policy beside what the config says.

    Attributes:
        policy_name, job_id: ids usable as folder names.
        observations: the parts of an observation, in order. action_names: one name an action, in order.
        joints: the robot's in the order of targets, then the fixtures'.
        robot_base: x, y, z (m) and yaw (rad) of the robot in the world; None where nobody knows.
        roles: role -> the scene's object.
        control_dt_s: seconds between two actions.
        updates, env_steps, training_time_s: of the trial that was exported.
        success_rate: on the benchmark; None when it was not run.
        input_hash, content_hash: of the experiment.
        action_ranges: what outputs of -1 and 1 are to a task with an environment of its own.
    """

    policy_name: str
    job_id: str
    observations: tuple[ObservationPart, ...]
    action_names: tuple[str, ...]
    joints: tuple[JointFacts, ...]
    robot_base: tuple[float, float, float, float] | None
    roles: Mapping[str, str]
    control_dt_s: float
    updates: int
    env_steps: int
    training_time_s: float
    success_rate: float | None
    input_hash: str
    content_hash: str
    action_ranges: tuple[tuple[float, float], ...] = ()


def contract(cfg: ExperimentConfig, facts: PolicyFacts, joints: JointTargets | None) -> dict[str, Any]:
    """Name -> value of everything that graph and ``policy_config.json`` say alike."""
    return {
        "format_version": FORMAT_VERSION,
        "policy_name": facts.policy_name,
        "policy_id": cfg.policy.name,
        "job_id": facts.job_id,
        "scene": cfg.scene.id,
        "robot": cfg.robot.name,
        "control_hz": 1.0 / facts.control_dt_s,
        "observations": [_observation(part) for part in facts.observations],
        "actions": [
            own_action(name, *range_) for name, range_ in zip(facts.action_names, facts.action_ranges)
        ]
        or [_action(name, cfg, facts.joints) for name in facts.action_names],
        "joints": [asdict(joint) for joint in facts.joints],
        "world": {
            "up": "z",
            "robot_base": None if facts.robot_base is None else list(facts.robot_base),
            "end_effector": None if cfg.backend.own_task else cfg.robot.ee_site,
            "roles": dict(facts.roles),
        },
        "joint_targets": dict(joints.numbers) if joints else None,
        "controller": controller(cfg.policy.actions, cfg.robot, facts.joints),
        "input_hash": facts.input_hash,
        "content_hash": facts.content_hash,
    }


def metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """A contract as ONNX keeps it: text as it is, everything else as JSON."""
    return {key: value if key in _TEXT else json.dumps(value) for key, value in facts.items()}


def from_metadata(said: Mapping[str, str]) -> dict[str, Any]:
    """A contract out of what :func:`metadata` made of it. Raises ValueError for what it did not make."""
    return {key: value if key in _TEXT else json.loads(value) for key, value in said.items()}


def policy_config(
    cfg: ExperimentConfig, facts: PolicyFacts, joints: JointTargets | None, differences: Mapping[str, float]
) -> dict[str, Any]:
    """The document ``policy_config.json``: upstream's fields, then the contract.

    ``differences``: file of an export -> its largest difference from the module, ``policy.onnx`` first.
    """
    return {
        **_upstream(cfg, facts),
        **contract(cfg, facts, joints),
        "backend": cfg.backend.name,
        "observation_clip": cfg.agent.observation_clip,
        "observation_order": [part.name for part in facts.observations],
        "onnx": {
            "file": "policy.onnx",
            "opset": OPSET,
            "inputs": ["observations", "joint_positions", "previous_targets"][: 3 if joints else 1],
            "outputs": ["actions", "joint_targets"][: 2 if joints else 1],
            "max_abs_difference": differences["policy.onnx"],
            "tolerance": cfg.evaluation.onnx_tolerance,
        },
        "torch_files": {name: value for name, value in differences.items() if name != "policy.onnx"},
    }


def controller(
    actions: ActionConfig, robot: RobotConfig, joints: tuple[JointFacts, ...]
) -> dict[str, Any] | None:
    """Frame, gains and limits of the end-effector controller that turns actions into joint targets.

    None where the graph computes the joint targets itself. ``docs/deploy.md`` has the formulas.
    """
    if actions.kind != "ee_delta":
        return None
    gripper, chain = robot.hand, robot.chain
    arm = joints[: len(chain)]
    return {
        "kind": actions.kind,
        "frame": robot.ee_site,
        "axes": actions.axes,
        "scale_m": actions.scale_m,
        "scale_rad": actions.scale_rad,
        "windup_m": actions.windup_m,
        "windup_rad": actions.windup_rad,
        "damping": DAMPING,
        "pose_gain": POSE_GAIN,
        "arm_joints": list(chain),
        "lower": [joint.lower for joint in arm],
        "upper": [joint.upper for joint in arm],
        "joint_weights": [robot.weights.get(name, 1.0) for name in chain],
        "gripper": actions.gripper if gripper else "none",
        "gripper_joints": list(gripper.joints) if gripper else [],
        "gripper_open_m": gripper.open_m if gripper else None,
        "gripper_closed_m": gripper.closed_m if gripper else None,
    }


def _upstream(cfg: ExperimentConfig, facts: PolicyFacts) -> dict[str, Any]:
    sizes = {part.name: part.size for part in facts.observations}
    return {
        "policy_name": facts.policy_name,
        "scene_id": cfg.scene.id,
        "training_job_id": facts.job_id,
        "architecture": {
            "type": "ActorCritic",
            "actor_hidden_dims": list(cfg.agent.policy_hidden_dims),
            "critic_hidden_dims": list(cfg.agent.value_hidden_dims),
            "activation": cfg.agent.activation,
            "init_noise_std": cfg.agent.initial_std,
        },
        "observation_space": {**sizes, "total_dim": sum(sizes.values())},
        "action_space": {
            "type": "continuous",
            "dim": len(facts.action_names),
            "control_mode": cfg.policy.actions.kind,
            "names": list(facts.action_names),
            "low": -1.0,
            "high": 1.0,
        },
        "training_info": {
            "algorithm": "PPO",
            "total_iterations": facts.updates,
            "total_timesteps": facts.env_steps,
            "final_success_rate": facts.success_rate,
            "training_time_hours": facts.training_time_s / 3600.0,
        },
        "checkpoint_path": f"policies/{facts.policy_name}/policy.pt",
        "compatible_robots": [cfg.robot.name],
        "compatible_isaac_lab_version": None,
    }


def _observation(part: ObservationPart) -> dict[str, Any]:
    return {
        "name": part.name,
        "shape": [part.size],
        "components": list(part.components),
        "units": list(part.units) or None,
        "scale": part.scale,
        "frame": part.frame,
        "term": part.term,
        "parameters": dict(part.parameters),
        "meaning": part.meaning,
    }


def own_action(name: str, lower: float, upper: float) -> dict[str, Any]:
    """An output that a task with an environment of its own takes."""
    return {
        "name": name,
        "low": -1.0,
        "high": 1.0,
        "unit": None,
        "scale": (upper - lower) / 2,
        "frame": None,
        "meaning": f"the task's own action: {lower:g} for -1, {upper:g} for 1, in between in proportion",
    }


def _action(name: str, cfg: ExperimentConfig, joints: tuple[JointFacts, ...]) -> dict[str, Any]:
    """What an output does; ``unit`` and ``frame`` are null where it is not a distance or an angle."""
    actions = cfg.policy.actions
    fixed = {"name": name, "low": -1.0, "high": 1.0}
    if name == "gripper":
        return {**fixed, "unit": None, "scale": None, "frame": None, "meaning": _GRIPPER[actions.gripper]}
    if actions.kind == "ee_delta":
        frame, meaning = _END_EFFECTOR[name]
        unit, scale = ("m", actions.scale_m) if meaning == _SHIFT else ("rad", actions.scale_rad)
        return {**fixed, "unit": unit, "scale": scale, "frame": frame, "meaning": meaning}
    unit = next(joint.unit for joint in joints if joint.name == name)
    meaning = "shifts the joint's target by up to scale"
    return {**fixed, "unit": unit, "scale": actions.scale_rad, "frame": None, "meaning": meaning}
