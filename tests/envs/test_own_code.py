"""Code that is not this program's: what registers tasks, and a task package's own environment class."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.envs.factory import make_env
from blueprint_tune.envs.own_code import import_tasks
from blueprint_tune.errors import ConfigError, TaskPackageError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from benchlib.packages import write_package

ENV_CFG = """\
from isaaclab.envs import ManagerBasedRLEnvCfg
from isaaclab.managers import RewardTermCfg, TerminationTermCfg
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.utils import configclass
from isaaclab_tasks.point import ActionsCfg, EventsCfg, ObservationsCfg, ReachCfg, time_out

from . import reward_functions


@configclass
class RewardsCfg:
    nearness = RewardTermCfg(func=reward_functions.reward_nearness, weight=1.0)


@configclass
class TerminationsCfg:
    time_out = TerminationTermCfg(func=time_out, time_out=True)
    task_success = TerminationTermCfg(func=reward_functions.near)


@configclass
class KitchenReachEnvCfg(ManagerBasedRLEnvCfg):
    scene: InteractiveSceneCfg = InteractiveSceneCfg(num_envs=1024)
    observations: ObservationsCfg = ObservationsCfg()
    actions: ActionsCfg = ActionsCfg()
    rewards: RewardsCfg = RewardsCfg()
    terminations: TerminationsCfg = TerminationsCfg()
    events: EventsCfg = EventsCfg()

    def __post_init__(self):
        self.decimation = 2
        self.episode_length_s = 2.0
        self.sim.dt = 0.05
"""
REWARDS = """\
import torch


def _distance(env):
    point = env.scene["point"]
    return torch.linalg.vector_norm(point.goal - point.pos, dim=1)


def reward_nearness(env):
    return torch.exp(-_distance(env))


def near(env):
    return _distance(env) < 0.15
"""
TRUST = "backend.trust_package_code=true"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose own class runs as it is, which no generated one does."""
    folder = tmp_path / "scenes" / "kitchen-9" / "isaac_lab"
    folder.mkdir(parents=True)
    (folder / "env_cfg.py").write_text(ENV_CFG)
    (folder / "reward_functions.py").write_text(REWARDS)
    return folder


@pytest.fixture
def undone(isaac_tasks: None, tmp_path: Path) -> Iterator[None]:
    """What a test imports of its own is forgotten, and no simulation is left behind."""
    path = list(sys.path)
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    sys.path[:] = path
    if "isaaclab.sim" in sys.modules:
        sys.modules["isaaclab.sim"].SimulationContext.clear_instance()


def words(folder: Path, *more: str) -> list[str]:
    on_cpu = ["backend.device=cpu", "backend.gpus=0", "backend.num_envs=4", "backend.close_timeout_s=null"]
    return [
        "+scene=package",
        f"scene.package={folder}",
        "backend=isaaclab_task",
        "preset=smoke",
        *on_cpu,
        *more,
    ]


def test_without_trust_nothing_of_a_package_is_run(package: Path) -> None:
    (package / "env_cfg.py").write_text(f"raise SystemExit('run')\n{ENV_CFG}")
    with pytest.raises(
        ConfigError, match=r"code that came with the package .*backend\.trust_package_code=true"
    ):
        compose(words(package))


@pytest.mark.parametrize("with_init", [False, True])
def test_a_trusted_packages_class_is_run_as_part_of_its_package(
    undone: None, package: Path, with_init: bool
) -> None:
    if with_init:
        (package / "__init__.py").write_text("from .env_cfg import KitchenReachEnvCfg\n")
    cfg = compose(words(package, TRUST))
    assert (cfg.scene.id, cfg.backend.success) == ("kitchen-9", "termination:task_success")
    env = make_env(cfg, 1)
    assert env.reward_terms == ("nearness",) and env.max_episode_steps == 20 and env.num_envs == 4
    for _ in range(20):
        result = env.step(2.0 * env.observations[:, :2] - env.observations[:, 2:])
    assert result.success_now.shape == (4,)
    env.close()


def test_a_generated_package_fails_with_what_reading_it_shows(undone: None, tmp_path: Path) -> None:
    folder = write_package(tmp_path, "drawer_manipulation")
    with pytest.raises(TaskPackageError) as caught:
        make_env(compose(words(folder, TRUST)), 1)
    said = str(caught.value)
    assert "its environment class does not run on Isaac Lab: " in said
    assert "SceneEntityCfg has no prim_path" in said and "env_cfg.py:" in said, "validate's finding"
    assert "blueprint-tune validate" in said and "backend=mujoco" in said


def test_a_package_says_who_its_policy_is_of(tmp_path: Path) -> None:
    cfg = compose(words(write_package(tmp_path, "drawer_manipulation"), TRUST))
    assert (cfg.policy.name, cfg.policy.family, cfg.robot.name) == (
        "drawer_manipulation",
        "external",
        "franka",
    )
    assert cfg.policy.rewards == {} and cfg.robot.model == "none"


def test_other_than_one_class_is_refused(undone: None, package: Path) -> None:
    with (package / "env_cfg.py").open("a") as file:
        file.write("\n\n@configclass\nclass OtherEnvCfg(KitchenReachEnvCfg):\n    pass\n")
    with pytest.raises(TaskPackageError, match="found KitchenReachEnvCfg, OtherEnvCfg"):
        make_env(compose(words(package, TRUST)), 1)


def test_what_was_installed_is_imported_before_what_is_there(undone: None, tmp_path: Path) -> None:
    (tmp_path / "first_tasks").mkdir()
    (tmp_path / "first_tasks/__init__.py").write_text("import sys\nsys.brought = __name__\n")
    (tmp_path / "second_tasks.py").write_text("import sys\nsys.second = True\n")
    import_tasks(str(tmp_path), ())
    assert sys.brought == "first_tasks" and sys.second
    assert sys.path[0] == str(tmp_path)


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (
            "import nothing_of_this_name",
            TaskPackageError,
            "importing 'tasks_9', which registers tasks, failed",
        ),
        ("1 / 0", TaskPackageError, r"ZeroDivisionError: division by zero \(.*tasks_9/__init__\.py:1\)"),
        ("raise SystemExit(3)", TaskPackageError, "SystemExit: 3"),
        (None, ConfigError, r"no module 'tasks_9'. backend.env_package brought other"),
    ],
)
def test_what_fails_when_it_is_imported_is_told(
    undone: None, tmp_path: Path, content: str | None, error: type[Exception], said: str
) -> None:
    name = "other" if content is None else "tasks_9"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text(content or "")
    with pytest.raises(error, match=said):
        import_tasks(str(tmp_path), ("tasks_9",))


def test_the_process_that_would_run_it_checks_trust_again(undone: None, package: Path) -> None:
    (package / "env_cfg.py").write_text("raise SystemExit('run')\n")
    cfg = compose(words(package, TRUST))
    cfg = replace(cfg, backend=replace(cfg.backend, trust_package_code=False))
    with pytest.raises(ConfigError, match="is not trusted"):
        make_env(cfg, 1)
