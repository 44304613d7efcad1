"""What is known of BlueprintPipeline's generator and of Isaac Lab 2.3, as data."""

from __future__ import annotations

import re


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMESPACES = ("isaaclab", "omni.isaac.lab")
"""Isaac Lab's name in a package's imports: since February 2026, and before."""

POLICIES = (
    "dexterous_pick_place",
    "articulated_access",
    "drawer_manipulation",
    "door_manipulation",
    "dish_loading",
    "table_clearing",
    "laundry_sorting",
    "mixed_sku_logistics",
    "grocery_stocking",
    "knob_manipulation",
    "precision_insertion",
    "general_manipulation",
    "panel_interaction",
    "pallet_handling",
)
FALLBACKS = {
    "manipulation": "general_manipulation",
    "pick_place": "dexterous_pick_place",
    "palletizing": "pallet_handling",
    "bin_picking": "dexterous_pick_place",
    "desk_organization": "general_manipulation",
    "fabric_handling": "laundry_sorting",
}
"""Ids that upstream's job falls back to, not among its own policies -> the policy type closest to each."""

ROBOTS = {
    "franka": "franka",
    "franka_panda": "franka",
    "panda": "franka",
    "ur10": "ur10",
    "ur10e": "ur10",
    "fetch": "fetch",
    "fetch_mobile": "fetch",
}
"""Upstream's robot ids and aliases -> robots that ship with this program."""

TEMPLATE: dict[str, object] = {
    "env.num_envs": 1024,
    "env.episode_length": 500,
    "algo.policy.init_noise_std": 1.0,
    "algo.policy.actor_hidden_dims": [256, 256, 128],
    "algo.policy.critic_hidden_dims": [256, 256, 128],
    "algo.policy.activation": "elu",
    "algo.clip_param": 0.2,
    "algo.entropy_coef": 0.01,
    "algo.value_loss_coef": 1.0,
    "algo.max_grad_norm": 1.0,
    "algo.desired_kl": 0.01,
    "algo.learning_rate": 3.0e-4,
    "algo.lr_schedule": "adaptive",
    "algo.rollout_steps": 500,
    "algo.num_learning_epochs": 5,
    "algo.num_mini_batches": 4,
    "algo.gamma": 0.99,
    "algo.lam": 0.95,
    "runner.max_iterations": 1500,
    "runner.save_interval": 100,
    "logging.tensorboard.enabled": True,
}
"""What the generator writes into every train_cfg.yaml, whatever the task."""

USUAL_WEIGHTS = {"action_jerk_penalty": 0.01, "action_magnitude_penalty": 0.001}
USUAL_WEIGHT = 1.0
"""The weight the generator gives a reward component, whatever the task."""

LARGEST_ROLLOUT = 65_536
"""Env steps before one update from which on a rollout is taken for a mistake."""

PROFILE_STEPS = {(0.004, 4), (0.008, 2), (0.016, 1), (0.033, 1), (0.002, 8)}
"""(dt, substeps) of upstream's physics profiles; the same profiles ship with this program."""

ENV_ATTRIBUTES = _names(
    """num_envs device scene sim cfg step_dt physics_dt max_episode_length max_episode_length_s
    episode_length_buf common_step_counter action_manager observation_manager reward_manager
    termination_manager event_manager command_manager curriculum_manager recorder_manager reset_buf
    reset_terminated reset_time_outs reward_buf obs_buf extras unwrapped single_observation_space
    single_action_space observation_space action_space render_mode viewport_camera_controller"""
)
"""Attributes of ManagerBasedRLEnv in Isaac Lab 2.3."""

_DATA = _names(
    """joint_pos joint_vel joint_acc joint_pos_target joint_vel_target joint_effort_target computed_torque
    applied_torque joint_stiffness joint_damping joint_armature joint_friction_coeff joint_limits
    joint_pos_limits joint_vel_limits joint_effort_limits soft_joint_pos_limits joint_names body_names
    root_pos_w root_quat_w root_vel_w root_state_w root_pose_w root_lin_vel_w root_ang_vel_w root_lin_vel_b
    root_ang_vel_b body_pos_w body_quat_w body_vel_w body_state_w body_pose_w body_acc_w body_lin_vel_w
    body_ang_vel_w body_lin_acc_w body_ang_acc_w body_incoming_joint_wrench_b projected_gravity_b heading_w
    GRAVITY_VEC_W FORWARD_VEC_B"""
)
_DATA_FAMILIES = re.compile(r"(root|body)_(link|com)_\w+|default_\w+|(fixed|spatial)_tendon_\w+|gear_ratio")


def is_asset_data(name: str) -> bool:
    """Whether an asset's ``data`` has this attribute in Isaac Lab 2.3."""
    return name in _DATA or _DATA_FAMILIES.fullmatch(name) is not None


NOT_IN_MDP = {
    "body_pos_w": "mdp.body_pose_w",
    "EndEffectorPoseActionCfg": "mdp.DifferentialInverseKinematicsActionCfg",
}
"""Names that packages look for in ``isaaclab.envs.mdp`` and that are not there -> what is."""

SIM_FIELDS = _names(
    """physics_prim_path device dt render_interval gravity enable_scene_query_support use_fabric physx
    physics_material render create_stage_in_memory logging_level save_logs_to_file log_dir"""
)
PHYSX_FIELDS = _names(
    """solver_type solve_articulation_contact_last min_position_iteration_count
    max_position_iteration_count min_velocity_iteration_count max_velocity_iteration_count enable_ccd
    enable_stabilization enable_external_forces_every_iteration enable_enhanced_determinism
    bounce_threshold_velocity friction_offset_threshold friction_correlation_distance"""
)
