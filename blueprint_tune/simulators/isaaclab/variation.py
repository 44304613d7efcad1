"""What differs between environments beside their state: mass and friction, given to PhysX by the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.base import Starts
from blueprint_tune.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from blueprint_tune.simulators.isaaclab.world import World

Ints = NDArray[np.int64]

FRICTION_STEP = 0.02
"""Factors on friction are rounded to this: PhysX holds at most 64000 different materials."""
_FIXED = {"size_scale": "size_scale", "dt_s": "solver", "solver_iterations": "solver"}
"""Of :class:`Starts`, what cannot differ, and the kind of event that would have it differ."""


class Variation:
    """Gives environments their own masses and frictions; what is in force already is not written again."""

    def __init__(self, world: World, task: TaskSpec, free_bodies: tuple[str, ...], num_envs: int) -> None:
        self._world = world
        self._nominal = {
            "size_scale": 1.0,
            "dt_s": task.physics.dt_s,
            "solver_iterations": float(task.physics.solver_iterations),
        }
        shape = (num_envs, len(free_bodies))
        self._now = {"mass_scale": np.ones(shape), "friction_scale": np.ones(shape)}

    def apply(self, env_ids: Ints, starts: Starts) -> None:
        """Write what is new for these environments. Raises SimulatorError for what cannot differ."""
        for field, nominal in self._nominal.items():
            if not np.allclose(getattr(starts, field), nominal, rtol=1e-9, atol=0.0):
                raise SimulatorError(
                    f"backend 'isaaclab' cannot change {field} from environment to environment. Leave the "
                    f"event of kind '{_FIXED[field]}' out of policy.events, or use backend=mujoco."
                )
        for column in range(self._now["mass_scale"].shape[1]):
            ids, factors = self._changed("mass_scale", env_ids, starts.mass_scale, column)
            if len(ids):
                self._world.scale_masses(ids, column, factors)
            rounded = np.round(starts.friction_scale / FRICTION_STEP) * FRICTION_STEP
            ids, factors = self._changed("friction_scale", env_ids, rounded, column)
            if len(ids):
                self._world.scale_frictions(ids, column, factors)

    def _changed(
        self, name: str, env_ids: Ints, values: NDArray[np.float64], column: int
    ) -> tuple[Ints, NDArray[np.float64]]:
        """The environments whose factor is new, and the factors; they are in force from here on."""
        new = self._now[name][env_ids, column] != values[:, column]
        ids, factors = env_ids[new], values[new, column]
        self._now[name][ids, column] = factors
        return ids, factors

    def save(self) -> dict[str, Any]:
        """What is in force, copied."""
        return {name: torch.from_numpy(values.copy()) for name, values in self._now.items()}
