"""Franka Emika Panda."""

from isaac_physics.robots import asset
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg
from isaaclab.sim import ArticulationRootPropertiesCfg, RigidBodyPropertiesCfg, UsdFileCfg


def _motors(joints: str, effort: float, stiffness: float, damping: float) -> ImplicitActuatorCfg:
    return ImplicitActuatorCfg(
        joint_names_expr=[joints], effort_limit_sim=effort, stiffness=stiffness, damping=damping
    )


FRANKA_PANDA_HIGH_PD_CFG = ArticulationCfg(
    spawn=UsdFileCfg(
        usd_path=asset("franka"),
        activate_contact_sensors=False,
        rigid_props=RigidBodyPropertiesCfg(disable_gravity=True, max_depenetration_velocity=5.0),
        articulation_props=ArticulationRootPropertiesCfg(
            enabled_self_collisions=True, solver_position_iteration_count=8, solver_velocity_iteration_count=0
        ),
    ),
    init_state=ArticulationCfg.InitialStateCfg(
        joint_pos={
            "panda_joint1": 0.0,
            "panda_joint2": -0.569,
            "panda_joint3": 0.0,
            "panda_joint4": -2.810,
            "panda_joint5": 0.0,
            "panda_joint6": 3.037,
            "panda_joint7": 0.741,
            "panda_finger_joint.*": 0.04,
        },
    ),
    actuators={
        "panda_shoulder": _motors("panda_joint[1-4]", 87.0, 400.0, 80.0),
        "panda_forearm": _motors("panda_joint[5-7]", 12.0, 400.0, 80.0),
        "panda_hand": _motors("panda_finger_joint.*", 200.0, 2e3, 1e2),
    },
)
