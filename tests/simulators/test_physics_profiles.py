"""Every field of a physics profile does something in a backend, or is noted as one that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.suggest import leaves, lookup
from blueprint_tune.config.validate import apply_overrides, to_dict
from blueprint_tune.envs.factory import make_env
from blueprint_tune.simulators.mujoco.scene_builder import _set_options
from blueprint_tune.tasks.spec import bind_task

DRAWN = {
    "randomization.dt_jitter_range_s",
    "randomization.friction_scale_range",
    "randomization.solver_noise.dt_noise_ratio",
}
ITERATIONS = {"randomization.solver_iteration_range", "randomization.solver_noise.solver_iteration_noise"}
OPTIONS = {"dt_s", "solver_iterations", "impratio", "mujoco_solver"}
USED = {
    "mujoco": {"name", "substeps"} | OPTIONS | DRAWN | ITERATIONS,
    "isaaclab": {
        "name",
        "substeps",
        "dt_s",
        "solver_iterations",
        "solver_type",
        "enable_gyroscopic_forces",
        "contact_offset_m",
        "rest_offset_m",
        "bounce_threshold_velocity_mps",
        "friction_offset_threshold_m",
        "friction_correlation_distance_m",
        "randomization.friction_scale_range",
    },
    "pointmass": {"name", "substeps", "dt_s"} | DRAWN,
}
ON_CPU = {"isaaclab": ("backend.device=cpu",)}
SOLVER = "+policy.events.solver={kind: solver}"


def another(value: Any) -> Any:
    """A different value that the schema takes."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return {"TGS": "PGS", "PGS": "TGS", "Newton": "CG", "CG": "Newton"}[value]
    if isinstance(value, list):
        return value[:1] if isinstance(value[0], str) else [type(bound)(bound * 2) for bound in value]
    return type(value)(value * 2)


def changed(config: ExperimentConfig, fields: list[str]) -> ExperimentConfig:
    tree = to_dict(config)
    keys = [f"physics.{field}" for field in fields]
    return apply_overrides(config, {key: another(lookup(tree, key.split("."))) for key in keys})


@pytest.mark.parametrize("backend", USED)
def test_every_field_is_used_or_ignored(config: Callable[..., ExperimentConfig], backend: str) -> None:
    settings = config(f"backend={backend}")
    ignored = settings.backend.ignores
    assert len(ignored) == len(set(ignored))
    assert {*ignored, *USED[backend]} == set(leaves(to_dict(settings)["physics"]))
    assert not USED[backend].intersection(ignored)


@pytest.mark.parametrize("backend", USED)
def test_what_is_ignored_changes_nothing_and_is_noted_once(
    config: Callable[..., ExperimentConfig], isaac_double: str, backend: str
) -> None:
    settings = config(f"backend={backend}", "backend.num_envs=2", SOLVER, *ON_CPU.get(backend, ()))
    found = []
    for each in (settings, changed(settings, settings.backend.ignores)):
        env = make_env(each, 1)
        env.reset(np.zeros(2, dtype=np.int64), np.arange(2))
        for step in range(8):
            result = env.step(torch.full((2, env.num_actions), 0.3 * (-1) ** step))
        found.append(result.observations)
        env.close()
    assert torch.equal(*found)
    notes = [note for note in bind_task(settings).notes if note.startswith("physics ")]
    ignored = ", ".join(settings.backend.ignores)
    assert notes == [f"physics 'manipulation_standard': backend '{backend}' has no use for {ignored}."]


@pytest.mark.parametrize("field", sorted(OPTIONS))
def test_what_is_used_reaches_mujocos_options(config: Callable[..., ExperimentConfig], field: str) -> None:
    found = []
    for settings in (config(), changed(config(), [field])):
        option = mujoco.MjSpec().option
        _set_options(option, settings.physics)
        found.append((option.timestep, option.iterations, option.impratio, option.solver))
    assert sum(one != other for one, other in zip(*found, strict=True)) == 1
