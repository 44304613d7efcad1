"""What differs between environments beside their state: mass, friction and size of bodies, and the solver.

A field of the model is given per-environment values the first time something varies it, because MuJoCo
steps a model with one set of values faster.
"""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.base import Starts
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
VARIED = ("mass_scale", "friction_scale", "size_scale", "dt_s", "solver_iterations")
"""Of :class:`Starts`, what is not state."""


class Variation:
    """Gives each environment of a batch its own values; ``now[name]`` is what is in force, as in Starts."""

    def __init__(self, batch: Batch, compiled: CompiledScene) -> None:
        self._batch, self._compiled, self._model = batch, compiled, compiled.model
        names = compiled.free_bodies
        self._bodies = np.array([self._model.body(name).id for name in names], dtype=np.int64)
        self.now = {name: np.ones((batch.nsim, len(names))) for name in VARIED[:3]}
        self.now["dt_s"] = np.full(batch.nsim, self._model.opt.timestep)
        self.now["solver_iterations"] = np.full(batch.nsim, float(self._model.opt.iterations))

    def apply(self, env_ids: Ints, starts: Starts) -> None:
        """Write the values of environments whose factors changed.

        Raises SimulatorError for another size of a body that is made of several primitives.
        """
        heavier = self._changed("mass_scale", env_ids, starts.mass_scale)
        resized = self._changed("size_scale", env_ids, starts.size_scale)
        if len(resized):
            self._write_size(resized)
        if len(heavier) or len(resized):
            ids = np.union1d(heavier, resized)
            self._write_mass(ids)
            self._batch.set_const(ids.astype(np.int32))  # last: it measures lengths by the sizes
        slippery = self._changed("friction_scale", env_ids, starts.friction_scale)
        if len(slippery):
            self._write_friction(slippery)
        self._write_option("opt.timestep", "dt_s", env_ids, starts.dt_s)
        self._write_option("opt.iterations", "solver_iterations", env_ids, starts.solver_iterations)

    def _changed(self, name: str, env_ids: Ints, values: Floats) -> Ints:
        """The environments whose values of a kind are new; they are in force from here on."""
        now = self.now[name]
        new = now[env_ids] != values
        ids = env_ids[new if new.ndim == 1 else new.any(axis=1)]
        now[env_ids] = values
        return ids

    def _write_option(self, option: str, name: str, env_ids: Ints, values: Floats) -> None:
        ids = self._changed(name, env_ids, values)
        if len(ids):  # no constant of the model follows from these, so set_const is not needed
            self._batch.expand(option)[ids] = self.now[name][ids]

    def _write_mass(self, ids: Ints) -> None:
        """Mass as scaled; inertia goes with mass times length squared."""
        model, bodies = self._model, self._bodies
        mass, size = self.now["mass_scale"][ids], self.now["size_scale"][ids]
        columns = (ids[:, None], bodies[None, :])
        self._batch.expand("body_mass")[columns] = model.body_mass[bodies] * mass
        inertia = model.body_inertia[bodies] * (mass * size**2)[..., None]
        self._batch.expand("body_inertia")[columns] = inertia

    def _write_size(self, ids: Ints) -> None:
        model = self._model
        fields = {name: self._batch.expand(name) for name in ("geom_size", "geom_rbound", "geom_aabb")}
        for index, geoms in enumerate(self._compiled.free_geoms):
            scale = self.now["size_scale"][ids, index]
            if len(geoms) > 1:
                if (scale != 1).any():
                    raise SimulatorError(
                        f"'{self._compiled.free_bodies[index]}' is made of {len(geoms)} primitives; only "
                        "one box or cylinder can change its size. Leave size_scale out of policy.events."
                    )
                continue
            fields["geom_size"][ids, geoms[0]] = model.geom_size[geoms[0]] * scale[:, None]
            fields["geom_rbound"][ids, geoms[0]] = model.geom_rbound[geoms[0]] * scale
            aabb = fields["geom_aabb"][ids, geoms[0]].reshape(len(ids), -1)
            aabb[:] = model.geom_aabb[geoms[0]].reshape(1, -1) * scale[:, None]
            fields["geom_aabb"][ids, geoms[0]] = aabb.reshape(fields["geom_aabb"][ids, geoms[0]].shape)

    def _write_friction(self, ids: Ints) -> None:
        model, friction = self._model, self._batch.expand("geom_friction")
        scale = self.now["friction_scale"][ids]
        for index, geoms in enumerate(self._compiled.free_geoms):
            for geom in geoms:
                friction[ids, geom] = model.geom_friction[geom] * scale[:, index, None]
        for index, cloth in enumerate(self._compiled.cloths, len(self._compiled.free_geoms)):
            flex = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_FLEX, cloth.name)
            values = model.flex_friction[flex] * scale[:, index, None]
            self._batch.expand("flex_friction")[ids, flex] = values
            for geom in cloth.geoms:
                friction[ids, geom] = model.geom_friction[geom] * scale[:, index, None]
        # a finger pad's friction has priority over the object's: scale it with the first object's
        for geom in self._compiled.pad_geoms:
            friction[ids, geom] = model.geom_friction[geom] * scale[:, 0, None]

    def save(self) -> dict[str, Floats]:
        """The values in force, copied."""
        return {name: values.copy() for name, values in self.now.items()}
