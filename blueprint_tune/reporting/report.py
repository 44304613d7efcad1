"""One HTML file about one experiment, readable from disk without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.reporting.curves import TrialCurves

if TYPE_CHECKING:
    from blueprint_tune.reporting.population import Copy, Front


@dataclass(frozen=True)
class ReportData:
    """Everything a report is made of; plain data.

    Attributes:
        experiment: its name. policy_id, scene_id, robot, backend: as in the config.
        created_at: ISO 8601 in UTC.
        benchmark: the document ``benchmark_report.json``. policy: the document ``policy_config.json``.
        trials: what every trial reported, in the order they were started, among them ``best_trial``.
        notes: guesses about the scene and leniencies towards its manifest, a sentence each.
        config: the resolved config, nested. changes: dotted key -> (default value, value) where they differ.
        provenance: versions, git commit and the like. command: what reproduces the run, to be pasted.
        timings_s: stage of the run -> seconds, in order.
        picture_png: a picture of the scene, or None where nothing can draw one. video_gif: a film of the
            policy, or None without one. video_success: whether the filmed episode was a success.
        onnx_success_rate: of the exported policy in the simulator; None when it did not drive it.
        copies: who copied whom in a population; None in a sweep whose trials train apart.
        front: the trials by two objectives; None in a sweep by one.
    """

    experiment: str
    scene_id: str
    policy_id: str
    robot: str
    backend: str
    created_at: str
    benchmark: Mapping[str, Any]
    policy: Mapping[str, Any]
    trials: tuple[TrialCurves, ...]
    best_trial: str
    notes: tuple[str, ...]
    config: Mapping[str, Any]
    changes: Mapping[str, tuple[Any, Any]]
    provenance: Mapping[str, Any]
    command: str
    timings_s: Mapping[str, float]
    picture_png: bytes | None
    video_gif: bytes | None = None
    video_success: bool = False
    onnx_success_rate: float | None = None
    copies: tuple[Copy, ...] | None = None
    front: Front | None = None

    @property
    def selection_episodes(self) -> int:
        """Episodes of each selection evaluation."""
        return int(self.config["evaluation"]["selection"]["episodes"])

    @property
    def best(self) -> TrialCurves:
        """The trial the policy comes from."""
        return next(trial for trial in self.trials if trial.trial_id == self.best_trial)


def write_report(report: ReportData, path: Path) -> None:
    """Write the report as one self-contained HTML file."""
    from blueprint_tune.reporting.page import render  # matplotlib takes a second, and nothing else needs it

    path.write_text(render(report), encoding="utf-8")
