"""What runs in a process of its own after the search, where simulator and torch may be loaded."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.config.compose import apply_overrides, to_config
from blueprint_tune.config.identity import task_digest
from blueprint_tune.errors import ExportMismatch

if TYPE_CHECKING:
    from torch import nn

    from blueprint_tune.evaluation.benchmark import BenchmarkResult
    from blueprint_tune.evaluation.robustness import Perturbed
    from blueprint_tune.export.contract import PolicyFacts

PICTURE_FILE, VIDEO_FILE = "scene.png", "policy.gif"


@dataclass(frozen=True)
class Job:
    """What a finalist is about; plain, to be sent to its process.

    Attributes:
        config: the composed config, plain. sample: the best trial's searched keys and values.
        checkpoint: file. evaluation_dir, bundle_dir: what is written. name: the experiment's.
        policy_name, eval_id, timestamp: for the documents. summary: the document ``training_summary.json``.
        updates, env_steps, training_time_s: at the checkpoint. input_hash, content_hash: of the experiment.
        num_threads: of physics.
        trial_id: Ray's. selection_rate: what the trial was compared by, if that is its success.
        repeats_default: it runs the default settings with a seed of its own.
        incumbent: the document ``eval_results.json`` of the policy promoted last, to be compared with.
    """

    config: Mapping[str, Any]
    sample: Mapping[str, Any]
    checkpoint: str
    evaluation_dir: str
    bundle_dir: str
    name: str
    policy_name: str
    eval_id: str
    timestamp: str
    summary: Mapping[str, Any]
    updates: int
    env_steps: int
    training_time_s: float
    input_hash: str
    content_hash: str
    num_threads: int
    trial_id: str = ""
    selection_rate: float | None = None
    repeats_default: bool = False
    incumbent: Mapping[str, Any] | None = None


class Finalist:
    """Holds the scene and the best policy; methods are called in the order they stand here."""

    def __init__(self, job: Job, rivals: Sequence[Job] = (), eligible: int = 1) -> None:
        """``job``: of the trial that the selection puts first. ``rivals``: those that play again beside it.

        The first ``eligible`` of all of them may win; the others are there to be compared with.
        """
        self._job, self._jobs, self._eligible = job, (job, *rivals), eligible

    def prepare(self) -> dict[str, Any]:
        """Build the environment of the task as its file states it, and load the policy."""
        import torch

        from blueprint_tune.envs.factory import make_env
        from blueprint_tune.evaluation.winner import Candidate

        base = to_config(self._job.config)
        self._cfg = apply_overrides(base, self._job.sample)
        torch.set_num_threads(self._cfg.agent.torch_threads)
        # the number of environments may have been halved because more do not fit into memory
        self._env = make_env(replace(base, backend=self._cfg.backend), self._job.num_threads)
        self._policy = self._load(self._job)
        self._candidates = [
            Candidate(job.trial_id, job.selection_rate, job.repeats_default, None) for job in self._jobs
        ]
        self._robustness: tuple[Perturbed, ...] = ()
        self._baselines: dict[str, BenchmarkResult] = {}
        return {"max_episode_steps": self._env.max_episode_steps, "control_dt_s": self._env.control_dt_s}

    def _load(self, job: Job) -> nn.Module:
        from blueprint_tune.learning.agents import load_policy

        cfg = apply_overrides(to_config(job.config), job.sample)
        return load_policy(Path(job.checkpoint), cfg, self._env.num_observations, self._env.num_actions)

    def reevaluate(self) -> dict[str, Any]:
        """Let the best trials play again, from starts of their own; from here on the best of them is it."""
        from blueprint_tune.evaluation.benchmark import run_benchmark
        from blueprint_tune.evaluation.winner import chosen

        again = self._cfg.evaluation.reevaluation
        if again == "off" or len(self._jobs) == 1:
            return {"reevaluated": {}}
        for number, job in enumerate(self._jobs):
            result = run_benchmark(self._env, self._load(job), [again.seed], again.episodes, 0)
            self._candidates[number] = replace(self._candidates[number], success=result.success)
        self._job = self._jobs[chosen(self._candidates, self._eligible)]
        self._cfg = apply_overrides(to_config(self._job.config), self._job.sample)
        self._policy = self._load(self._job)
        return {"reevaluated": {candidate.trial_id: candidate.rate for candidate in self._candidates}}

    def picture(self) -> dict[str, Any]:
        """Draw the scene; a machine that cannot draw gives the reason instead."""
        import numpy as np
        from PIL import Image

        folder = Path(self._job.evaluation_dir)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._env.reset(
                np.full(self._env.num_envs, self._cfg.evaluation.seeds[0], dtype=np.int64),
                np.arange(self._env.num_envs),
            )
            Image.fromarray(self._env.render(0)).save(folder / PICTURE_FILE)
        except Exception as error:  # a picture is never worth a run: drawing needs libraries of the machine
            return {"picture": None, "picture_missing": _first_line(error)}
        return {"picture": PICTURE_FILE, "picture_missing": None}

    def benchmark(self) -> dict[str, Any]:
        """Mean actions on the fixed seeds."""
        from blueprint_tune.evaluation.benchmark import run_benchmark
        from blueprint_tune.evaluation.statistics import wilson_interval

        evaluation = self._cfg.evaluation
        self._result = run_benchmark(
            self._env, self._policy, evaluation.seeds, evaluation.episodes_per_seed, measured=True
        )
        result = self._result
        return {
            "episodes": result.num_episodes,
            "successes": result.successes,
            "success_rate": result.success_rate,
            "success_interval": list(wilson_interval(result.successes, result.num_episodes)),
            "mean_return": float(result.returns.mean()),
            "mean_episode_length": float(result.length.mean()),
        }

    def video(self) -> dict[str, Any]:
        """Film the policy from the benchmark's first start, if that is wanted and this machine can draw."""
        from blueprint_tune.evaluation.video import film, to_gif

        folder = Path(self._job.evaluation_dir)
        if not self._cfg.evaluation.video or not (folder / PICTURE_FILE).exists():
            return {"video": None}
        try:
            shown = film(self._env, self._policy, self._cfg.evaluation.seeds[0])
            (folder / VIDEO_FILE).write_bytes(to_gif(shown))
        except Exception as error:  # nor is a film worth a run
            return {"video": None, "video_missing": _first_line(error)}
        return {"video": VIDEO_FILE, "video_success": shown.success}

    def baselines(self) -> dict[str, Any]:
        """Zero and random actions from the same starts."""
        from blueprint_tune.evaluation.benchmark import run_baselines

        if self._cfg.evaluation.baselines:
            evaluation = self._cfg.evaluation
            self._baselines = run_baselines(self._env, evaluation.seeds, evaluation.episodes_per_seed)
        return {"baselines": {name: result.success_rate for name, result in self._baselines.items()}}

    def export(self) -> dict[str, Any]:
        """Write the bundle, which compares graph and module on the recorded observations."""
        import torch

        from blueprint_tune.export.bundle import write_bundle

        bundle = write_bundle(
            Path(self._job.bundle_dir),
            self._policy,
            torch.from_numpy(self._result.observations),
            self._cfg,
            self._facts(),
            {**self._job.summary, "benchmark_success_rate": self._result.success_rate},
            self._cfg.export.formats,
        )
        return {"onnx_difference": bundle.config["onnx"]["max_abs_difference"]}

    def onnx_benchmark(self) -> dict[str, Any]:
        """The bundle's graph drives the simulator.

        Raises ExportMismatch, leaving no bundle, if it is clearly worse or better.

        Contact physics amplifies differences of the last digit, so single episodes may end otherwise. Both
        play the same starts, so the 99 % interval of the paired difference must hold 0.
        """
        from blueprint_tune.evaluation.benchmark import run_benchmark
        from blueprint_tune.evaluation.statistics import paired_difference_interval
        from blueprint_tune.export.loading import load_bundle

        evaluation, ours = self._cfg.evaluation, self._result
        policy = load_bundle(Path(self._job.bundle_dir)).onnx_policy()
        theirs = run_benchmark(
            self._env, policy, evaluation.seeds, evaluation.episodes_per_seed, max_observations=0
        )
        apart = int((ours.success & ~theirs.success).sum()), int((theirs.success & ~ours.success).sum())
        low, high = paired_difference_interval(*apart, ours.num_episodes, confidence=0.99)
        if not low <= 0.0 <= high:
            shutil.rmtree(self._job.bundle_dir)  # its checksums are right: nobody may take it for good
            raise ExportMismatch(
                f"policy.onnx succeeds in {theirs.success_rate:.0%} of the benchmark's episodes, the trained "
                f"policy in {ours.success_rate:.0%} of the same ones (difference {low:+.0%} to {high:+.0%} "
                "with 99 %), although both gave the same actions on recorded observations. Nothing is "
                "published."
            )
        return {"onnx_success_rate": theirs.success_rate}

    def robustness(self) -> dict[str, Any]:
        """Success under perturbations of the task, unless that is off."""
        from blueprint_tune.evaluation.robustness import run_robustness

        config, facts = self._cfg.evaluation.robustness, self._env.facts
        if config != "off":
            self._robustness = run_robustness(
                self._env,
                self._env.policy,
                self._policy,
                self._result,
                config,
                facts.loose,
                facts.rigid,
                facts.takes_events,
            )
        return {}

    def documents(self) -> dict[str, Any]:
        """Write the evaluation's documents."""
        from blueprint_tune.evaluation.documents import (
            Beside,
            EvaluationId,
            evaluation_documents,
            write_documents,
        )

        job = self._job
        identity = EvaluationId(
            eval_id=job.eval_id,
            job_id=job.name,
            scene_id=self._cfg.scene.id,
            policy_id=self._cfg.policy.name,
            robot_type=self._cfg.robot.name,
            policy_checkpoint="checkpoint_final.pt",
            timestamp=job.timestamp,
            task_digest=task_digest(job.config, self._env.facts.digest),
        )
        beside = Beside(self._baselines, self._robustness, self._selection(), job.incumbent)
        write_documents(Path(job.evaluation_dir), evaluation_documents(identity, self._result, beside))
        self._env.close()
        return {}

    def _selection(self) -> dict[str, Any]:
        from blueprint_tune.evaluation.winner import selection_document

        again = self._cfg.evaluation.reevaluation
        seeds = [] if again == "off" else [again.seed]
        winner = self._jobs.index(self._job)
        return selection_document(self._candidates, winner, seeds, self._result.success_rate)

    def _facts(self) -> PolicyFacts:
        from blueprint_tune.export.contract import PolicyFacts

        job, env = self._job, self._env
        return PolicyFacts(
            policy_name=job.policy_name,
            job_id=job.name,
            observations=env.describe_observations(),
            action_names=env.action_names,
            joints=env.facts.joints,
            robot_base=env.facts.robot_base,
            roles=env.facts.roles,
            control_dt_s=env.control_dt_s,
            updates=job.updates,
            env_steps=job.env_steps,
            training_time_s=job.training_time_s,
            success_rate=self._result.success_rate,
            input_hash=job.input_hash,
            content_hash=job.content_hash,
            action_ranges=env.facts.action_ranges,
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
