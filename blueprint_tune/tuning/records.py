"""What is written down about trials: every report as it arrives, and one record a trial at the end.

Ray keeps its own logs in a temporary folder and copies them over from time to time; a report here
is in the experiment's folder the moment it exists, so a killed run loses none.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ray import tune

from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.reporting.curves import read_progress

REPORTS_FILE = "result.json"
"""One JSON object a line and report, where Ray's own logger would have put it."""
Report = Mapping[str, Any]


@dataclass(frozen=True)
class TrialRecord:
    """One trial, as the summary, the report and the published files tell it.

    Attributes:
        trial_id: Ray's, also the name of its folder. index: 0 is the default settings.
        status: ``completed`` its budget, ``stopped`` early by the scheduler, or ``failed``.
        sample: the searched keys and the values it had. env_steps: trained.
        score: the tuned metric at the best report, smoothed over its neighbours; None without a report.
        checkpoints: (updates, folder relative to the experiment's) up to the one of the best report, its last.
        duration_s: training time. error: why it failed, one sentence.
    """

    trial_id: str
    index: int
    status: Literal["completed", "stopped", "failed"]
    sample: dict[str, Any]
    env_steps: int
    score: float | None
    checkpoints: tuple[tuple[int, str], ...]
    duration_s: float
    error: str | None

    @property
    def checkpoint(self) -> str | None:
        """Folder of the best checkpoint, relative to the experiment's; None if there is none."""
        return self.checkpoints[-1][1] if self.checkpoints else None

    @property
    def updates(self) -> int:
        """Learner updates at the best checkpoint."""
        return self.checkpoints[-1][0] if self.checkpoints else 0


class Recorder(tune.Callback):
    """Appends every report to the trial's file of reports and to its TensorBoard events."""

    def __init__(self, trials_dir: Path, tensorboard: bool, elapsed_s: float = 0.0) -> None:
        """``elapsed_s``: time the experiment had taken before this process."""
        self._dir, self._tensorboard = trials_dir, tensorboard
        self._zero = time.monotonic() - elapsed_s
        self._writers: dict[str, Any] = {}
        self._last: dict[str, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles callbacks; open event files cannot be."""
        return {**self.__dict__, "_writers": {}, "_last": {}}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Write one report."""
        report = _report(result, time.monotonic() - self._zero)
        folder = self._dir / trial.trial_id
        folder.mkdir(parents=True, exist_ok=True)
        last = self._last.get(trial.trial_id)
        if last is None or report["training_iteration"] <= last:
            _forget_from(folder / REPORTS_FILE, report["training_iteration"])
        self._last[trial.trial_id] = report["training_iteration"]
        with (folder / REPORTS_FILE).open("a") as file:
            file.write(json.dumps(report, allow_nan=False) + "\n")
        if self._tensorboard:
            self._events(folder, trial.trial_id, report)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the trial's event file."""
        self._close(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the trial's event file."""
        self._close(trial.trial_id)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Close what is still open."""
        for trial_id in list(self._writers):
            self._close(trial_id)

    def _events(self, folder: Path, trial_id: str, report: dict[str, Any]) -> None:
        if trial_id not in self._writers:
            from tensorboardX import SummaryWriter

            # After a resume the events of reports that are trained again are hidden.
            self._writers[trial_id] = SummaryWriter(str(folder), purge_step=report["env_steps"])
        for key, value in report.items():
            if isinstance(value, int | float) and "/" in key:
                self._writers[trial_id].add_scalar(key, value, report["env_steps"])

    def _close(self, trial_id: str) -> None:
        writer = self._writers.pop(trial_id, None)
        if writer is not None:
            writer.close()


def _report(result: Mapping[str, Any], elapsed_s: float) -> dict[str, Any]:
    """The trainer's own metrics out of what Ray has added to; what is not finite becomes null."""
    own = {k: v for k, v in result.items() if "/" in k or k in ("env_steps", "updates")}
    report = {k: _number(v) for k, v in own.items() if isinstance(v, int | float)}
    return {
        **report,
        "training_iteration": int(result["training_iteration"]),
        "time_s": round(float(result["time_total_s"]), 3),
        "elapsed_s": round(elapsed_s, 3),
        "timestamp": round(time.time(), 3),
    }


def _number(value: float) -> float | int | None:
    return value if isinstance(value, int) or math.isfinite(value) else None


def _forget_from(path: Path, iteration: int) -> None:
    """Drop the reports from ``iteration`` on: the trial went back to a checkpoint and trains them again.

    So does a last line that a crash cut short.
    """
    if path.exists():
        kept = [row for row in read_reports(path.parent) if row["training_iteration"] < iteration]
        _replace(path, "".join(json.dumps(row) + "\n" for row in kept))


def read_reports(trial_dir: Path) -> tuple[Report, ...]:
    """A trial's reports in order; none if it never reported."""
    return read_progress(trial_dir) if (trial_dir / REPORTS_FILE).exists() else ()


def elapsed_s(trials_dir: Path) -> float:
    """Time the experiment has taken up to its last report, over all its processes; 0 for a new one."""
    times = [row["elapsed_s"] for path in trials_dir.glob(f"*/{REPORTS_FILE}") for row in read_reports(path.parent)]
    return float(max(times, default=0.0))


def smoothed(values: Sequence[float]) -> list[float]:
    """Each value averaged with its neighbours: one lucky selection evaluation must not win."""
    return [round(sum(part) / len(part), 9) for i in range(len(values)) if (part := values[max(0, i - 1) : i + 2])]


def best_report(
    reports: Sequence[Report], metric: str, mode: str, iterations: Iterable[int]
) -> tuple[int, float] | None:
    """(training iteration, smoothed score) of the best report that has a checkpoint; among equals the last."""
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


def reason(error: BaseException | str | None) -> str:
    """One sentence for why a trial failed, out of what Ray wraps around it."""
    if error is None:
        return "no reason was recorded"
    if isinstance(error, str):
        return error.strip().splitlines()[-1] if error.strip() else "no reason was recorded"
    cause = original(error)
    if isinstance(cause, BlueprintTuneError):
        return str(cause)
    name = type(cause).__name__
    if name in ("ActorDiedError", "RayActorError", "WorkerCrashedError", "ActorUnavailableError"):
        return "its process died (a crash in native code, out of memory, or killed from outside)"
    first = str(cause).strip().splitlines()
    return f"{name}: {first[0]}" if first else name


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
        TrialRecord(**{**record, "checkpoints": tuple((u, f) for u, f in record["checkpoints"])})
        for record in json.loads(path.read_text())
    )


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file so that it is there completely or not at all."""
    _replace(path, json.dumps(document, indent=2) + "\n")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)
