"""One line of a leaderboard: what an experiment's folder says, and what only its batch knows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blueprint_tune.batches.record import BatchFolder, Item
from blueprint_tune.batches.standing import Standing, place, read_standing


@dataclass(frozen=True)
class Row:
    """As in :class:`Standing`; nothing is None that was measured, and nothing else is a number."""

    name: str
    path: str
    scene: str
    policy: str
    robot: str
    sweep: str
    seed: int
    axes: dict[str, str]
    state: str
    reason: str | None
    input_hash: str
    stage: str = ""
    trials: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    env_steps: int = 0
    best: float | None = None
    success_rate: float | None = None
    success_interval: list[float] | None = None
    episodes: int | None = None
    successes: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    duration_s: float = 0.0
    cpu_hours: float | None = None
    gpu_hours: float | None = None
    price: float | None = None
    content_hash: str = ""
    created: str = ""
    ended: str | None = None
    report: str | None = None
    change: dict[str, Any] | None = None
    champion: bool | None = None
    """Of its scene, policy type and robot; None where that is not known."""


def batch_row(folder: BatchFolder, item: Item) -> dict[str, Any]:
    """An experiment of a batch, whether or not it has begun."""
    path = folder.experiment(item)
    standing = read_standing(path)
    if standing is not None:
        return experiment_row(standing, item)
    state = item.state if item.state in ("failed", "running") else "waiting"
    return asdict(
        Row(
            item.name,
            str(path),
            **item.place,
            axes=item.axes,
            state=state,
            reason=item.reason,
            input_hash=item.input_hash,
        )
    )


def experiment_row(standing: Standing, item: Item | None) -> dict[str, Any]:
    """The folder counts; from its batch come its axes and why a process failed."""
    state, reason = standing.state, None
    if item is not None and item.state == "failed" and state in ("interrupted", "failed"):
        state, reason = "failed", item.reason
    if reason is None and state == "failed":
        reason = "; ".join(standing.failures)
    interval, report = standing.interval, standing.path / "report.html"
    return asdict(
        Row(
            name=standing.name,
            path=str(standing.path),
            **place(standing.config),
            axes={} if item is None else item.axes,
            state=state,
            reason=reason,
            input_hash=standing.input_hash,
            stage=standing.stage,
            trials=dict(standing.trials),
            failures=list(standing.failures),
            env_steps=standing.env_steps,
            best=standing.best,
            success_rate=standing.success_rate,
            success_interval=None if interval is None else list(interval),
            episodes=standing.episodes,
            successes=standing.successes,
            settings=dict(standing.settings),
            duration_s=standing.duration_s,
            cpu_hours=standing.cpu_hours,
            gpu_hours=standing.gpu_hours,
            price=standing.price,
            content_hash=standing.content_hash,
            created=standing.created,
            ended=standing.ended,
            report=str(report) if Path(report).exists() else None,
        )
    )
