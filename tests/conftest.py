"""What tests of several folders share: composed configs, environments, a private Ray."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

import blueprint_tune.simulators.mujoco  # noqa: F401  chooses how to draw before a test imports mujoco
from blueprint_tune.config.compose import compose
from blueprint_tune.config.paths import conf_dir
from blueprint_tune.config.schema import ClusterConfig, ExperimentConfig

if TYPE_CHECKING:
    from blueprint_tune.envs.manipulation import ManipulationEnv

SMALL_NETWORKS = ("agent.policy_hidden_dims=[16]", "agent.value_hidden_dims=[16]")


@lru_cache(maxsize=64)
def _config(*overrides: str) -> ExperimentConfig:
    scene = () if any(word.startswith("+scene=") for word in overrides) else ("+scene=kitchen_001",)
    policy = ("policy=dexterous_pick_place",) if scene and not _names_a_policy(overrides) else ()
    return compose([*scene, *policy, "preset=smoke", *SMALL_NETWORKS, *overrides])


def _names_a_policy(overrides: tuple[str, ...]) -> bool:
    return any(word.startswith("policy=") for word in overrides)


@pytest.fixture(scope="session")
def config() -> Callable[..., ExperimentConfig]:
    """config(*overrides) -> a composed experiment, smoke preset, tiny networks; picking in kitchen_001."""
    return _config


@pytest.fixture(scope="session")
def benchmark() -> Callable[[str], list[str]]:
    """benchmark(policy) -> the overrides with which a policy type is measured: scene, policy, robot."""

    def overrides(policy: str) -> list[str]:
        file = yaml.safe_load((conf_dir() / "policy" / f"{policy}.yaml").read_text())
        where = file["benchmark"]
        return [f"+scene={where['scene']}", f"policy={policy}", *where["overrides"]]

    return overrides


@pytest.fixture
def new_env(config: Callable[..., ExperimentConfig]) -> Iterator[Callable[..., ManipulationEnv]]:
    """new_env(*overrides, num_envs=…, num_threads=…) -> an environment, closed after the test."""
    import torch

    from blueprint_tune.envs.factory import make_env

    torch.set_num_threads(1)
    opened: list[ManipulationEnv] = []

    def make(*overrides: str, num_envs: int = 4, num_threads: int = 1) -> ManipulationEnv:
        opened.append(make_env(config(f"backend.num_envs={num_envs}", *overrides), num_threads))
        return opened[-1]

    yield make
    for env in opened:
        env.close()


@pytest.fixture(scope="session")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One private Ray of two CPUs for all tests that need one: starting it takes seconds."""
    from blueprint_tune.tuning.session import RaySession

    log = tmp_path_factory.mktemp("ray") / "ray.log"
    with RaySession(ClusterConfig(address=None, num_cpus=2), log) as session:
        session.start()
        yield


@pytest.fixture
def isaac_double() -> Iterator[str]:
    """The folder of Isaac Lab's test double, importable here and in the processes that are started here.

    For one test: experiments record which Isaac Lab is installed, and go on only with that one.

    BLUEPRINT_TUNE_ISAACLAB=real (scripts/test-gpu isaaclab) leaves it away: tests meet Isaac Lab itself.
    """
    folder = str(Path(__file__).parent / "isaac_double")
    if os.environ.get("BLUEPRINT_TUNE_ISAACLAB") == "real":
        yield folder
        return
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = folder if before is None else os.pathsep.join([folder, before])
    sys.path.insert(0, folder)
    yield folder
    sys.path.remove(folder)
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
