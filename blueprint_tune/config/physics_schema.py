"""The types of a physics profile: what ``conf/physics/`` holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from blueprint_tune.config.fields import STRICT, NonNegative, Range

CombineMode = Literal["average", "min", "multiply", "max"]


@dataclass(config=STRICT)
class SolverNoise:
    """Upstream's solver meta-randomisation: what a policy's event of kind ``solver`` draws."""

    dt_noise_ratio: Annotated[float, Field(ge=0, lt=1)]
    solver_iteration_noise: Annotated[int, Field(ge=0)]
    contact_offset_noise_ratio: Annotated[float, Field(ge=0, lt=1)]
    friction_combine_modes: list[CombineMode]
    restitution_combine_modes: list[CombineMode]


@dataclass(config=STRICT)
class PhysicsRandomization:
    """Upstream's ranges; a policy's events say which of them are applied."""

    dt_jitter_range_s: Range
    solver_iteration_range: Annotated[list[int], Field(min_length=2, max_length=2)]
    contact_offset_range_m: Range
    friction_scale_range: Range
    solver_noise: SolverNoise


@dataclass(config=STRICT)
class PhysicsConfig:
    """One of upstream's physics profiles. What each field means per backend: the profile's comments."""

    name: str
    dt_s: Annotated[float, Field(gt=0, le=0.05)]
    substeps: Annotated[int, Field(ge=1, le=100)]
    solver_iterations: Annotated[int, Field(ge=1, le=1000)]
    solver_type: Literal["TGS", "PGS"]
    enable_gyroscopic_forces: bool
    enable_stabilization: bool
    contact_offset_m: NonNegative
    rest_offset_m: NonNegative
    bounce_threshold_velocity_mps: NonNegative
    friction_offset_threshold_m: NonNegative
    friction_correlation_distance_m: NonNegative
    randomization: PhysicsRandomization
    impratio: Annotated[float, Field(ge=1, le=1000)]
    mujoco_solver: Literal["Newton", "CG"]
