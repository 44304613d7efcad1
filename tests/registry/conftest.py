"""A really published experiment, and rivals of it: the same bundle with other figures, written as data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import blueprint_tune
from blueprint_tune.config.identity import task_digest
from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.evaluation.statistics import wilson_interval
from blueprint_tune.export.checksums import CHECKSUMS, checksums_text
from blueprint_tune.registry.published import Published, find

SCENE, POLICY, ROBOT, FIRST = "kitchen_001", "dexterous_pick_place", "franka", "first"
RUN = [
    f"+scene={SCENE}", f"policy={POLICY}", "preset=smoke", "backend=pointmass", "backend.num_envs=16",
    "agent.rollouts=16", "budget.env_steps=512", "budget.report_env_steps=256",
    "evaluation.selection.episodes=2", "evaluation.robustness=off", f"name={FIRST}",
]  # fmt: skip
SEEDS = (42, 123, 456, 789, 1024)
Publish = Callable[..., Published]


@pytest.fixture(scope="session")
def published(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run of everything on the point mass: ``out`` and ``store``."""
    folder = tmp_path_factory.mktemp("registry")
    blueprint_tune.run([*RUN, f"output_dir={folder / 'out'}", f"storage.root={folder / 'store'}"])
    return folder


@pytest.fixture
def store(published: Path, tmp_path: Path) -> Path:
    """A copy of the storage, to be changed."""
    return Path(shutil.copytree(published / "store", tmp_path / "store"))


@pytest.fixture(scope="session")
def change() -> Callable[..., None]:
    """change(file, field=value, …) changes fields of a JSON document."""
    return _change


@pytest.fixture(scope="session")
def seal() -> Callable[..., None]:
    """seal(bundle, field=value, …) changes a bundle's facts and writes its checksums anew."""
    return _seal


@pytest.fixture
def publish(store: Path) -> Publish:
    """publish(name, successes, …) -> a policy beside the first: its bundle, with these episodes."""

    def make(
        name: str, successes: int, *, fails_first: bool = False, smoothness: float = 0.95, jerk: float = 0.1,
        settings: dict[str, Any] | None = None, seeds: tuple[int, ...] = SEEDS, robot: str = ROBOT,
    ) -> Published:  # fmt: skip
        root = store / "scenes" / SCENE / "rl_training"
        if name != FIRST:
            shutil.copytree(root / "policies" / FIRST, root / "policies" / name, dirs_exist_ok=True)
            shutil.copytree(root / "evaluations" / f"eval_{FIRST}", root / "evaluations" / f"eval_{name}")
            shutil.copytree(root / "jobs" / FIRST, root / "jobs" / name)
        _seal(root / "policies" / name, policy_name=name, training_job_id=name, compatible_robots=[robot])
        _write_evaluation(root / "evaluations" / f"eval_{name}", name, successes, fails_first, seeds, robot)
        _report(root / "evaluations" / f"eval_{name}" / "benchmark_report.json", successes, 20 * len(seeds), {
            "action_smoothness": smoothness, "mean_action_jerk": jerk,
        })  # fmt: skip
        digest = _ask(root / "jobs" / name / "config/experiment.yaml", settings or {})
        _change(root / "evaluations" / f"eval_{name}" / "eval_config.json", job_id=name, task_digest=digest)
        _index(root / ".rl_training_complete", name, robot, successes, 20 * len(seeds))
        return find(name, StorageConfig(None, str(store)))

    return make


def _write_evaluation(
    folder: Path, name: str, successes: int, fails_first: bool, seeds: tuple[int, ...], robot: str
) -> None:
    """``successes`` of 20 starts a seed, the first ones or the last ones; zero and random actions fail."""
    starts = [(seed, slot) for seed in seeds for slot in range(20)]
    row = {"reward": 0.0, "length": 5, "completion_time_s": None, "action_change": 0.1, "action_jerk": 0.05}
    won = set(starts[::-1][:successes] if fails_first else starts[:successes])
    rows = [{"seed": s, "slot": k, "success": (s, k) in won, **row} for s, k in starts]
    lost = [{**r, "success": False} for r in rows]
    _change(
        folder / "eval_results.json", job_id=name, eval_id=f"eval_{name}", robot_type=robot, episodes=rows,
        baselines={"zero": lost, "random": lost},
    )  # fmt: skip


def _report(file: Path, successes: int, episodes: int, indicators: dict[str, float]) -> None:
    """The figures of a report, as its rows have them."""
    report = json.loads(file.read_text())
    figures = {
        "successes": successes,
        "success_rate": successes / episodes,
        "success_rate_95ci": list(wilson_interval(successes, episodes)),
    }
    _change(
        file,
        summary=report["summary"] | figures,
        evaluation_config=report["evaluation_config"] | {"num_episodes": episodes},
        sim2real_indicators=report["sim2real_indicators"] | indicators,
    )


def _ask(experiment: Path, settings: dict[str, Any]) -> str:
    """Change what an experiment was asked; the digest of what decides success."""
    tree = yaml.safe_load(experiment.read_text())
    for key, value in settings.items():
        *parents, last = key.split(".")
        node = tree
        for parent in parents:
            node = node[parent]
        node[last] = value
    experiment.write_text(yaml.safe_dump(tree))
    return task_digest(tree["config"], tree["scene_digest"])


def _seal(bundle: Path, **facts: Any) -> None:
    """Change a bundle's facts and write its checksums anew."""
    _change(bundle / "policy_config.json", **facts)
    files = {f.name: f.read_bytes() for f in bundle.iterdir() if f.name != CHECKSUMS}
    (bundle / CHECKSUMS).write_text(checksums_text(files))


def _index(marker: Path, name: str, robot: str, successes: int, episodes: int) -> None:
    """Enter a policy into the scene's index, as publishing does."""
    document = json.loads(marker.read_text())
    entry = document["policies"][FIRST] | {
        "policy_name": name,
        "job_id": name,
        "robot_type": robot,
        "success_rate": successes / episodes,
        "success_rate_95ci": list(wilson_interval(successes, episodes)),
        "policy_path": f"policies/{name}/policy.pt",
        "onnx_path": f"policies/{name}/policy.onnx",
        "eval_path": f"evaluations/eval_{name}/benchmark_report.json",
        "report_path": f"evaluations/eval_{name}/report.html",
    }
    document["policies"][name] = entry
    marker.write_text(json.dumps(document))


def _change(file: Path, **values: Any) -> None:
    """Change fields of a JSON document."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
