"""Universal Robots UR10, without a gripper."""

from isaac_physics.robots import asset
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg
from isaaclab.sim import RigidBodyPropertiesCfg, UsdFileCfg

UR10_CFG = ArticulationCfg(
    spawn=UsdFileCfg(
        usd_path=asset("ur10"),
        rigid_props=RigidBodyPropertiesCfg(disable_gravity=False, max_depenetration_velocity=5.0),
        activate_contact_sensors=False,
    ),
    init_state=ArticulationCfg.InitialStateCfg(
        joint_pos={
            "shoulder_pan_joint": 0.0,
            "shoulder_lift_joint": -1.712,
            "elbow_joint": 1.712,
            "wrist_1_joint": 0.0,
            "wrist_2_joint": 0.0,
            "wrist_3_joint": 0.0,
        },
    ),
    actuators={
        "arm": ImplicitActuatorCfg(
            joint_names_expr=[".*"], effort_limit_sim=87.0, stiffness=800.0, damping=40.0
        ),
    },
)
