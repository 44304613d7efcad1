"""A robot as its config asks for it: model file, gripper, base, end-effector site, motors, contacts.

What the file has stays as it is; what it lacks is added by the rules below, so that a user's URDF and a
shipped model come out alike.

Motors of joints without an actuator (:func:`_add_servo`): a position servo with full effort at 0.1 rad or
1 cm from its target, critically damped for the inertia that the joint moves at home. Passive damping of
effort / speed makes no-load speed at full effort the speed limit.
"""

from __future__ import annotations

import mujoco
import numpy as np

from blueprint_tune.config.paths import robot_file
from blueprint_tune.config.robot_model import find_mesh
from blueprint_tune.config.schema import GripperConfig, RobotConfig, ServoConfig
from blueprint_tune.errors import SimulatorError, nearest

ROBOT_BIT = 2
"""``contype`` of everything of the robot; it lists no bit in ``conaffinity``, so it never meets itself."""
FULL_EFFORT_AT = {"hinge": 0.1, "slide": 0.01}
"""rad, m: error at which an added servo gives all its effort."""
ROTOR_PER_EFFORT = 1e-3
"""Least armature (kg m²) of an added servo per N m of effort: keeps its stiffest loop stable at 8 ms."""
ARMATURE_PER_DAMPING_S = 4e-3
"""Least armature of an added servo per N s/m of passive damping: lighter fingers lose their grip at 8 ms."""
FINGER_ARMATURE_KG = 1.0
"""Of a sliding finger: lighter ones are thrown off small objects by their own grip."""
GRIPPER_PREFIX = "gripper_"
"""Before the names of a gripper that comes from a file of its own."""
PAD = {
    "priority": 1,
    "condim": 4,
    "friction": [1.0, 0.02, 0.0001],
    "solref": [0.01, 1.0],
    "solimp": [0.97, 0.99, 0.001, 0.5, 2.0],
}
"""Contact of finger pads: stiff, with torsional friction, and decisive whatever the object's own is."""


def robot_spec(robot: RobotConfig) -> mujoco.MjSpec:
    """The robot's model, its base at the origin.

    Raises SimulatorError naming the file, body, joint or frame that is missing and what exists.
    """
    spec = _read(robot, robot.model)
    for surplus in (*spec.keys, *spec.sensors, *spec.worldbody.geoms):
        spec.delete(surplus)  # of a scene that the file may have been written for
    _body(spec, robot, robot.base_body)
    if robot.hand is not None and robot.hand.model is not None:
        _mount(spec, robot, robot.hand, robot.hand.model)
    for name in robot.joints:
        if spec.joint(name) is None:
            raise SimulatorError(
                f"robot '{robot.name}' has no joint '{name}'. {nearest(name, (j.name for j in spec.joints))}"
            )
    _lock_others(spec, robot)
    _add_site(spec, robot)
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0
    for geom in spec.geoms:
        if geom.contype or geom.conaffinity:
            geom.contype, geom.conaffinity = ROBOT_BIT, 0
    _make_pads(spec, robot)
    _add_servos(spec, robot)
    return spec


def _read(robot: RobotConfig, model: str) -> mujoco.MjSpec:
    path = robot_file(model)
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except (ValueError, OSError) as error:
        raise SimulatorError(f"robot '{robot.name}': cannot read its model {path}: {error}") from error
    spec.compiler.fusestatic = 0  # a URDF's fixed links keep their names
    if path.suffix == ".urdf":
        for mesh in spec.meshes:  # packages of ROS are not known here
            mesh.file = str(find_mesh(path.absolute(), mesh.file) or mesh.file)
    return spec


def _body(spec: mujoco.MjSpec, robot: RobotConfig, name: str) -> mujoco.MjsBody:
    body = spec.body(name)
    if body is None:
        known = [b.name for b in spec.bodies[1:]]
        raise SimulatorError(f"robot '{robot.name}' has no body '{name}'. {nearest(name, known)}")
    return body


def _mount(spec: mujoco.MjSpec, robot: RobotConfig, gripper: GripperConfig, model: str) -> None:
    """Put the gripper's only root body where ``replaces`` was."""
    if gripper.replaces is None:
        raise SimulatorError(
            f"robot '{robot.name}': its gripper '{robot.gripper}' has a model of its own; "
            f"robot.grippers.{robot.gripper}.replaces must name the body it takes the place of."
        )
    old = _body(spec, robot, gripper.replaces)
    hand = _read(robot, model)
    frame = old.parent.add_frame(pos=old.pos, quat=old.quat)
    spec.delete(old)
    frame.attach_body(hand.worldbody.first_body(), GRIPPER_PREFIX, "")
    site = spec.site(GRIPPER_PREFIX + robot.ee_site)
    if site is None:
        known = [s.name for s in hand.sites]
        raise SimulatorError(
            f"robot '{robot.name}': gripper model '{model}' has no site '{robot.ee_site}' between its "
            f"finger tips. {nearest(robot.ee_site, known)}"
        )
    site.name = robot.ee_site


def _lock_others(spec: mujoco.MjSpec, robot: RobotConfig) -> None:
    """Remove joints that nothing drives, and the actuators of what is not driven: those parts stand still."""
    for actuator in list(spec.actuators):
        if actuator.target not in robot.joints:
            spec.delete(actuator)
    for joint in list(spec.joints):
        if joint.name not in robot.joints:
            spec.delete(joint)


def _add_site(spec: mujoco.MjSpec, robot: RobotConfig) -> None:
    if robot.ee is not None and spec.site(robot.ee_site) is None:
        roll, pitch, yaw = robot.ee.rpy_rad
        quat = np.zeros(4)
        mujoco.mju_euler2Quat(quat, np.array([roll, pitch, yaw]), "XYZ")
        body = _body(spec, robot, robot.ee.body)
        body.add_site(name=robot.ee_site, pos=robot.ee.offset_m, quat=quat, group=4, size=[0.005] * 3)
    if spec.site(robot.ee_site) is None:
        known = [site.name for site in spec.sites]
        raise SimulatorError(
            f"robot '{robot.name}' has no site '{robot.ee_site}' for its end effector. "
            f"{nearest(robot.ee_site, known)} A body can serve instead, in the robot's YAML: ee: {{body: …}}."
        )


def _make_pads(spec: mujoco.MjSpec, robot: RobotConfig) -> None:
    """What touches things gets the contact settings of pads, unless its file chose some geoms itself."""
    for name in robot.hand.fingers if robot.hand else ():
        geoms = [g for g in _body(spec, robot, name).geoms if g.contype]
        if not geoms:
            raise SimulatorError(
                f"robot '{robot.name}': its finger '{name}' has no collision shape to grasp with. "
                f"Name the bodies that carry the pads in robot.grippers.{robot.gripper}.fingers."
            )
        if not any(geom.priority for geom in geoms):
            for geom in geoms:
                for field, value in PAD.items():
                    setattr(geom, field, value)


def _add_servos(spec: mujoco.MjSpec, robot: RobotConfig) -> None:
    for actuator in list(spec.actuators):
        if actuator.target in robot.servos:
            spec.delete(actuator)
        elif actuator.biasprm[1] >= 0 or actuator.biasprm[1] != -actuator.gainprm[0]:
            raise SimulatorError(
                f"robot '{robot.name}': joint '{actuator.target}' has an actuator "
                f"('{actuator.name}') that is no position servo. Put one in its place in the robot's YAML: "
                f"servos: {{{actuator.target}: {{effort: <N m or N>, speed: <rad/s or m/s>}}}}."
            )
    driven = {actuator.target for actuator in spec.actuators}
    missing = [name for name in robot.joints if name not in driven]
    unknown = [name for name in missing if name not in robot.servos]
    if unknown:
        raise SimulatorError(
            f"robot '{robot.name}': joint '{unknown[0]}' has no actuator; those that have: "
            f"{', '.join(sorted(driven)) or 'none'}. Give it a motor in the robot's YAML: "
            f"servos: {{{unknown[0]}: {{effort: <N m or N>, speed: <rad/s or m/s>}}}}."
        )
    for name in missing:
        _set_joint(spec.joint(name), robot.servos[name], finger=name not in robot.chain)
    inertia = _inertia_at_home(spec, robot) if missing else {}
    for name in missing:
        _add_servo(spec, spec.joint(name), robot.servos[name], inertia[name])


def _set_joint(joint: mujoco.MjsJoint, servo: ServoConfig, finger: bool) -> None:
    slides = joint.type == mujoco.mjtJoint.mjJNT_SLIDE
    damping = max(joint.damping[0], servo.effort / servo.speed)
    least = FINGER_ARMATURE_KG if finger and slides else ROTOR_PER_EFFORT * servo.effort
    joint.armature = max(joint.armature, least, ARMATURE_PER_DAMPING_S * damping if finger else 0.0)
    joint.damping = [damping, 0, 0]
    joint.actfrclimited = mujoco.mjtLimited.mjLIMITED_FALSE  # the servo's own force range stands for it
    if servo.range is not None:
        joint.range = servo.range
        joint.limited = mujoco.mjtLimited.mjLIMITED_TRUE


def _inertia_at_home(spec: mujoco.MjSpec, robot: RobotConfig) -> dict[str, float]:
    """Inertia (kg m² or kg) that each joint moves at home, its armature included."""
    model = spec.copy().compile()
    data = mujoco.MjData(model)
    for name, value in zip(robot.chain, robot.chain_home, strict=True):
        data.joint(name).qpos[0] = value
    mujoco.mj_forward(model, data)
    matrix = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, matrix)
    return {
        name: float(matrix[model.joint(name).dofadr[0]].squeeze()[model.joint(name).dofadr[0]])
        for name in robot.joints
    }


def _add_servo(spec: mujoco.MjSpec, joint: mujoco.MjsJoint, servo: ServoConfig, inertia: float) -> None:
    slides = joint.type == mujoco.mjtJoint.mjJNT_SLIDE
    kp = servo.effort / FULL_EFFORT_AT["slide" if slides else "hinge"]
    kv = max(0.0, 2.0 * np.sqrt(kp * inertia) - joint.damping[0])
    actuator = spec.add_actuator(
        name=joint.name,
        target=joint.name,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        forcerange=[-servo.effort, servo.effort],
        ctrlrange=joint.range,
    )
    actuator.set_to_position(kp=kp, kv=kv)
