"""Configs of what is spawned and simulated, and the simulation."""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any, Literal

import torch
from isaac_physics import session
from isaac_physics.builder import build
from isaac_physics.world import World
from pxr import Usd

from isaaclab.utils import configclass

session.require_app()

_Combine = Literal["average", "min", "multiply", "max"]


@configclass
class RigidBodyPropertiesCfg:
    rigid_body_enabled: bool | None = None
    kinematic_enabled: bool | None = None
    disable_gravity: bool | None = None
    linear_damping: float | None = None
    angular_damping: float | None = None
    max_linear_velocity: float | None = None
    max_angular_velocity: float | None = None
    max_depenetration_velocity: float | None = None
    max_contact_impulse: float | None = None
    enable_gyroscopic_forces: bool | None = None
    retain_accelerations: bool | None = None
    solver_position_iteration_count: int | None = None
    solver_velocity_iteration_count: int | None = None
    sleep_threshold: float | None = None
    stabilization_threshold: float | None = None


@configclass
class CollisionPropertiesCfg:
    collision_enabled: bool | None = None
    contact_offset: float | None = None
    rest_offset: float | None = None


@configclass
class ArticulationRootPropertiesCfg:
    articulation_enabled: bool | None = None
    enabled_self_collisions: bool | None = None
    solver_position_iteration_count: int | None = None
    solver_velocity_iteration_count: int | None = None
    sleep_threshold: float | None = None
    stabilization_threshold: float | None = None
    fix_root_link: bool | None = None


@configclass
class SpawnerCfg:
    visible: bool = True


@configclass
class UsdFileCfg(SpawnerCfg):
    usd_path: str = MISSING
    scale: tuple[float, float, float] | None = None
    rigid_props: RigidBodyPropertiesCfg | None = None
    collision_props: CollisionPropertiesCfg | None = None
    articulation_props: ArticulationRootPropertiesCfg | None = None
    activate_contact_sensors: bool = False


@configclass
class RigidBodyMaterialCfg:
    static_friction: float = 0.5
    dynamic_friction: float = 0.5
    restitution: float = 0.0
    friction_combine_mode: _Combine = "average"
    restitution_combine_mode: _Combine = "average"


@configclass
class GroundPlaneCfg(SpawnerCfg):
    color: tuple[float, float, float] | None = (0.0, 0.0, 0.0)
    size: tuple[float, float] = (100.0, 100.0)
    physics_material: RigidBodyMaterialCfg = RigidBodyMaterialCfg()


@configclass
class DomeLightCfg(SpawnerCfg):
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    intensity: float = 1.0


@configclass
class PinholeCameraCfg(SpawnerCfg):
    focal_length: float = 24.0
    focus_distance: float = 400.0
    horizontal_aperture: float = 20.955
    vertical_aperture: float | None = None
    clipping_range: tuple[float, float] = (0.01, 1e6)


@configclass
class PhysxCfg:
    solver_type: Literal[0, 1] = 1
    min_position_iteration_count: int = 1
    max_position_iteration_count: int = 255
    min_velocity_iteration_count: int = 0
    max_velocity_iteration_count: int = 255
    enable_ccd: bool = False
    enable_stabilization: bool = False
    enable_external_forces_every_iteration: bool = False
    enable_enhanced_determinism: bool = False
    bounce_threshold_velocity: float = 0.5
    friction_offset_threshold: float = 0.04
    friction_correlation_distance: float = 0.025
    gpu_max_rigid_contact_count: int = 2**23
    gpu_max_rigid_patch_count: int = 5 * 2**15
    gpu_found_lost_pairs_capacity: int = 2**21
    gpu_found_lost_aggregate_pairs_capacity: int = 2**25
    gpu_total_aggregate_pairs_capacity: int = 2**21
    gpu_collision_stack_size: int = 2**26
    gpu_heap_capacity: int = 2**26
    gpu_temp_buffer_capacity: int = 2**24
    gpu_max_num_partitions: int = 8


@configclass
class SimulationCfg:
    device: str = "cuda:0"
    dt: float = 1.0 / 60.0
    render_interval: int = 1
    gravity: tuple[float, float, float] = (0.0, 0.0, -9.81)
    use_fabric: bool = True
    physx: PhysxCfg = PhysxCfg()
    physics_material: RigidBodyMaterialCfg = RigidBodyMaterialCfg()


class SimulationContext:
    """The simulation of this process; one at a time."""

    def __init__(self, cfg: SimulationCfg | None = None) -> None:
        self.cfg = cfg or SimulationCfg()
        self.cfg.validate()
        if session.current.simulation is not None:
            raise RuntimeError(
                "There is a SimulationContext already: SimulationContext.clear_instance() first."
            )
        torch.zeros(1, device=self.cfg.device)  # fails where there is no such device
        session.current.simulation = self
        if session.current.stage is None:
            session.current.new_stage()

    @classmethod
    def instance(cls) -> SimulationContext | None:
        return session.current.simulation

    @classmethod
    def clear_instance(cls) -> None:
        session.current.clear()

    @property
    def device(self) -> str:
        return self.cfg.device

    def get_physics_dt(self) -> float:
        return self.cfg.dt

    def reset(self, soft: bool = False) -> None:
        """Build the physics from the stage, and whatever reads it."""
        now, cfg = session.current, self.cfg
        if soft and now.world is not None:
            return
        built = build(now.stage, cfg.dt, cfg.gravity, cfg.physics_material)
        for thing in now.things:
            thing._prepare(built)
        now.world = World(built, now.num_envs, now.env_origins, cfg.device)
        for thing in now.things:
            thing._initialize(now.world)

    def step(self, render: bool = True) -> None:
        session.require_world().step()
        if render:
            self.render()

    def render(self, mode: Any = None) -> None:
        """Cameras show what there is now, until the next call."""
        session.require_world()
        for thing in session.current.things:
            thing._draw()


def create_new_stage() -> Usd.Stage:
    return session.current.new_stage()
