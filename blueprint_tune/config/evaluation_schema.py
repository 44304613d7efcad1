"""The types of ``conf/evaluation/``: how trials are compared, and what is told of the best one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from blueprint_tune.config.fields import STRICT, Count, Fraction, NonNegative, Positive


@dataclass(config=STRICT)
class SelectionConfig:
    """The short evaluation inside training that trials are compared by."""

    seed: int
    episodes: Count
    max_time_fraction: Annotated[float, Field(gt=0, le=0.5)]


@dataclass(config=STRICT)
class ReevaluationConfig:
    """The second look at the best trials, before one of them is declared the winner."""

    trials: Count
    """The best so many by the selection evaluation; 1 = the selection's word is final."""
    seed: int
    episodes: Count


@dataclass(config=STRICT)
class RobustnessConfig:
    """Success when the task is not quite as it was trained; an empty list leaves a perturbation out."""

    episodes_per_seed: Count
    """Of the benchmark's seeds, under each perturbation."""
    friction: list[Positive]
    """Factors, on everything that lies loose."""
    mass: list[Positive]
    action_delay: list[Count]
    """Env steps."""
    observation_noise: list[Positive]
    """Standard deviations, as shares of each observation's own in the benchmark."""


@dataclass(config=STRICT)
class GatesConfig:
    """What a policy must reach to be promoted, beside being better than the champion; null = nothing."""

    min_success_rate: Fraction | None = None
    """Of the benchmark's episodes."""
    min_smoothness: Fraction | None = None
    """``action_smoothness`` of ``benchmark_report.json``: 1 - normalised second difference of actions."""
    max_jerk: NonNegative | None = None
    """``mean_action_jerk``: the mean change of an action from one env step to the next, 0 to 2."""


@dataclass(config=STRICT)
class EvaluationConfig:
    """The benchmark after training, and what the exported policy must match."""

    name: str
    seeds: Annotated[list[int], Field(min_length=1)]
    episodes_per_seed: Count
    baselines: bool
    """Also run a zero-action and a random policy on the same starts."""
    video: bool
    """Also film the policy from the first start."""
    selection: SelectionConfig
    onnx_tolerance: Positive
    reevaluation: ReevaluationConfig | Literal["off"] = "off"
    robustness: RobustnessConfig | Literal["off"] = "off"
    noise_floor: Annotated[int, Field(ge=3)] | None = None
    """Train the default settings with so many seeds, to tell how far apart trials may lie by chance."""
    gates: GatesConfig = Field(default_factory=GatesConfig)
    promote: bool = False
    """Put the published policy forward as the champion of its scene, policy type and robot."""
