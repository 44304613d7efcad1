"""The parts of PhysX's tensor views that Isaac Lab's users call: rigid bodies and articulations."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from pxr import Gf
from torch import Tensor

from isaac_physics.world import World


def rows(indices: Tensor) -> NDArray[np.int64]:
    """The environments that PhysX is asked to write; it takes tensors only."""
    if not isinstance(indices, Tensor):
        raise TypeError(f"indices must be a torch tensor, not {type(indices).__name__}.")
    return indices.detach().cpu().numpy().astype(np.int64)


def _on_cpu(data: Tensor, indices: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Masses, inertias and materials live on the CPU whatever the simulation's device is."""
    for tensor in (data, indices):
        if tensor.device.type != "cpu":
            raise RuntimeError(f"Expected a CPU tensor, got one on {tensor.device}.")
    envs = rows(indices)
    return data.double().numpy()[envs], envs


class _Shapes:
    """Materials of the shapes of some bodies, one body after the other."""

    def __init__(self, world: World, paths: list[str]) -> None:
        self._world = world
        self._bodies = [world.model.body(path).id for path in paths]
        shapes = [np.flatnonzero(world.model.geom_bodyid == body) for body in self._bodies]
        self._geoms = [geom for of_body in shapes for geom in of_body if world.model.geom_contype[geom]]
        materials = [material for path in paths for material in world.built.materials[path]]
        values = [[m.static_friction, m.dynamic_friction, m.restitution] for m in materials]
        self._materials = torch.tensor(values).view(1, -1, 3).repeat(world.num_envs, 1, 1)

    @property
    def count(self) -> int:
        return self._world.num_envs

    def get_material_properties(self) -> Tensor:
        """(N, shapes, 3): static and dynamic friction, restitution."""
        return self._materials.clone()

    def set_material_properties(self, data: Tensor, indices: Tensor) -> None:
        values, envs = _on_cpu(data, indices)
        self._materials[envs] = torch.from_numpy(values).float()
        self._world.set_friction(self._geoms, envs, values[:, :, 1])


class RigidBodyView(_Shapes):
    """One rigid body per environment; setters take all data and write the rows of ``indices``."""

    def __init__(self, world: World, path: str) -> None:
        super().__init__(world, [path])
        self._path, self._body = path, self._bodies[0]

    def get_masses(self) -> Tensor:
        return torch.from_numpy(self._world.values("body_mass")[:, [self._body]]).float()

    def set_masses(self, data: Tensor, indices: Tensor) -> None:
        values, envs = _on_cpu(data, indices)
        self._world.vary("body_mass", envs, self._body, values.reshape(-1, 1))

    def get_inertias(self) -> Tensor:
        """(N, 9) about the centre of mass, in the axes of the link."""
        turn, diagonal = self._turn(), self._world.values("body_inertia")[:, self._body]
        return torch.from_numpy((turn * diagonal[:, None] @ turn.T).reshape(-1, 9)).float()

    def set_inertias(self, data: Tensor, indices: Tensor) -> None:
        values, envs = _on_cpu(data, indices)
        turn = self._turn()
        principal = turn.T @ values.reshape(-1, 3, 3) @ turn
        diagonal = np.diagonal(principal, axis1=1, axis2=2)
        if not np.allclose(principal, np.eye(3) * diagonal[:, None], atol=1e-4 * diagonal.max()):
            raise ValueError(f"'{self._path}': the double keeps the principal axes of an inertia.")
        self._world.vary("body_inertia", envs, self._body, diagonal[:, None])

    def _turn(self) -> NDArray[np.float64]:
        """(3, 3) principal axes of the inertia in those of the link."""
        w, x, y, z = self._world.model.body_iquat[self._body]
        return np.array(Gf.Matrix3d(Gf.Quatd(w, x, y, z))).T


class ArticulationView(_Shapes):
    """One articulation with a fixed base per environment."""

    def __init__(self, world: World, path: str) -> None:
        super().__init__(world, world.built.links[path])
        self._links = np.array(self._bodies, dtype=np.int64)
        self._dofs = np.array(
            [world.model.joint(name).id for name in world.built.joints[path]], dtype=np.int64
        )

    def get_jacobians(self) -> Tensor:
        """(N, B-1, 6, J): without the root, which does not move."""
        return self._world.jacobian(self._links[1:], self._dofs)

    def get_masses(self) -> Tensor:
        return torch.from_numpy(self._world.values("body_mass")[:, self._links]).float()
