"""The USD files of one task: robot, furniture, what moves freely, what is only seen.

The furniture is one articulation: a base that is fixed to the world and bears everything that stands, and on
it the moving part of each fixture, with its handle. Bodies of an articulation never meet each other, so a
drawer meets robot and objects but not the cabinet it sits in, as in MuJoCo.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np
from pxr import Sdf, Usd, UsdPhysics

from blueprint_tune.errors import SimulatorError
from blueprint_tune.mdp.state import Catalog
from blueprint_tune.simulators.isaaclab.usd import (
    HERE,
    Pose,
    add_body,
    add_fixed_joint,
    add_joint,
    add_plane,
    add_shape,
    add_shapes,
    collides,
    composed,
    geoms_of,
    new_stage,
    pose_of,
    prim_name,
)
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene
from blueprint_tune.tasks.geometry import quat_matrix
from blueprint_tune.tasks.spec import TaskSpec

ENV = "{ENV_REGEX_NS}"
"""Isaac Lab's word for each environment's own prim."""
ABOVE_FLOOR_M = 0.01
"""Where moving parts of furniture end that would graze the floor, which PhysX has them meet."""


@dataclass
class SceneFiles:
    """What was written for a task.

    Attributes:
        furniture: all that stands; ``jointed`` says whether it is an articulation, else it is static.
        free: body -> file. standing: bodies that stand and feel contacts of their own -> file.
        backdrop: what is only seen. ground: the floor, of all environments.
        paths: body -> its prim in each environment; the robot's are not among them.
    """

    furniture: Path
    jointed: bool
    free: dict[str, Path] = field(default_factory=dict)
    standing: dict[str, Path] = field(default_factory=dict)
    backdrop: Path | None = None
    ground: Path = Path("ground.usda")
    paths: dict[str, str] = field(default_factory=dict)


def write_scene(compiled: CompiledScene, task: TaskSpec, catalog: Catalog, folder: Path) -> SceneFiles:
    """Write all but the robot."""
    model = compiled.model
    files = SceneFiles(folder / "furniture.usda", bool(task.jointed))
    for name in compiled.free_bodies:
        files.free[name] = _write_body(model, name, folder)
        files.paths[name] = f"{ENV}/{prim_name(name)}"
    felt = {name for request in catalog.contacts for name in request if name is not None}
    for name in sorted(felt & {entity.id for entity in task.static}):
        files.standing[name] = _write_standing(model, name, folder)
        files.paths[name] = f"{ENV}/{prim_name(name)}"
    _write_furniture(model, task, files)
    files.backdrop = _write_backdrop(model, folder)
    files.ground = _write_ground(model, folder)
    return files


def _write_body(model: mujoco.MjModel, name: str, folder: Path) -> Path:
    path = folder / f"{prim_name(name)}.usda"
    stage, root = new_stage(path, prim_name(name))
    add_body(stage, str(root.GetPath()), model, model.body(name).id)
    stage.Save()
    return path


def _write_standing(model: mujoco.MjModel, name: str, folder: Path) -> Path:
    """A body of its own that nothing moves: contact sensors are for rigid bodies."""
    path = folder / f"{prim_name(name)}.usda"
    stage, root = new_stage(path, prim_name(name))
    prim = add_body(stage, str(root.GetPath()), model, model.body(name).id)
    UsdPhysics.RigidBodyAPI(prim).CreateKinematicEnabledAttr(True)
    stage.Save()
    return path


def _in_world(model: mujoco.MjModel, body: int) -> Pose:
    return np.array(model.body_pos[body]), np.array(model.body_quat[body])


def _write_furniture(model: mujoco.MjModel, task: TaskSpec, files: SceneFiles) -> None:
    stage, root = new_stage(files.furniture, "furniture")
    base = root.GetPath().AppendChild("base")
    if files.jointed:
        UsdPhysics.ArticulationRootAPI.Apply(root)
        root.AddAppliedSchema("PhysxArticulationAPI")
        add_body(stage, str(base), model, 0, geoms=_solid(model, 0))
        add_fixed_joint(stage, str(root.GetPath().AppendChild("root_joint")), root.GetPath(), base, HERE)
        for entity in task.jointed:
            _add_fixture(stage, model, entity.id, base, files)
    else:
        add_shapes(stage, str(root.GetPath()), model, _solid(model, 0))
    within = base if files.jointed else root.GetPath()
    for entity in task.static:
        body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, entity.id)
        if body > 0 and entity.id not in files.standing:
            add_shapes(stage, str(within), model, geoms_of(model, body), _in_world(model, body))
    stage.Save()


def _solid(model: mujoco.MjModel, body: int) -> list[int]:
    """What of a body's geoms touches anything, the floor aside: Isaac Lab has one of its own."""
    plane = int(mujoco.mjtGeom.mjGEOM_PLANE)
    return [g for g in geoms_of(model, body) if collides(model, g) and int(model.geom_type[g]) != plane]


def _add_fixture(
    stage: Usd.Stage, model: mujoco.MjModel, name: str, base: Sdf.Path, files: SceneFiles
) -> None:
    """The part that moves, on its joint, and its handle."""
    root = base.GetParentPath()
    moving = root.AppendChild(prim_name(name))
    body = model.body(name).id
    add_body(stage, str(moving), model, body, _in_world(model, body))
    _lift_off_floor(stage, moving, model, body)
    joint = int(model.body_jntadr[body])
    add_joint(stage, str(root.AppendChild(prim_name(f"{name}_joint"))), model, joint, base, moving)
    files.paths[name] = f"{ENV}/furniture/{moving.name}"
    for child in np.flatnonzero(model.body_parentid == body):
        handle = root.AppendChild(prim_name(model.body(child).name))
        held: Pose = (np.array(model.body_pos[child]), np.array(model.body_quat[child]))
        add_body(stage, str(handle), model, int(child), composed(_in_world(model, body), held))
        add_fixed_joint(stage, f"{handle}_joint", moving, handle, held)
        files.paths[model.body(child).name] = f"{ENV}/furniture/{handle.name}"


def _lift_off_floor(stage: Usd.Stage, moving: Sdf.Path, model: mujoco.MjModel, body: int) -> None:
    """Cut off the undersides of upright boxes that reach down to the floor."""
    within = _in_world(model, body)
    for geom in geoms_of(model, body):
        pose = pose_of(model, geom)
        position, quat = composed(within, pose)
        upright = abs(quat_matrix(quat)[2, 2]) > 0.999 and int(model.geom_type[geom]) == int(
            mujoco.mjtGeom.mjGEOM_BOX
        )
        half = float(model.geom_size[geom, 2])
        missing = ABOVE_FLOOR_M - (float(position[2]) - half)
        if not upright or missing <= 0:
            continue
        if missing >= 2 * half:
            raise SimulatorError(
                f"'{model.body(body).name}' moves within {ABOVE_FLOOR_M * 100:.0f} cm of the floor, which "
                "PhysX has it scrape. Lift it in the manifest, or use backend=mujoco."
            )
        path = moving.AppendChild(f"shape_{geom}")
        stage.RemovePrim(path)
        up = quat_matrix(within[1]).T @ np.array([0.0, 0.0, missing / 2])
        size = np.array(model.geom_size[geom]) - (0.0, 0.0, missing / 2)
        add_shape(stage, str(path), model, geom, (pose[0] + up, pose[1]), size)


def _write_backdrop(model: mujoco.MjModel, folder: Path) -> Path | None:
    """What nothing touches: only drawn where there are cameras."""
    drawn = [g for g in geoms_of(model, 0) if not collides(model, g)]
    if not drawn:
        return None
    path = folder / "backdrop.usda"
    stage, root = new_stage(path, "backdrop")
    add_shapes(stage, str(root.GetPath()), model, drawn)
    stage.Save()
    return path


def _write_ground(model: mujoco.MjModel, folder: Path) -> Path:
    """An endless plane: Isaac Lab's own is a file on a server."""
    path = folder / "ground.usda"
    stage, root = new_stage(path, "ground")
    floor = model.geom("floor").id
    add_plane(stage, str(root.GetPath().AppendChild("plane")), float(model.geom_friction[floor, 0]))
    stage.Save()
    return path
