"""Experiments on Isaac Lab's test double, through the command line, from composing to publishing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

import blueprint_tune

BACKEND = ["backend=isaaclab", "backend.device=cpu", "backend.gpus=0", "backend.num_envs=8"]
SMALL = ["preset=smoke", "agent.rollouts=8", "budget.report_env_steps=128", "evaluation.selection.episodes=2"]


def start(folder: Path, double: str, *words: str) -> subprocess.Popen[str]:
    """The program in a process and a group of its own, all that it says on its output."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([double, str(Path(blueprint_tune.__file__).parents[1])])
    return subprocess.Popen(
        [sys.executable, "-m", "blueprint_tune", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )


def overrides(folder: Path, *more: str) -> list[str]:
    places = [f"output_dir={folder / 'out'}", f"storage.root={folder / 'store'}"]
    return ["+scene=kitchen_001", *SMALL, *BACKEND, *places, *more]


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for the end; what was said."""
    try:
        said, _ = process.communicate(timeout=500)
    finally:
        process.kill()
    assert process.returncode == 0, said
    return said


def read_until(process: subprocess.Popen[str], text: str) -> None:
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return
    raise AssertionError("".join(lines))


def reports(experiment: Path) -> list[list[dict[str, Any]]]:
    """The reports of each trial, in their order."""
    files = sorted((experiment / "trials").glob("*/result.json"), key=lambda path: path.parent.name)
    return [[json.loads(line) for line in file.read_text().splitlines()] for file in files]


def check_published(folder: Path) -> None:
    root = folder / "store/scenes/kitchen_001/rl_training"
    assert (root / ".rl_training_complete").is_file()
    policy = onnxruntime.InferenceSession(str(next(root.glob("policies/*/policy.onnx"))))
    assert policy.get_inputs()[0].name == "observations"
    assert list(root.glob("evaluations/*/report.html"))


@pytest.mark.timeout(900)
def test_a_search_keeps_its_simulator_warm_between_trials(tmp_path: Path, isaac_double: str) -> None:
    search = ["sweep=random", "sweep.num_samples=2", "sweep.concurrent_trials=1", "budget.env_steps=256"]
    words = overrides(tmp_path, "policy=drawer_manipulation", "name=warm", *search)
    said = finish(start(tmp_path, isaac_double, *words))
    trials = reports(tmp_path / "out/warm")
    assert [[row["env_steps"] for row in rows] for rows in trials] == [[64, 128, 256]] * 2, said
    assert [rows[-1]["perf/warm_simulator"] for rows in trials] == [0.0, 1.0], said
    rates = [row["eval/success_rate"] for rows in trials for row in rows]
    assert all(0.0 <= rate <= 1.0 for rate in rates)
    check_published(tmp_path)


@pytest.mark.timeout(900)
def test_a_killed_training_is_resumed_from_its_checkpoint(tmp_path: Path, isaac_double: str) -> None:
    words = overrides(tmp_path, "policy=dexterous_pick_place", "name=killed", "budget.env_steps=512")
    process = start(tmp_path, isaac_double, *words)
    try:
        read_until(process, "trial 0  256/")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    said = finish(start(tmp_path, isaac_double, "resume", str(tmp_path / "out/killed")))
    (rows,) = reports(tmp_path / "out/killed")
    assert [row["env_steps"] for row in rows] == [64, 128, 256, 384, 512], said
    check_published(tmp_path)
