"""Whole runs of tasks that bring their own environment, on the double of Isaac Lab, as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml
from jsonschema import validate

import blueprint_tune
from blueprint_tune.schemas import load_schema

ROOT = Path(blueprint_tune.__file__).parents[1]
DOUBLE = Path(__file__).parent / "isaac_task_double"
ENV = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(DOUBLE)]),
    "PYTHONUNBUFFERED": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say no isolation: built with the setuptools that is here
    "PIP_NO_INDEX": "1",
}
pytestmark = pytest.mark.timeout(900)  # whole runs; with others on the same cores they take minutes
ON_CPU = [
    "backend=isaaclab_task",
    "backend.device=cpu",
    "backend.gpus=0",
    "backend.num_envs=64",
    "preset=quick",
]
SHORT = ["evaluation.episodes_per_seed=4", "evaluation.selection.episodes=64"]

PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "mine-tasks"
version = "0.1"
dependencies = ["isaaclab"]

[tool.setuptools]
packages = ["mine_tasks"]
"""
REGISTER = """\
import gymnasium

gymnasium.register(
    id="Mine-Reach-v0",
    entry_point="isaaclab.envs:ManagerBasedRLEnv",
    kwargs={"env_cfg_entry_point": "mine_tasks.task:MineCfg"},
    disable_env_checker=True,
)
"""
TASK = """\
from isaaclab.utils import configclass
from isaaclab_tasks.point import ReachCfg


@configclass
class MineCfg(ReachCfg):
    def __post_init__(self):
        self.episode_length_s = 3.0
"""


def words(folder: Path, *more: str) -> list[str]:
    places = [f"output_dir={folder / 'out'}", f"storage.root={folder / 'store'}", "logger.progress=lines"]
    return [*ON_CPU, *SHORT, *places, *more]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "blueprint_tune", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENV,
        start_new_session=True,
    )


def done(*arguments: str, status: int = 0) -> str:
    process = start(*arguments)
    said, _ = process.communicate(timeout=800)
    assert process.returncode == status, said
    assert "Traceback" not in said
    return said


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of tasks as its author publishes it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "mine_tasks").mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "mine_tasks/__init__.py").write_text(REGISTER)
    (folder / "mine_tasks/task.py").write_text(TASK)
    build = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(folder / "dist")]
    subprocess.run([*build, str(folder)], check=True, capture_output=True)
    (built,) = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, sdist: Path) -> tuple[Path, str]:
    """A training of the package's task: where it was done, and what was said."""
    folder = tmp_path_factory.mktemp("learned")
    budget = ["budget.env_steps=57344", "budget.report_env_steps=28672", "budget.first_rung_env_steps=28672"]
    task = ["backend.task=Mine-Reach-v0", f"backend.env_package={sdist}", "robot.name=point"]
    return folder, done(*words(folder, *task, *budget, "name=mine", "backend.cameras=true"))


def test_it_learns_the_task_of_a_package_and_publishes_the_policy(learned: tuple[Path, str]) -> None:
    folder, _ = learned
    root = folder / "store/scenes/Mine-Reach-v0/rl_training"
    report = json.loads((root / "evaluations/eval_mine/benchmark_report.json").read_text())
    validate(report, load_schema("benchmark_report"))
    assert report["summary"]["success_rate"] >= 0.9 and report["evaluation_config"]["num_episodes"] == 20
    baselines = report["comparison_to_baseline"]["baselines"]
    assert max(row["success_rate"] for row in baselines.values()) <= 0.5
    assert [row["perturbation"] for row in report["robustness"]] == ["none", *["observation_noise"] * 2]
    assert report["sim2real_indicators"]["max_joint_acceleration"] is None, "never measured, so not invented"
    config = json.loads((root / "policies/mine/policy_config.json").read_text())
    validate(config, load_schema("policy_config"))
    assert config["observation_space"] == {"to_goal": 2, "velocity": 2, "total_dim": 4}
    assert config["compatible_robots"] == ["point"] and config["control_hz"] == pytest.approx(10.0)
    assert config["world"] == {"up": "z", "robot_base": None, "end_effector": None, "roles": {}}
    assert config["actions"][0]["meaning"].startswith("the task's own action: -1 for -1, 1 for 1")
    session = onnxruntime.InferenceSession(root / "policies/mine/policy.onnx")
    (actions,) = session.run(["actions"], {"observations": np.array([[1, 0, 0, 0]], dtype=np.float32)})
    assert actions[0, 0] > 0.3, "towards the goal"
    assert (root / ".rl_training_complete").is_file()


def test_the_report_says_what_is_the_tasks_own_and_what_is_weaker(learned: tuple[Path, str]) -> None:
    folder, said = learned
    page = (folder / "out/mine/report.html").read_text()
    for sentence in (
        "Mine-Reach-v0&#39; brings its own environment",
        "an episode succeeds when the task&#39;s termination term &#39;success&#39; is true",
        "cannot save all of its state",
        "with the same backend.num_envs only",
        "was installed and its code run",
    ):
        assert sentence in page, sentence
    assert "data:image/png;base64" in page and "There is no picture" not in page, "backend.cameras=true"
    assert "backend.task" in page and "installing the environment package" in said
    reward = "reward/reaching"
    rows = [json.loads(line) for line in next((folder / "out/mine/trials").glob("*/result.json")).open()]
    assert rows[-1][reward] > rows[1][reward] > 0.0, "the task's own terms, as it logs them"


def test_the_package_is_installed_once_in_the_experiments_folder(
    learned: tuple[Path, str], sdist: Path
) -> None:
    home = learned[0] / "out/mine"
    assert (home / "env_package/mine_tasks/task.py").read_text() == TASK
    assert "Successfully installed mine" in (home / "env_package.pip.log").read_text()
    tree = yaml.safe_load((home / "experiment.yaml").read_text())
    assert (
        tree["config"]["backend"]["env_package"] == str(sdist)
        and tree["config"]["backend"]["env_path"] is None
    )


def test_the_policy_plays_again_alike_from_experiment_and_bundle(
    learned: tuple[Path, str], sdist: Path
) -> None:
    folder, _ = learned
    home, published = folder / "out/mine", folder / "store/scenes/Mine-Reach-v0/rl_training/policies/mine"
    off = ["evaluation.robustness=off", "evaluation.baselines=false"]
    done("evaluate", str(home), *off, "--out", str(folder / "again"))
    task = ["backend.task=Mine-Reach-v0", f"backend.env_package={sdist}"]
    bundle = [*ON_CPU, *SHORT, *task, *off, "--out", str(folder / "bundle"), "--against", str(home)]
    assert "this one is better by +0.00" in done("evaluate", str(published), *bundle)
    returns = [
        [row["reward"] for row in json.loads((place / "eval_results.json").read_text())["episodes"]]
        for place in (home / "evaluation", folder / "again", folder / "bundle")
    ]
    assert returns[0] == returns[1] == returns[2], "the same starts, step by step"
    assert "backend=isaaclab_task backend.task=" in done("evaluate", str(published), status=2)


def test_a_killed_training_goes_on_from_its_checkpoint_with_new_episodes(tmp_path: Path) -> None:
    budget = ["budget.env_steps=20480", "budget.report_env_steps=4096", "budget.first_rung_env_steps=4096"]
    often = ["budget.checkpoint_every_reports=1", "evaluation.robustness=off", "evaluation.baselines=false"]
    task = ["backend.task=Isaac-Lift-Point-v0", "backend.success=return:2", "sweep.metric=eval/return"]
    process = start(*words(tmp_path, *budget, *often, *task, "name=killed"))
    try:
        read_until(process, "8.2k/20k")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    said = done("resume", str(tmp_path / "out/killed"))
    assert "its running episodes begin anew, so it ends otherwise than an uninterrupted one" in said
    (trial,) = (path for path in (tmp_path / "out/killed/trials").iterdir() if path.is_dir())
    rows = [json.loads(line) for line in (trial / "result.json").open()]
    steps = [row["env_steps"] for row in rows]
    assert steps == sorted(set(steps)) and steps[-1] == 20480 and len(steps) == 6
    assert all(np.isfinite(row["eval/return"]) for row in rows)


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if text in line:
            return
    raise AssertionError("".join(said))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["backend.task=Isaac-Lift-Point-v0"], "no such termination term; its terms are time_out, outside"),
        (["backend.task=A", "backend.env_package=nowhere.tar.gz"], "nowhere.tar.gz: No such file"),
    ],
)
def test_what_cannot_run_ends_with_one_message(tmp_path: Path, more: Sequence[str], said: str) -> None:
    out = done(*words(tmp_path, *more), status=2)
    assert said in out
    assert "restarts from its last checkpoint" not in out, "what every trial shares is not tried again"
