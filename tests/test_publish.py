from __future__ import annotations

import csv
import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import StorageError
from blueprint_tune.publish import FinishedRun, publish
from blueprint_tune.reporting.curves import TrialCurves
from blueprint_tune.reporting.job import JobFacts
from blueprint_tune.schemas import SCHEMAS, load_schema
from blueprint_tune.storage import local

JOB = "kitchen_001-drawer-asha"
Make = Callable[..., FinishedRun]


def _rows(success: float) -> tuple[dict[str, float], ...]:
    return tuple(
        {
            "env_steps": 2048.0 * k,
            "updates": float(k),
            "timestamp": 1.8e9 + k,
            "eval/success_rate": success * k / 3,
            "train/return": 3.0 * k,
            "reward_weighted/joint_progress": 0.5 * k,
            "reward/joint_progress": 0.1 * k,
            "loss/policy": 0.01,
            "agent/learning_rate": 1e-3,
        }
        for k in (1, 2, 3)
    )


TRIALS = (
    TrialCurves("a1b2c_00000", "completed", {}, _rows(0.9)),
    TrialCurves(
        "a1b2c_00001", "stopped", {"agent.learning_rate": 0.003, "agent.rollouts": 24}, _rows(0.3)[:1]
    ),
    TrialCurves("a1b2c_00002", "failed", {"agent.learning_rate": 0.5}, ()),
)


def _report(success: float) -> dict[str, Any]:
    return {
        "summary": {"success_rate": success, "success_rate_95ci": [success - 0.05, min(1.0, success + 0.05)]}
    }


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def finished(
        job_id: str = JOB, success: float = 0.9, updates: tuple[int, ...] = (1, 2, 3), **changes: Any
    ) -> FinishedRun:
        work = tmp_path / "work" / job_id
        for folder in ("bundle", "evaluation", "trial"):
            (work / folder).mkdir(parents=True, exist_ok=True)
        for name in (
            "policy.pt",
            "policy.onnx",
            "policy_config.json",
            "training_summary.json",
            "checksums.sha256",
        ):
            (work / "bundle" / name).write_text(f"{name} of {job_id}")
        for name in ("eval_config.json", "eval_results.json", "benchmark_report.json"):
            (work / "evaluation" / name).write_text(json.dumps(_report(success)))
        for k in updates:
            (work / f"{k}.pt").write_text(f"checkpoint {k}")
        (work / "trial/events.out.tfevents.1").write_text("events")
        (work / "trial/result.json").write_text("not an event file")
        for name in ("report.html", "experiment.yaml", "training.log"):
            (work / name).write_text(name)
        cfg = _config(tmp_path / "store", job_id)
        job = JobFacts(
            job_id=job_id,
            status="completed",
            created_at="2026-01-08T12:00:00+00:00",
            started_at="2026-01-08T12:00:05+00:00",
            finished_at="2026-01-08T12:10:00+00:00",
            best_trial="a1b2c_00000",
            num_trials=3,
            num_failed=1,
            input_hash="0123456789ab",
            content_hash="ba9876543210",
            command="python -m blueprint_tune +scene=kitchen_001 sweep=asha",
        )
        run = FinishedRun(
            cfg=cfg,
            best_cfg=replace(cfg, agent=replace(cfg.agent, learning_rate=0.002)),
            changes={"agent.learning_rate": 0.002},
            job=job,
            policy_name=job_id,
            eval_id=f"eval_{job_id}",
            trials=TRIALS,
            max_episode_steps=250,
            checkpoints=tuple((k, work / f"{k}.pt") for k in updates),
            experiment_yaml=work / "experiment.yaml",
            bundle=work / "bundle",
            evaluation=work / "evaluation",
            report=work / "report.html",
            tensorboard=work / "trial",
            log=work / "training.log",
        )
        return replace(run, **changes)

    return finished


@functools.cache
def _composed() -> ExperimentConfig:
    return compose(["+scene=kitchen_001", "policy=drawer_manipulation", "sweep=asha", "preset=smoke"])


def _config(store: Path, name: str) -> ExperimentConfig:
    cfg = _composed()
    return replace(cfg, name=name, storage=replace(cfg.storage, root=str(store)))


def _layout(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_no_secret_is_published_and_the_own_folder_keeps_it(make: Make, tmp_path: Path) -> None:
    cluster = {"runtime_env": {"env_vars": {"API_TOKEN": "hunter2"}, "pip": [{"token": "hunter2"}]}}
    tree = {
        "overrides": ["+cluster.runtime_env.env_vars.API_TOKEN=hunter2"],
        "config": {"cluster": cluster, "storage": {"endpoint": "http://u:hunter2@host"}, "seed": 1},
    }
    sampled = TrialCurves("a1b2c_00001", "stopped", {"cluster.my_token": "hunter2"}, TRIALS[0].rows)
    run = make(changes={"cluster.my_token": "hunter2", "seed": 1}, trials=(TRIALS[0], sampled))
    run = replace(run, best_cfg=replace(run.best_cfg, name="https://u:hunter2@host"))
    run.experiment_yaml.write_text(yaml.safe_dump(tree))
    publish(run)
    published = {p.name: p.read_text() for p in (tmp_path / "store").rglob("*") if p.is_file()}
    assert [name for name, text in published.items() if "hunter2" in text] == []
    assert yaml.safe_load(published["experiment.yaml"])["config"]["seed"] == 1
    assert json.loads(published["job_config.json"])["overrides"] == {
        "cluster.my_token": "(hidden)",
        "seed": 1,
    }
    assert yaml.safe_load(run.experiment_yaml.read_text()) == tree


def test_the_layout(make: Make, tmp_path: Path) -> None:
    paths = publish(make())
    root = tmp_path / "store/scenes/kitchen_001/rl_training"
    job, policy, evaluation = f"jobs/{JOB}", f"policies/{JOB}", f"evaluations/eval_{JOB}"
    trials = [
        f"{job}/trials/a1b2c_0000{k}/{name}" for k in range(3) for name in ("config.yaml", "metrics.csv")
    ]
    assert _layout(root) == sorted(
        [
            ".rl_training_complete",
            *(
                f"{evaluation}/{n}"
                for n in ("benchmark_report.json", "eval_config.json", "eval_results.json")
            ),
            f"{evaluation}/report.html",
            f"{job}/.complete",
            *(f"{job}/checkpoints/checkpoint_{n}.pt" for n in ("000001", "000002", "final")),
            *(f"{job}/config/{n}" for n in ("experiment.yaml", "job_config.json", "train_cfg.yaml")),
            f"{job}/job_status.json",
            f"{job}/logs/tensorboard/events.out.tfevents.1",
            f"{job}/logs/training.log",
            *(f"{job}/metrics/{n}" for n in ("final_metrics.json", "metrics.csv", "training_curves.json")),
            *trials,
            *(
                f"{policy}/{n}"
                for n in ("checksums.sha256", "policy.onnx", "policy.pt", "policy_config.json")
            ),
            f"{policy}/training_summary.json",
        ]
    )
    assert (root / f"{job}/checkpoints/checkpoint_final.pt").read_text() == "checkpoint 3"
    assert paths.root == str(root)
    assert Path(paths.report).read_text() == "report.html"
    assert Path(paths.marker).is_file()
    assert [Path(p).is_dir() for p in (paths.job, paths.policy, paths.evaluation)] == [True] * 3


def test_the_markers_are_the_last_files(make: Make, tmp_path: Path) -> None:
    publish(make())
    root = tmp_path / "store/scenes/kitchen_001/rl_training"
    times = {name: (root / name).stat().st_mtime_ns for name in _layout(root)}
    job_marker = times.pop(f"jobs/{JOB}/.complete")
    assert max(times.values()) == times.pop(".rl_training_complete")
    assert job_marker >= max(times.values())


def test_documents_fit_their_schemas(make: Make, tmp_path: Path) -> None:
    publish(make())
    root = tmp_path / "store/scenes/kitchen_001/rl_training"
    entry = Resource.from_contents(load_schema("job_complete"))
    registry: Registry = Registry().with_resource("job_complete.schema.json", entry)
    for name in _layout(root):
        known = SCHEMAS.get(Path(name).name)
        if known and not name.startswith(("policies", "evaluations")):
            schema = load_schema(known)
            Draft202012Validator(schema, registry=registry).validate(json.loads((root / name).read_text()))


def test_curves_and_metrics_are_the_best_trials(make: Make, tmp_path: Path) -> None:
    paths = publish(make())
    curves = json.loads((Path(paths.job) / "metrics/training_curves.json").read_text())
    assert curves["trial_id"] == "a1b2c_00000"
    assert [i["iteration"] for i in curves["iterations"]] == [1, 2, 3]
    assert curves["iterations"][2]["metrics"]["success_rate"] == pytest.approx(0.9)
    assert curves["iterations"][2]["metrics"]["fps"] is None
    assert curves["reward_components"] == {"joint_progress": [0.5, 1.0, 1.5]}
    with (Path(paths.job) / "metrics/metrics.csv").open() as file:
        assert [row["reward/joint_progress"] for row in csv.DictReader(file)] == [
            "0.1",
            "0.2",
            "0.30000000000000004",
        ]
    settings = yaml.safe_load((Path(paths.job) / "trials/a1b2c_00001/config.yaml").read_text())
    assert settings["sampled"] == {"agent.learning_rate": 0.003, "agent.rollouts": 24}


def test_train_cfg_is_in_upstreams_names_as_used(make: Make) -> None:
    run = make()
    train_cfg = yaml.safe_load((Path(publish(run).job) / "config/train_cfg.yaml").read_text())
    assert train_cfg["algo"]["learning_rate"] == 0.002
    assert train_cfg["algo"]["gamma"] == run.cfg.agent.discount_factor
    assert train_cfg["env"] == {"num_envs": run.cfg.backend.num_envs, "episode_length": 250}
    assert set(train_cfg["rewards"]) == set(run.cfg.policy.rewards)
    per_update = run.cfg.agent.rollouts * run.cfg.backend.num_envs
    assert (train_cfg["runner"]["max_iterations"] - 1) * per_update < run.cfg.budget.env_steps
    assert train_cfg["runner"]["max_iterations"] * per_update >= run.cfg.budget.env_steps


def test_the_index_keeps_other_jobs(make: Make) -> None:
    publish(make("first", success=0.7))
    marker = json.loads(Path(publish(make("second", success=0.8)).marker).read_text())
    assert marker["job_id"] == "second"
    assert marker["final_success_rate"] == 0.8
    assert {name: entry["success_rate"] for name, entry in marker["policies"].items()} == {
        "first": 0.7,
        "second": 0.8,
    }
    assert marker["policies"]["first"]["eval_path"] == "evaluations/eval_first/benchmark_report.json"


def test_publishing_again_replaces_and_leaves_nothing_behind(make: Make) -> None:
    publish(make(updates=(1, 2, 3)))
    paths = publish(make(updates=(7,), success=0.95, tensorboard=None, log=None))
    assert [p.name for p in (Path(paths.job) / "checkpoints").iterdir()] == ["checkpoint_final.pt"]
    assert (Path(paths.job) / "checkpoints/checkpoint_final.pt").read_text() == "checkpoint 7"
    assert not (Path(paths.job) / "logs").exists()
    assert json.loads((Path(paths.job) / ".complete").read_text())["success_rate"] == 0.95


def test_upstreams_own_marker_is_replaced(make: Make, tmp_path: Path) -> None:
    marker = tmp_path / "store/scenes/kitchen_001/rl_training/.rl_training_complete"
    marker.parent.mkdir(parents=True)
    marker.write_text('{"scene_id": "kitchen_001", "job_id": "old"}')
    publish(make())
    assert list(json.loads(marker.read_text())["policies"]) == [JOB]


@pytest.mark.parametrize("content", ["", "not json", "[1]", '{"policies": 3}'])
def test_a_damaged_marker_is_not_overwritten(make: Make, tmp_path: Path, content: str) -> None:
    marker = tmp_path / "store/scenes/kitchen_001/rl_training/.rl_training_complete"
    marker.parent.mkdir(parents=True)
    marker.write_text(content)
    with pytest.raises(StorageError, match="the result itself is in place"):
        publish(make())
    assert marker.read_text() == content


def test_a_disk_that_fills_up_changes_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(make(success=0.7))
    root = tmp_path / "store"
    before = {name: (root / name).read_bytes() for name in _layout(root)}
    left = 20

    def fsync(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(local.os, "fsync", fsync)
    with pytest.raises(StorageError, match="disk is full"):
        publish(make(success=0.8))
    assert {name: (root / name).read_bytes() for name in _layout(root)} == before


@pytest.mark.parametrize("bad", ["../x", "/abs", "a/b", "", ".hidden", "a\0b", "a b", "x" * 200, "ü"])
def test_ids_cannot_leave_their_folder(make: Make, tmp_path: Path, bad: str) -> None:
    run = make()
    scene = replace(run.cfg, scene=replace(run.cfg.scene, id=bad))
    trial = replace(TRIALS[1], trial_id=bad)
    for hostile in (
        replace(run, job=replace(run.job, job_id=bad)),
        replace(run, policy_name=bad),
        replace(run, eval_id=bad),
        replace(run, cfg=scene),
        replace(run, trials=(TRIALS[0], trial)),
    ):
        with pytest.raises(StorageError, match="cannot name a folder"):
            publish(hostile)
    assert not (tmp_path / "store").exists()


def test_the_packages_own_env_cfg_is_kept_with_the_job_unless_it_is_a_link(
    make: Make, tmp_path: Path
) -> None:
    package = tmp_path / "isaac_lab"
    package.mkdir()
    run = make()
    run = replace(run, cfg=replace(run.cfg, scene=replace(run.cfg.scene, package=str(package))))
    kept = tmp_path / f"store/scenes/kitchen_001/rl_training/jobs/{JOB}/config/env_cfg.py"
    (package / "env_cfg.py").symlink_to(tmp_path / "work" / JOB / "report.html")
    publish(run)
    assert not kept.exists()
    (package / "env_cfg.py").unlink()
    (package / "env_cfg.py").write_text("class KitchenEnvCfg: ...")
    publish(run)
    assert kept.read_text() == "class KitchenEnvCfg: ..."
