"""Whole runs on the point-mass backend: from overrides to published policy, again, interrupted, refused."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import yaml

import blueprint_tune
from blueprint_tune import pipeline
from blueprint_tune.errors import BlueprintTuneError, ConfigError, StorageError

ENV = {**os.environ, "PYTHONPATH": str(Path(blueprint_tune.__file__).parents[1]), "PYTHONUNBUFFERED": "1"}


SWEEP = ["sweep=random", "sweep.num_samples=2", "sweep.concurrent_trials=1"]


SECRET = "storage.endpoint=http://me:hunter2@127.0.0.1:9"  # which a folder has no use for


TRACKED = ["logger=wandb", "logger.wandb.mode=offline"] if importlib.util.find_spec("wandb") else []


def overrides(folder: Path, *more: str) -> list[str]:
    sizes = [
        "backend=pointmass",
        "backend.num_envs=16",
        "agent.rollouts=16",
        "evaluation.selection.episodes=2",
    ]
    budget = ["budget.env_steps=1024", "budget.report_env_steps=256"]
    places = [f"output_dir={folder / 'out'}", f"storage.root={folder / 'store'}"]
    task = ["+scene=kitchen_001", "policy=dexterous_pick_place", "preset=smoke"]
    return [*task, *sizes, *budget, *places, *more]


@pytest.fixture(scope="module")
def finished(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """One run of everything, for the tests that look at what it left."""
    folder = tmp_path_factory.mktemp("run")
    return folder, blueprint_tune.run(overrides(folder, *SWEEP, *TRACKED, SECRET))


def test_a_run_returns_what_it_measured_and_where_it_is(finished: tuple[Path, Any]) -> None:
    folder, result = finished
    assert result.path.parent == folder / "out" and result.path.name == result.name
    low, high = result.success_interval
    assert 0 <= low <= result.success_rate <= high <= 1
    assert [t.index for t in result.trials] == [0, 1]
    assert result.trials[0].sample["agent.learning_rate"] == 4.5e-4, "the default settings first"
    best = next(t for t in result.trials if t.trial_id == result.best_trial)
    assert result.best_config.agent.learning_rate == pytest.approx(best.sample["agent.learning_rate"])
    assert set(result.metrics["baselines"]) == {"zero", "random"}
    assert result.metrics["onnx_difference"] <= 1e-4
    assert result.metrics["env_steps"] == 1024 and result.duration_s > 1


@pytest.mark.skipif(not TRACKED, reason="Weights & Biases is an extra: pip install 'blueprint-tune[wandb]'")
def test_every_trial_was_told_to_the_tracker(finished: tuple[Path, Any]) -> None:
    result = finished[1]
    known = json.loads((result.path / "loggers/wandb.json").read_text())
    trials = {trial.trial_id for trial in result.trials}
    assert set(known["runs"]) == {*trials, "experiment"}
    assert known["sent"] == dict.fromkeys(trials, 1024)
    runs = {path.stem for path in (result.path / "loggers/wandb").glob("offline-run-*/*.wandb")}
    assert runs == {f"run-{run_id}" for run_id in known["runs"].values()}


def test_the_layout_is_complete_and_the_marker_last(finished: tuple[Path, Any]) -> None:
    root = finished[0] / "store/scenes/kitchen_001/rl_training"
    for pattern in (
        "jobs/*/config/experiment.yaml",
        "jobs/*/checkpoints/checkpoint_final.pt",
        "jobs/*/metrics/training_curves.json",
        "jobs/*/trials/*/metrics.csv",
        "jobs/*/logs/tensorboard/events*",
        "jobs/*/.complete",
        "policies/*/policy.onnx",
        "evaluations/*/report.html",
    ):
        assert list(root.glob(pattern)), pattern
    marker = root / ".rl_training_complete"
    newest = max((p for p in root.rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime_ns)
    assert newest.stat().st_mtime_ns == marker.stat().st_mtime_ns
    onnxruntime.InferenceSession(str(next(root.glob("policies/*/policy.onnx"))))


def test_a_secret_stays_in_the_experiments_own_document(finished: tuple[Path, Any]) -> None:
    folder, result = finished
    places = [
        folder / "store",
        result.path / "report.html",
        result.path / "evaluation",
        result.path / "loggers",
    ]
    files = [file for place in places for file in (place, *place.rglob("*")) if file.is_file()]
    assert [file for file in files if b"hunter2" in file.read_bytes()] == [] and len(files) > 20
    published = yaml.safe_load(next((folder / "store").rglob("experiment.yaml")).read_text())
    assert published["config"]["storage"]["endpoint"] == "(hidden)"
    assert "storage.endpoint=(hidden)" in published["overrides"]
    kept = yaml.safe_load((result.path / "experiment.yaml").read_text())
    assert kept["config"]["storage"]["endpoint"] == SECRET.partition("=")[2]


def test_the_report_says_what_was_changed_from_the_defaults(finished: tuple[Path, Any]) -> None:
    html = (finished[1].path / "report.html").read_text()
    assert "agent.rollouts" in html and "evaluation.selection.episodes" in html
    job = json.loads(next(finished[0].rglob("job_config.json")).read_text())
    assert job["overrides"]["backend.num_envs"] == 16
    assert "sweep=random" in job["command"]


def test_the_same_input_again_gives_the_finished_result(
    finished: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, result = finished
    again = blueprint_tune.run(overrides(folder, *SWEEP))
    assert (again.trials, again.success_rate) == (result.trials, result.success_rate)
    assert again.published == result.published
    said = capsys.readouterr().out
    assert "finished already" in said and str(result.published.report) in said


def copied(finished: tuple[Path, Any], folder: Path) -> Path:
    """The finished experiment as if it had been run in ``folder``, to be published in ``folder / store``."""
    path = folder / "out" / finished[1].name
    shutil.copytree(finished[1].path, path)
    document = path / "experiment.yaml"
    document.write_text(document.read_text().replace(str(finished[0]), str(folder)))
    return path


def test_a_result_of_other_code_says_what_has_changed(
    finished: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = copied(finished, tmp_path) / "experiment.yaml"
    tree = yaml.safe_load(document.read_text())
    tree["provenance"] |= {"code_digest": "0" * 12, "git_commit": None}
    document.write_text(yaml.safe_dump(tree))
    blueprint_tune.run(overrides(tmp_path, *SWEEP))
    said = " ".join(capsys.readouterr().out.split())
    assert "finished already (force=true runs it again)" in said
    assert "Changed since: the program's code (code 000000000000 then" in said


def test_a_finished_result_is_published_where_it_is_asked_for(
    finished: tuple[Path, Any], tmp_path: Path
) -> None:
    copied(finished, tmp_path)
    elsewhere = blueprint_tune.run(overrides(tmp_path, *SWEEP))
    assert elsewhere.published.root != finished[1].published.root
    assert Path(elsewhere.published.marker).exists()
    assert Path(elsewhere.published.marker).is_relative_to(tmp_path / "store")


def test_where_publishing_fails_nothing_is_lost_and_resume_publishes(
    finished: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copied(finished, tmp_path)
    (path / "result.json").unlink()  # everything but publishing is done
    (tmp_path / "store").write_text("a file where the folder should be")
    monkeypatch.setattr(pipeline, "_outcome", _only_what_is_there(pipeline._outcome))
    with pytest.raises(StorageError, match="Nothing is lost.*without training again") as error:
        blueprint_tune.run(overrides(tmp_path, *SWEEP))
    assert f"blueprint-tune resume {path}" in str(error.value)
    (tmp_path / "store").unlink()
    result = blueprint_tune.resume(path)
    assert Path(result.published.marker).exists() and result.trials == finished[1].trials


def _only_what_is_there(outcome: Any) -> Any:
    def checked(dossier: Any, session: Any, progress: Any) -> Any:
        assert (dossier.folder.evaluation / "outcome.json").exists(), "evaluated again"
        return outcome(dossier, session, progress)

    return checked


def run_process(folder: Path, *more: str, command: Sequence[str] = ()) -> subprocess.Popen[str]:
    """The command line in a process group of its own, as in a terminal."""
    words = [sys.executable, "-m", "blueprint_tune", *(command or overrides(folder, *more))]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENV, start_new_session=True
    )


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError("".join(lines))


def test_killed_and_resumed_is_as_never_stopped(finished: tuple[Path, Any], tmp_path: Path) -> None:
    """The whole Ray is killed in the first trial, then the driver in the second; a checkpoint is damaged."""
    process = run_process(tmp_path, *SWEEP, "name=killed")
    try:
        lines = read_until(process, "trial 0  512/1.0k")
        kill_ray(process.pid)
        rest = process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert "starting Ray" in "".join(lines) and "left" in lines[-1]
    assert not any("Traceback" in line or "WARNING" in line or "ray." in line for line in lines), lines
    path = tmp_path / "out/killed"
    assert process.returncode == 2 and f"blueprint-tune resume {path}" in rest, rest
    process = run_process(tmp_path, command=["resume", str(path)])
    try:
        lines = read_until(process, "trial 1  512/1.0k")
    finally:
        process.kill()
        process.communicate()
    whole = finished[1]
    done, begun = sorted(p for p in (path / "trials").iterdir() if p.is_dir())
    kept = (done / "result.json").read_bytes()
    newest = max(begun.glob("checkpoint_*/checkpoint.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    result = blueprint_tune.resume(path)
    assert (done / "result.json").read_bytes() == kept, "a finished trial is not trained again"
    assert result.success_rate == whole.success_rate and result.best_config.agent.rollouts == 16
    for ours, theirs in zip(result.trials, whole.trials, strict=True):
        assert ours.sample == theirs.sample and ours.status == "completed"
        assert [updates for updates, _ in ours.checkpoints] == [updates for updates, _ in theirs.checkpoints]
        rows = [told_reports(r.path / "trials" / t.trial_id) for r, t in ((result, ours), (whole, theirs))]
        assert rows[0] == rows[1] and len(rows[0]) == 4


def told_reports(folder: Path) -> list[dict[str, Any]]:
    """Every line of a trial's reports without what depends on the clock."""
    rows = [json.loads(line) for line in (folder / "result.json").read_text().splitlines()]
    return [{k: v for k, v in row.items() if _is_timeless(k)} for row in rows]


def kill_ray(driver: int) -> None:
    """Kill -9 what Ray consists of under a driver, its trials left alone."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == driver and (b"gcs_server" in command or b"raylet/raylet" in command):
            os.kill(int(process.name), signal.SIGKILL)


def _is_timeless(key: str) -> bool:
    return not key.startswith(("perf/", "time", "elapsed"))


def test_ctrl_c_in_a_terminal_says_how_to_go_on(tmp_path: Path) -> None:
    process = run_process(tmp_path, "budget.env_steps=65536", "name=stopped")
    try:
        read_until(process, "trial 0")
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"blueprint-tune resume {tmp_path / 'out/stopped'}" in rest and "Traceback" not in rest


def test_what_is_no_experiment_cannot_be_resumed(tmp_path: Path) -> None:
    (tmp_path / "kitchen-one").mkdir()
    (tmp_path / "kitchen-one/experiment.yaml").write_text("{}")
    with pytest.raises(ConfigError, match="is not an experiment.*Did you mean 'kitchen-one'"):
        blueprint_tune.resume(tmp_path / "kitchen-on")
    with pytest.raises(ConfigError, match="is incomplete"):
        blueprint_tune.resume(tmp_path / "kitchen-one")


def test_a_scene_that_has_changed_is_not_mixed_into_a_resume(tmp_path: Path) -> None:
    from blueprint_tune.config.paths import assets_dir

    manifest = tmp_path / "scene_manifest.json"
    manifest.write_bytes((assets_dir() / "scenes/kitchen_001/scene_manifest.json").read_bytes())
    words = overrides(tmp_path, "name=changed", f"scene.manifest={manifest}", "sweep.resources.cpus=512")
    with pytest.raises(ConfigError, match="sweep.resources.cpus=512"):
        blueprint_tune.run(words)  # an experiment that is begun, and no more
    manifest.write_text(manifest.read_text() + "\n")
    with pytest.raises(BlueprintTuneError, match="the scene has changed"):
        blueprint_tune.resume(tmp_path / "out/changed")


def test_importing_the_package_is_light() -> None:
    heavy = "{'torch', 'ray', 'mujoco', 'hydra', 'numpy', 'rich'}"
    code = f"import sys, blueprint_tune; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV, check=True)
    assert done.stdout.strip() == "set()"


def test_the_driver_loads_neither_torch_nor_a_simulator(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from blueprint_tune import pipeline, dossier\n"
        "from blueprint_tune.tuning import experiment, closing\n"
        "from blueprint_tune.tasks.spec import bind_task\n"
        "from blueprint_tune.config.compose import compose\n"
        "bind_task(compose(['+scene=kitchen_001', 'preset=smoke']))\n"
        "print({'torch', 'mujoco', 'skrl', 'onnx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV, check=True)
    assert done.stdout.strip() == "set()"
