"""The stages after the search, called as Ray calls them but in this process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from blueprint_tune.config.compose import apply_overrides, compose, to_dict
from blueprint_tune.envs.factory import make_env
from blueprint_tune.errors import ExportMismatch, SimulatorError
from blueprint_tune.learning.trainer import Trainer
from blueprint_tune.tuning.closing import _STAGES
from blueprint_tune.tuning.workers import Finalist, Job

CFG = compose(
    [
        "+scene=kitchen_001",
        "preset=smoke",
        "backend=pointmass",
        "backend.num_envs=16",
        "evaluation.video=true",
    ]
)
SAMPLE = {"agent.policy_hidden_dims": [8, 8]}


@pytest.fixture
def finalist(tmp_path: Path) -> Finalist:
    """A prepared finalist with an untrained policy of a sampled size."""
    env = make_env(CFG, 1)
    Trainer(env, apply_overrides(CFG, SAMPLE)).save(tmp_path / "checkpoint.pt")
    env.close()
    job = Job(
        config=to_dict(CFG),
        sample=SAMPLE,
        checkpoint=str(tmp_path / "checkpoint.pt"),
        evaluation_dir=str(tmp_path / "evaluation"),
        bundle_dir=str(tmp_path / "bundle"),
        name="exp",
        policy_name="exp",
        eval_id="eval_exp",
        timestamp="2026-01-01T00:00:00+00:00",
        summary={"job_id": "exp", "benchmark_success_rate": None},
        updates=1,
        env_steps=256,
        training_time_s=1.0,
        input_hash="0" * 12,
        content_hash="1" * 12,
        num_threads=1,
    )
    it = Finalist(job)
    assert it.prepare()["max_episode_steps"] > 1
    return it


def test_all_stages_measure_and_write(finalist: Finalist, tmp_path: Path) -> None:
    outcome: dict[str, Any] = {}
    for method, _, _ in _STAGES[1:]:
        outcome |= getattr(finalist, method)()
    json.dumps(outcome, allow_nan=False)  # plain numbers
    low, high = outcome["success_interval"]
    assert low <= outcome["success_rate"] <= high
    assert outcome["episodes"] == len(CFG.evaluation.seeds) * CFG.evaluation.episodes_per_seed
    assert set(outcome["baselines"]) == {"zero", "random"}
    assert outcome["onnx_difference"] <= CFG.evaluation.onnx_tolerance
    assert {p.name for p in (tmp_path / "evaluation").iterdir()} >= {
        "benchmark_report.json",
        "scene.png",
        "policy.gif",
    }
    assert not outcome["video_success"]  # an untrained policy
    summary = json.loads((tmp_path / "bundle/training_summary.json").read_text())
    assert summary["benchmark_success_rate"] == outcome["success_rate"]
    config = json.loads((tmp_path / "bundle/policy_config.json").read_text())
    assert config["architecture"]["actor_hidden_dims"] == [8, 8]


def test_shares_of_the_stages_add_up() -> None:
    assert sum(share for _, _, share in _STAGES) == pytest.approx(1.0)


def test_without_a_renderer_the_reason_is_kept_and_the_run_goes_on(
    finalist: Finalist, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*size: int) -> None:
        raise SimulatorError("no OpenGL here\nlong story")

    monkeypatch.setattr(finalist._env, "render", fail)
    assert finalist.picture() == {"picture": None, "picture_missing": "no OpenGL here"}
    assert finalist.video() == {"video": None}


def test_a_film_that_fails_does_not_fail_the_run(finalist: Finalist, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*size: object) -> None:
        raise SimulatorError("the screen went dark\nlong story")

    finalist.picture()
    monkeypatch.setattr(finalist._env, "render", fail)
    assert finalist.video() == {"video": None, "video_missing": "the screen went dark"}


def test_an_onnx_policy_that_behaves_otherwise_is_refused(finalist: Finalist) -> None:
    finalist.benchmark()
    finalist.export()
    episodes = finalist._result.num_episodes
    finalist._result = replace(finalist._result, success=np.ones(episodes, dtype=bool))
    with pytest.raises(ExportMismatch, match="policy.onnx succeeds in 0% .* in 100%.*Nothing is published"):
        finalist.onnx_benchmark()
    assert not Path(finalist._job.bundle_dir).exists(), "what is refused could be taken for good"


@pytest.mark.parametrize("more", [4, 5])
def test_a_few_episodes_that_end_otherwise_are_no_other_policy(finalist: Finalist, more: int) -> None:
    """The graph fails in all episodes; the trained policy is taken to have succeeded in so many more."""
    finalist.benchmark()
    finalist.export()
    success = np.zeros(finalist._result.num_episodes, dtype=bool)
    success[:more] = True
    finalist._result = replace(finalist._result, success=success)
    assert finalist.onnx_benchmark() == {"onnx_success_rate": 0.0}


def test_the_best_of_those_that_play_again_goes_on(
    finalist: Finalist, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(finalist._job, trial_id="first", selection_rate=0.9, sample={}, repeats_default=True)
    second = replace(finalist._job, trial_id="second", selection_rate=0.8)
    env = make_env(CFG, 1)
    Trainer(env, CFG).save(Path(first.checkpoint).with_name("first.pt"))
    env.close()
    first = replace(first, checkpoint=str(Path(first.checkpoint).with_name("first.pt")))
    it = Finalist(first, [second], eligible=2)
    it.prepare()
    luck = iter([np.zeros(8, dtype=bool), np.ones(8, dtype=bool)])
    played: list[tuple[list[int], int]] = []

    def play(env: Any, policy: Any, seeds: list[int], episodes: int, *rest: Any) -> Any:
        played.append((seeds, episodes))
        return SimpleNamespace(success=next(luck))

    monkeypatch.setattr("blueprint_tune.evaluation.benchmark.run_benchmark", play)
    assert it.reevaluate() == {"reevaluated": {"first": 0.0, "second": 1.0}}
    again = CFG.evaluation.reevaluation
    assert again != "off" and played == [([again.seed], again.episodes)] * 2
    assert it._job is second and it._cfg.agent.policy_hidden_dims == [8, 8]
    monkeypatch.undo()
    it.benchmark()
    document = it._selection()
    assert document["winners_curse_gap"] == pytest.approx(0.9)
    assert document["ties"] == [] and document["seeds"] == [again.seed]


def test_one_trial_plays_again_against_nobody(finalist: Finalist) -> None:
    assert finalist.reevaluate() == {"reevaluated": {}}


def test_the_policy_promoted_last_is_compared_with(finalist: Finalist, tmp_path: Path) -> None:
    rows = [{"seed": 42, "slot": 0, "success": True}]
    it = Finalist(replace(finalist._job, incumbent={"job_id": "champion", "episodes": rows}))
    for method in ("prepare", "benchmark", "documents"):
        getattr(it, method)()
    report = json.loads((tmp_path / "evaluation/benchmark_report.json").read_text())
    last = report["comparison_to_baseline"]["last_promoted"]
    assert last["policy_name"] == "champion" and last["improvement_points"] == -1.0
