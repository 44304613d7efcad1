"""Cloth that lies, is spread out anywhere, is pinched and lifted, and stays of the size it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.simulators.mujoco.cloth import MOST_NODES, SPACING_M, grid, nodes
from blueprint_tune.simulators.mujoco.simulator import MujocoSimulator
from blueprint_tune.tasks.geometry import quat_about, quat_matrix
from blueprint_tune.tasks.spec import bind_task

CORNERS = [f"target/corner_{i}" for i in range(4)]


@pytest.fixture
def laundry(
    new_env: Callable[..., ManipulationEnv], benchmark: Callable[[str], list[str]]
) -> MujocoSimulator:
    """Two environments of the laundry at their nominal start."""
    simulator = new_env(*benchmark("laundry_sorting"), "backend=mujoco", num_envs=2).simulator
    assert isinstance(simulator, MujocoSimulator)
    simulator.reset(np.arange(2), simulator.nominal.take(np.zeros(2, dtype=np.int64)))
    return simulator


def frames(simulator: MujocoSimulator, *names: str) -> torch.Tensor:
    """(N, len(names), 3) positions."""
    return simulator.state.frame_pos[:, [simulator.state.catalog.frames.index(name) for name in names]]


def test_it_is_spread_out_where_an_episode_puts_it(laundry: MujocoSimulator) -> None:
    column = len(laundry.free_bodies) - 1
    starts = laundry.nominal.take(np.zeros(2, dtype=np.int64))
    starts.body_pos[:, column] += [[0.03, -0.05, 0.2], [0.0, 0.04, 0.3]]
    starts.body_quat[:, column] = [quat_about((0, 0, 1), 0.7), quat_about((0, 1, 0), -0.4)]
    laundry.reset(np.arange(2), starts)
    cloth = laundry.compiled.cloths[0]
    outline = cloth.local[[0, nodes_along(cloth.local) - 1, -nodes_along(cloth.local), -1]]
    for i in range(2):
        expected = starts.body_pos[i, column] + outline @ quat_matrix(starts.body_quat[i, column]).T
        np.testing.assert_allclose(frames(laundry, *CORNERS)[i], expected, atol=1e-5)
        np.testing.assert_allclose(frames(laundry, "target")[i, 0], starts.body_pos[i, column], atol=1e-5)


def nodes_along(local: np.ndarray) -> int:
    return int((local[:, 0] == local[0, 0]).sum())


def test_it_comes_to_rest_on_what_it_lies_on(laundry: MujocoSimulator) -> None:
    before = frames(laundry, "target").clone()
    laundry.step(round(1.0 / laundry.physics_dt_s))
    assert ((frames(laundry, "target") - before).norm(dim=2) < 0.01).all()
    target = laundry.state.catalog.frames.index("target")
    assert (laundry.state.frame_linvel[:, target].norm(dim=1) < 0.01).all()


def test_its_edges_keep_their_length(laundry: MujocoSimulator) -> None:
    starts = laundry.nominal.take(np.zeros(2, dtype=np.int64))
    column = len(laundry.free_bodies) - 1
    starts.body_pos[:, column, 2] += 1.0  # over the arm
    starts.body_quat[:, column] = quat_about((1, 0, 0), 0.8)
    laundry.reset(np.arange(2), starts)
    wide = frames(laundry, *CORNERS[:2]).diff(dim=1).norm(dim=2)
    laundry.step(round(0.15 / laundry.physics_dt_s))  # in free fall, tilted
    falling = frames(laundry, *CORNERS[:2]).diff(dim=1).norm(dim=2)
    torch.testing.assert_close(falling, wide, rtol=0.02, atol=0)


@pytest.mark.parametrize(
    ("extent_m", "count"), [(0.05, 3), (0.111, 4), (0.112, 5), (0.5, MOST_NODES), (0.01, 2)]
)
def test_neighbours_are_near_enough_for_a_grasp_until_there_are_too_many(
    config: Callable[..., ExperimentConfig],
    benchmark: Callable[[str], list[str]],
    extent_m: float,
    count: int,
) -> None:
    (cloth,) = bind_task(config(*benchmark("laundry_sorting"))).cloths
    piece = replace(cloth, size=np.array([extent_m, 0.1, 0.01]))
    assert nodes(piece)[0] == count
    spacing = np.diff(np.unique(grid(piece)[:, 0])).max()
    assert spacing <= SPACING_M or count == MOST_NODES


def test_a_pinched_cloth_is_lifted(
    new_env: Callable[..., ManipulationEnv], benchmark: Callable[[str], list[str]]
) -> None:
    env = new_env(*benchmark("laundry_sorting"), "backend=mujoco", num_envs=2)
    env.reset(np.zeros(2, dtype=np.int64), np.arange(2))
    simulator = env.simulator
    starts = simulator.nominal.take(np.zeros(2, dtype=np.int64))
    simulator.reset(np.arange(2), starts)
    env.actions.restart(np.arange(2), simulator)
    ee, cloth = (simulator.state.catalog.frames.index(name) for name in ("robot/ee", "target"))
    before = simulator.state.frame_pos[:, cloth, 2].clone()
    for step in range(70):
        action = torch.zeros(2, env.num_actions)
        way = simulator.state.frame_pos[:, cloth] - simulator.state.frame_pos[:, ee]
        action[:, :2] = (way[:, :2] / 0.04).clamp(-1, 1)
        action[:, 2] = (way[:, 2] / 0.04).clamp(-1, 1) if step < 30 else 0.0
        action[:, -1] = 1.0 if step < 30 else -1.0
        if step >= 40:
            action[:, :3] = torch.tensor([0.0, 0.0, 0.15])
        env.step(action)
    risen = simulator.state.frame_pos[:, cloth, 2] - before
    assert (risen > 0.05).all()


def test_its_friction_differs_between_environments(laundry: MujocoSimulator) -> None:
    starts = laundry.nominal.take(np.zeros(2, dtype=np.int64))
    starts.friction_scale[:, -1] = [1.0, 0.5]
    laundry.reset(np.arange(2), starts)
    friction = laundry._batch.expand("flex_friction")[:, 0, 0]
    np.testing.assert_allclose(friction[1], 0.5 * friction[0])
