"""From an experiment's folder to what is reported and published: plain assembly, nothing is measured here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.config import paths
from blueprint_tune.config.compose import apply_overrides, compose, to_dict
from blueprint_tune.config.flat import flat
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.sweep_checks import is_population
from blueprint_tune.errors import ConfigError
from blueprint_tune.publish import JOB_MARKER, FinishedRun, PublishedPaths, training_root
from blueprint_tune.reporting.curves import TrialCurves, training_summary
from blueprint_tune.reporting.job import JobFacts
from blueprint_tune.reporting.report import ReportData
from blueprint_tune.storage.path import open_root
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.lineage import read_lineage
from blueprint_tune.tuning.records import CHECKPOINT_FILE, TrialRecord, elapsed_s, read_reports, winner
from blueprint_tune.tuning.workers import Job

if TYPE_CHECKING:
    from blueprint_tune.reporting.population import Copy, Front
    from blueprint_tune.tasks.spec import TaskSpec


@dataclass(frozen=True)
class Dossier:
    """A searched experiment: what it was asked and what its trials did."""

    cfg: ExperimentConfig
    task: TaskSpec
    folder: ExperimentFolder
    tree: Mapping[str, Any]
    records: tuple[TrialRecord, ...]

    @property
    def best(self) -> TrialRecord:
        """The trial whose policy goes on."""
        return winner(self.cfg, self.records)

    @property
    def best_cfg(self) -> ExperimentConfig:
        """The composed config with the best trial's sampled values, under the experiment's name."""
        return replace(apply_overrides(self.cfg, self.best.sample), name=self.folder.name)

    @property
    def policy_name(self) -> str:
        """What the policy is published as: the job's name, so that no job overwrites another's policy."""
        return self.folder.name

    @property
    def eval_id(self) -> str:
        """What the evaluation is published as."""
        return f"eval_{self.folder.name}"

    @property
    def command(self) -> str:
        """What reproduces the run."""
        overrides = self.tree.get("overrides") or ()
        if overrides:
            return shlex.join(["python", "-m", "blueprint_tune", *overrides])
        return f"# the settings under 'config' in {self.folder.document.name}"

    def curves(self) -> tuple[TrialCurves, ...]:
        """What every trial reported."""
        return tuple(
            TrialCurves(
                r.trial_id,
                r.status,
                r.sample,
                read_reports(self.folder.trials / r.trial_id),
                r.failures,
                r.not_comparable,
            )
            for r in self.records
        )

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Dotted key -> (default, value) of what was set on the command line or sampled by the best trial."""
        try:
            defaults = compose([o for o in self.tree.get("overrides") or () if _is_choice(o)])
        except ConfigError:
            defaults = self.cfg
        before, after = flat(to_dict(defaults)), flat(to_dict(self.best_cfg))
        ignored = ("name", "output_dir", "force", "scene.", "storage.", "cluster.", "logger.")
        return {
            key: (before.get(key), value)
            for key, value in after.items()
            if before.get(key) != value and not key.startswith(ignored)
        }

    def job(self, num_threads: int) -> Job:
        """What the process that evaluates and exports is told."""
        best, reports = self.best, read_reports(self.folder.trials / self.best.trial_id)
        at = next(r for r in reports if int(r["updates"]) == best.updates)
        trials = self.curves()
        summary = training_summary(
            self.folder.name,
            self.cfg.scene.id,
            self.cfg.policy.name,
            next(t for t in trials if t.trial_id == best.trial_id),
            trials,
            elapsed_s(self.folder.trials),
        )
        return Job(
            config=to_dict(self.cfg),
            sample=best.sample,
            checkpoint=str(self.folder.path / str(best.checkpoint) / CHECKPOINT_FILE),
            evaluation_dir=str(self.folder.evaluation),
            bundle_dir=str(self.folder.bundle),
            name=self.folder.name,
            policy_name=self.policy_name,
            eval_id=self.eval_id,
            timestamp=now(),
            summary=summary,
            updates=best.updates,
            env_steps=int(at["env_steps"]),
            training_time_s=float(at["time_s"]),
            input_hash=str(self.tree["input_hash"]),
            content_hash=str(self.tree["content_hash"]),
            num_threads=num_threads,
        )

    def report_data(self, outcome: Mapping[str, Any]) -> ReportData:
        """What the HTML report is made of."""
        picture, video = outcome.get("picture"), outcome.get("video")
        notes = list(self.task.notes)
        if outcome.get("picture_missing"):
            notes.append(f"There is no picture of the scene: {outcome['picture_missing']}")
        if outcome.get("video_missing"):
            notes.append(f"There is no film of the policy: {outcome['video_missing']}")
        return ReportData(
            experiment=self.folder.name,
            scene_id=self.cfg.scene.id,
            policy_id=self.cfg.policy.name,
            robot=self.cfg.robot.name,
            backend=self.cfg.backend.name,
            created_at=str(self.tree["created"]),
            benchmark=_json(self.folder.evaluation / "benchmark_report.json"),
            policy=_json(self.folder.bundle / "policy_config.json"),
            trials=self.curves(),
            best_trial=self.best.trial_id,
            notes=tuple(notes),
            config=to_dict(self.best_cfg),
            changes=self.changes(),
            provenance=dict(self.tree["provenance"]),
            command=self.command,
            timings_s={"training": elapsed_s(self.folder.trials), **outcome["timings_s"]},
            onnx_success_rate=outcome.get("onnx_success_rate"),
            picture_png=(self.folder.evaluation / picture).read_bytes() if picture else None,
            video_gif=(self.folder.evaluation / video).read_bytes() if video else None,
            video_success=bool(outcome.get("video_success")),
            copies=self._copies(),
            front=self._front(),
        )

    def for_sinks(self, outcome: Mapping[str, Any]) -> tuple[dict[str, float | str], list[Path]]:
        """What trackers keep of a finished experiment: figures, and files."""
        low, high = outcome["success_interval"]
        summary: dict[str, float | str] = {
            "benchmark/success_rate": float(outcome["success_rate"]),
            "benchmark/success_rate_low": float(low),
            "benchmark/success_rate_high": float(high),
            "best_trial": self.best.trial_id,
        }
        evaluation = self.folder.evaluation / "benchmark_report.json"
        bundle = (self.folder.bundle / name for name in ("policy.onnx", "policy_config.json"))
        return summary, [self.folder.report, evaluation, *bundle]

    def _copies(self) -> tuple[Copy, ...] | None:
        """Who copied whom, in numbers of trials; None for a sweep whose trials train apart."""
        from blueprint_tune.reporting.population import Copy

        if not is_population(self.cfg.sweep):
            return None
        number = {record.trial_id: record.index for record in self.records}
        return tuple(
            Copy(number[e.trial], number[e.donor], e.env_steps, e.changed)
            for e in read_lineage(self.folder.trials)
        )

    def _front(self) -> Front | None:
        """The trials by the first two objectives; None for a sweep by one."""
        from blueprint_tune.reporting.population import Front

        sweep = self.cfg.sweep
        if len(sweep.metrics) < 2:
            return None
        metrics, modes = (sweep.metrics[0], sweep.metrics[1]), (sweep.modes[0], sweep.modes[1])
        scored = [r for r in self.records if set(metrics) <= set(r.scores)]
        points = {r.index: (r.scores[metrics[0]], r.scores[metrics[1]]) for r in scored}
        return Front(metrics, modes, points, self.best.index)

    def finished_run(self, outcome: Mapping[str, Any]) -> FinishedRun:
        """What is published."""
        best = self.best
        return FinishedRun(
            cfg=self.cfg,
            best_cfg=self.best_cfg,
            changes={key: value for key, (_, value) in self.changes().items()},
            job=self._job_facts(),
            policy_name=self.policy_name,
            eval_id=self.eval_id,
            trials=self.curves(),
            max_episode_steps=int(outcome["max_episode_steps"]),
            checkpoints=tuple((u, self.folder.path / f / CHECKPOINT_FILE) for u, f in best.checkpoints),
            experiment_yaml=self.folder.document,
            bundle=self.folder.bundle,
            evaluation=self.folder.evaluation,
            report=self.folder.report,
            tensorboard=self.folder.trials / best.trial_id if self.cfg.logger.tensorboard else None,
            log=self.folder.log if self.folder.log.exists() else None,
        )

    def _job_facts(self) -> JobFacts:
        created = str(self.tree["created"])
        return JobFacts(
            job_id=self.folder.name,
            status="completed",
            created_at=created,
            started_at=created,
            finished_at=now(),
            best_trial=self.best.trial_id,
            num_trials=len(self.records),
            num_failed=sum(r.status == "failed" for r in self.records),
            input_hash=str(self.tree["input_hash"]),
            content_hash=str(self.tree["content_hash"]),
            command=self.command,
        )


def is_published(run: FinishedRun, published: PublishedPaths) -> bool:
    """Whether ``published`` is where the run's storage has it, and the job is complete there."""
    root = training_root(open_root(run.cfg.storage), run.cfg.scene.id)
    return str(root) == published.root and (root / "jobs" / run.job.job_id / JOB_MARKER).exists()


def now() -> str:
    """ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_choice(override: str) -> bool:
    """Whether an override picks a file of a group or the scene, rather than changing a setting."""
    key = override.lstrip("+").partition("=")[0]
    return key in paths.GROUPS or key in ("scene.manifest", "scene.id")


def _json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document
