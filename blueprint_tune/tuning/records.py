"""What is written down about trials: their reports, and one record a trial at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.reporting.curves import read_progress

REPORTS_FILE = "result.json"
"""One JSON object a line and report, where Ray's own logger would have put it."""
CHECKPOINT_FILE = "checkpoint.pt"
"""In every folder of a checkpoint."""
TOLD_AGAIN = "told_again"
"""In the last report of a trial that had finished unknown to Ray, told to it a second time."""
Status = Literal["completed", "stopped", "failed"]
Report = Mapping[str, Any]


@dataclass(frozen=True)
class TrialRecord:
    """One trial, as the summary, the report and the published files tell it.

    Attributes:
        trial_id: Ray's, also the name of its folder. index: 0 is the default settings.
        status: ``completed`` its budget, ``stopped`` early by the scheduler, or ``failed``.
        sample: the searched keys and the values it had (at the best checkpoint, if they changed in flight).
        env_steps: trained.
        score: the tuned metric at the best report, smoothed over its neighbours; None without a report.
        checkpoints: (updates, folder relative to the experiment's), the last is the best report's.
        duration_s: training time. error: why it failed, one sentence.
        scores: metric -> value of all tuned metrics at the best report, smoothed likewise.
        failures: what went wrong on its way, also what a restart got over, a sentence each.
        not_comparable: why it cannot be compared with the others; None if it can.
        reevaluated: success when it played again, as one of the best; None if it did not, or may not win.
    """

    trial_id: str
    index: int
    status: Status
    sample: dict[str, Any]
    env_steps: int
    score: float | None
    checkpoints: tuple[tuple[int, str], ...]
    duration_s: float
    error: str | None
    scores: dict[str, float] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    not_comparable: str | None = None
    reevaluated: float | None = None

    @property
    def checkpoint(self) -> str | None:
        """Folder of the best checkpoint, relative to the experiment's; None if there is none."""
        return self.checkpoints[-1][1] if self.checkpoints else None

    @property
    def updates(self) -> int:
        """Learner updates at the best checkpoint."""
        return self.checkpoints[-1][0] if self.checkpoints else 0


def trial_number(trial: Any, trials: Iterable[Any]) -> int:
    """A Tune trial's place in the order in which trials were made; 0 is the default settings.

    Tune moves a trial to the end of its list when it restarts, and sorts the list anew after a resume.
    """
    made = _made_as(trial)
    return sum(_made_as(other) < made for other in trials)


def trained_steps(trial: Any) -> int:
    """Env steps at a Tune trial's last report; 0 before the first.

    ``trial.last_result`` would ask the trial's process, which may be busy, hang or be gone.
    """
    return int(trial.run_metadata.last_result.get("env_steps", 0))


def _made_as(trial: Any) -> int:
    """The counter that every searcher of Tune puts in front of a trial's tag."""
    found = re.match(r"\d+", trial.experiment_tag or "")
    return int(found.group()) if found else 0


def read_reports(trial_dir: Path) -> tuple[Report, ...]:
    """A trial's reports in order; none if it never reported."""
    return read_progress(trial_dir) if (trial_dir / REPORTS_FILE).exists() else ()


def elapsed_s(trials_dir: Path) -> float:
    """Time the experiment has taken up to its last report, over all its processes; 0 for a new one."""
    times = [
        row["elapsed_s"] for path in trials_dir.glob(f"*/{REPORTS_FILE}") for row in read_reports(path.parent)
    ]
    return float(max(times, default=0.0))


def smoothed(values: Sequence[float]) -> list[float]:
    """Each value averaged with its neighbours: one lucky selection evaluation must not win."""
    return [
        round(sum(part) / len(part), 9) for i in range(len(values)) if (part := values[max(0, i - 1) : i + 2])
    ]


def best_report(
    reports: Sequence[Report], metric: str, mode: str, iterations: Iterable[int]
) -> tuple[int, float] | None:
    """(training iteration, smoothed score) of the best report with a checkpoint; among equals the last."""
    sign = 1.0 if mode == "max" else -1.0
    scored = [r for r in reports if r.get(metric) is not None]
    scores = smoothed([float(r[metric]) for r in scored])
    wanted = set(iterations)
    found = [
        (sign * score, int(report["training_iteration"]), score)
        for report, score in zip(scored, scores, strict=True)
        if report["training_iteration"] in wanted
    ]
    if not found:
        return None
    _, iteration, score = max(found)
    return iteration, score


def scores_at(reports: Sequence[Report], metrics: Sequence[str], iteration: int) -> dict[str, float]:
    """Metric -> its value at a report, averaged with its neighbours; without those that it lacks."""
    found: dict[str, float] = {}
    for metric in metrics:
        carrying = [r for r in reports if r.get(metric) is not None]
        values = smoothed([float(r[metric]) for r in carrying])
        at = {r["training_iteration"]: value for r, value in zip(carrying, values, strict=True)}
        if iteration in at:
            found[metric] = at[iteration]
    return found


def best_trial(
    records: Sequence[TrialRecord],
    mode: str | Sequence[str],
    metrics: Sequence[str] = (),
    tie_within: float = 0.0,
) -> TrialRecord:
    """The trial with the best smoothed score; at least one has a checkpoint.

    ``metrics`` with a ``mode`` each, the most important first: trials within ``tie_within`` of the best by
    one are equal by it, and the next decides. Among equals the first trial. One that cannot be compared with
    the others is the best only if no other can be.
    """
    modes = [mode] if isinstance(mode, str) else list(mode)
    scored = [r for r in records if r.checkpoint is not None and r.score is not None]
    left = [r for r in scored if r.not_comparable is None] or scored
    for metric, direction in zip(metrics or [""], modes, strict=True):
        sign = 1.0 if direction == "max" else -1.0
        values = {r.trial_id: sign * r.scores.get(metric, r.score or 0.0) for r in left}
        tolerance = tie_within if len(modes) > 1 and metric != metrics[-1] else 0.0
        left = [r for r in left if values[r.trial_id] >= max(values.values()) - tolerance]
    return min(left, key=lambda r: r.index)


def winner(cfg: ExperimentConfig, records: Sequence[TrialRecord]) -> TrialRecord:
    """The trial whose policy goes on: the best when the best played again, else by the sweep's metrics."""
    again = [record for record in ranking(cfg, records) if record.reevaluated is not None]
    if again:
        return max(again, key=lambda record: record.reevaluated or 0.0)  # the first of equals
    sweep = cfg.sweep
    return best_trial(records, sweep.modes, sweep.metrics, sweep.tie_within)


def ranking(cfg: ExperimentConfig, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that can be compared and have a checkpoint, the best by the sweep's metrics first."""
    sweep, ranked = cfg.sweep, list[TrialRecord]()
    left = [r for r in records if r.checkpoint is not None and r.score is not None]
    left = [r for r in left if r.not_comparable is None] or left
    while left:
        ranked.append(best_trial(left, sweep.modes, sweep.metrics, sweep.tie_within))
        left.remove(ranked[-1])
    return ranked


def reason(error: BaseException | str | None) -> str:
    """One sentence for why a trial failed, out of what Ray wraps around it."""
    if error is None:
        return "no reason was recorded"
    if isinstance(error, str):
        return _last_line(error) or "no reason was recorded"
    cause = original(error)
    if isinstance(cause, BlueprintTuneError):
        return str(cause)
    name = type(cause).__name__
    if "creation task" in str(cause):  # the process started, and could not even import the trial
        return _last_line(str(cause))
    if name in ("ActorDiedError", "RayActorError", "WorkerCrashedError", "ActorUnavailableError"):
        return "its process died (a crash in native code, out of memory, or killed from outside)"
    first = str(cause).strip().splitlines()
    return f"{name}: {first[0]}" if first else name


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def original(error: BaseException) -> BaseException:
    """The exception that was raised in a Ray worker, out of Ray's wrapping."""
    cause = getattr(error, "cause", None)
    return original(cause) if isinstance(cause, BaseException) and cause is not error else error


def save_records(path: Path, records: Sequence[TrialRecord]) -> None:
    """Write records as JSON, atomically."""
    write_json(path, [asdict(record) for record in records])


def load_records(path: Path) -> tuple[TrialRecord, ...]:
    """Read what :func:`save_records` wrote."""
    return tuple(
        TrialRecord(
            **{
                **record,
                "checkpoints": tuple((u, f) for u, f in record["checkpoints"]),
                "failures": tuple(record.get("failures", ())),
            }
        )
        for record in json.loads(path.read_text())
    )


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file so that it is there completely or not at all."""
    replace_text(path, json.dumps(document, indent=2) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Write a text file so that it is there completely or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)
