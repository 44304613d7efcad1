"""From an experiment's folder to what is reported and published: plain assembly, nothing is measured here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.config import paths
from blueprint_tune.config.compose import apply_overrides, compose, to_dict
from blueprint_tune.config.flat import flat
from blueprint_tune.config.public import public
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.sweep_checks import is_population
from blueprint_tune.errors import CheckpointDamaged, ConfigError
from blueprint_tune.publish import JOB_MARKER, FinishedRun, PublishedPaths, training_root
from blueprint_tune.reporting.curves import SUCCESS, TrialCurves, training_summary
from blueprint_tune.reporting.job import JobFacts
from blueprint_tune.reporting.report import ReportData
from blueprint_tune.storage.path import open_root
from blueprint_tune.tuning.checkpoints import read_reached
from blueprint_tune.tuning.closing import OUTCOME_FILE
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.lineage import read_lineage, read_origin
from blueprint_tune.tuning.records import (
    CHECKPOINT_FILE,
    Report,
    TrialRecord,
    elapsed_s,
    ranking,
    read_reports,
    save_records,
    scores_at,
    winner,
)
from blueprint_tune.tuning.workers import Job

if TYPE_CHECKING:
    from blueprint_tune.reporting.population import Copy, Front
    from blueprint_tune.tasks.asked import Asked


@dataclass(frozen=True)
class Dossier:
    """A searched experiment: what it was asked and what its trials did.

    ``task`` is needed for a report only.
    """

    cfg: ExperimentConfig
    task: Asked | None
    folder: ExperimentFolder
    tree: Mapping[str, Any]
    records: tuple[TrialRecord, ...]

    @property
    def best(self) -> TrialRecord:
        """The trial whose policy goes on."""
        return winner(self.cfg, self.records)

    @property
    def outcome_file(self) -> Path:
        """What evaluation and export found; there is one once they are done."""
        return self.folder.evaluation / OUTCOME_FILE

    def settled(self) -> Dossier:
        """The same with what the trials did that played again, as the outcome has it; it is written down.

        A kill between outcome and records would leave another best trial than the one that was evaluated.
        Before there is an outcome nothing is known.
        """
        if not self.outcome_file.exists():
            return self
        rates, (trials, eligible) = _json(self.outcome_file).get("reevaluated", {}), self.rivals()
        known = {r.trial_id: rates.get(r.trial_id) for r in trials[:eligible]}
        return self._saved(tuple(replace(r, reevaluated=known.get(r.trial_id)) for r in self.records))

    def _saved(self, records: tuple[TrialRecord, ...]) -> Dossier:
        """The same with other records, which are written down for later processes."""
        if records != self.records:
            save_records(self.folder.records, records)
        return replace(self, records=records)

    def undamaged(self, note: Callable[[str], None]) -> Dossier:
        """The same without damaged checkpoints of the trials that go on, each of them told to ``note``.

        Before the evaluation that is written down: what is evaluated instead is the best from then on.
        Raises CheckpointDamaged if none is left, or if it is the one that was evaluated.
        """
        evaluated, best = self.outcome_file.exists(), self.best
        going_on = [best] if evaluated else self.rivals()[0]
        whole = {record.trial_id: self._undamaged(record, note) for record in going_on}
        if evaluated and whole[best.trial_id].checkpoint != best.checkpoint:
            raise CheckpointDamaged(
                f"{self.folder.path / str(best.checkpoint)} is damaged, the one that was evaluated and "
                "exported. Put it back from a copy. Or remove "
                f"{self.folder.evaluation} and {self.folder.result}: then  blueprint-tune resume "
                f"{self.folder.path}  evaluates, exports and publishes the one before it."
            )
        records = tuple(whole.get(record.trial_id, record) for record in self.records)
        if all(record.checkpoint is None for record in records):
            raise CheckpointDamaged("No checkpoint is left that is whole: train again with force=true.")
        if evaluated or records == self.records:
            return replace(self, records=records)
        return self._saved(records).undamaged(note)  # others may be among the best now

    def _undamaged(self, record: TrialRecord, note: Callable[[str], None]) -> TrialRecord:
        whole = []
        for updates, name in record.checkpoints:
            if name != record.checkpoint and not (self.folder.path / name).exists():
                continue  # only the best of a trial that did not lead was kept
            try:
                read_reached(self.folder.path / name)
                whole.append((updates, name))
            except CheckpointDamaged as error:
                note(f"{error} It is left out.")
        if not whole or whole[-1] == record.checkpoints[-1]:
            return replace(record, checkpoints=tuple(whole))
        note(f"Going on from {whole[-1][1]}, the one before it.")
        return self._fallen_back(replace(record, checkpoints=tuple(whole)))

    def _fallen_back(self, record: TrialRecord) -> TrialRecord:
        """The record with the figures and the sample of its last checkpoint, another than before."""
        reports, origin = self._reports(record), read_origin(self.folder.path / str(record.checkpoint))
        at = next((r for r in reports if int(r["updates"]) == record.updates), None)
        metrics = self.cfg.sweep.metrics
        scores = {} if at is None else scores_at(reports, metrics, int(at["training_iteration"]))
        return replace(
            record,
            sample=origin[1] if origin else record.sample,
            score=scores.get(metrics[0], record.score),
            scores=scores or record.scores,
            reevaluated=None,
        )

    def _reports(self, record: TrialRecord) -> tuple[Report, ...]:
        return read_reports(self.folder.trials / record.trial_id)

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
        """What reproduces the run, without secrets."""
        overrides = public(list(self.tree.get("overrides") or ()))
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
                self._reports(r),
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
        ignored = (
            "name", "output_dir", "force", "scene.", "storage.", "cluster.", "logger.", "backend.env_path",
        )  # fmt: skip
        return {
            key: (before.get(key), value)
            for key, value in after.items()
            if before.get(key) != value and not key.startswith(ignored)
        }

    def rivals(self) -> tuple[list[TrialRecord], int]:
        """The trials that play again before one wins, the selection's best first; how many of them may win.

        Only success can be played again: in a sweep by anything else there are none.
        """
        again, ranked = self.cfg.evaluation.reevaluation, ranking(self.cfg, self.records)
        if again == "off" or self.cfg.sweep.metrics != (SUCCESS,):
            return [self.best], 1
        best = ranked[: again.trials]
        repeats = [r for r in ranked[again.trials :] if self._repeats_default(r)]
        return [*best, *repeats], len(best)

    def _repeats_default(self, record: TrialRecord) -> bool:
        """Whether a trial is one of ``evaluation.noise_floor``: the default settings to their end.

        A search over seeds has such trials too, but those that play again are the luckiest of them.
        """
        if self.cfg.evaluation.noise_floor is None:
            return False
        sample = {key: value for key, value in record.sample.items() if key != "seed"}
        return record.status == "completed" and apply_overrides(self.cfg, sample) == self.cfg

    def job(self, num_threads: int, record: TrialRecord | None = None) -> Job:
        """What the process that evaluates and exports is told about a trial, the best unless told."""
        best = record or self.best
        at = next(r for r in self._reports(best) if int(r["updates"]) == best.updates)
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
            trial_id=best.trial_id,
            selection_rate=best.scores.get(SUCCESS),
            repeats_default=self._repeats_default(best),
        )

    def report_data(self, outcome: Mapping[str, Any]) -> ReportData:
        """What the HTML report is made of."""
        picture, video = outcome.get("picture"), outcome.get("video")
        notes = list(self.task.notes if self.task else ())
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
            checkpoints=tuple((u, path) for u, path in self._checkpoints(best) if path.exists()),
            experiment_yaml=self.folder.document,
            bundle=self.folder.bundle,
            evaluation=self.folder.evaluation,
            report=self.folder.report,
            tensorboard=self.folder.trials / best.trial_id if self.cfg.logger.tensorboard else None,
            log=self.folder.log if self.folder.log.exists() else None,
        )

    def _checkpoints(self, record: TrialRecord) -> list[tuple[int, Path]]:
        """(updates, file); of a trial that nobody thought would win only the last may have been kept."""
        return [(u, self.folder.path / folder / CHECKPOINT_FILE) for u, folder in record.checkpoints]

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


def check_bundle(folder: ExperimentFolder) -> None:
    """Raises ConfigError for an experiment that was evaluated and whose bundle is gone."""
    if not folder.bundle.exists():
        raise ConfigError(f"{folder.name} has no bundle. Write it:  blueprint-tune export {folder.path}")


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
    named = ("scene.manifest", "scene.package", "scene.id", "backend.task", "backend.trust_package_code")
    return key in paths.GROUPS or key in named


def _json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document
