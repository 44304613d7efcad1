"""How an experiment stands, read from its folder alone: while it runs, when it is over, by any version."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from blueprint_tune.tuning.closing import OUTCOME_FILE
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.records import REPORTS_FILE, read_reports

_HOUR_S = 3600.0


@dataclass(frozen=True)
class TrialStanding:
    """What a trial's reports say so far.

    Attributes:
        env_steps: trained. best: highest value of the tuned metric. time_s: of training.
        elapsed_s: of the experiment at the last report. rate: env steps a second before it.
        since: when the last report was written, in seconds since 1970.
    """

    env_steps: int
    best: float | None
    time_s: float
    elapsed_s: float
    rate: float | None
    since: float


@dataclass(frozen=True)
class Standing:
    """One experiment.

    Attributes:
        state: ``finished``, ``failed`` (all its trials), ``running`` or ``interrupted``.
        stage: of a running one, ``training`` or ``proving``.
        config: as ``experiment.yaml`` has it, plain.
        trials: how many of each status. failures: a sentence for each trial that failed.
        env_steps: of all trials. best: highest selection score so far, or of the winner.
        success_rate, interval, episodes, successes: of the benchmark; None before it.
        settings: the winner's searched keys and values. duration_s: over all its processes.
        cpu_hours: reserved by trials and the evaluation. gpu_hours: likewise; None where none was recorded.
        price: of these hours, as the config prices them; None without prices.
        ended: when the result came, ISO 8601 in UTC.
        begun: each trial that reported. at_once: trials that run together.
        proving_since: the search's end, in seconds since 1970.
    """

    path: Path
    state: str
    stage: str
    config: Mapping[str, Any]
    created: str
    input_hash: str
    content_hash: str
    trials: Mapping[str, int]
    failures: tuple[str, ...]
    env_steps: int
    best: float | None
    success_rate: float | None
    interval: tuple[float, float] | None
    episodes: int | None
    successes: int | None
    settings: Mapping[str, Any]
    duration_s: float
    cpu_hours: float | None
    gpu_hours: float | None
    price: float | None
    ended: str | None
    begun: tuple[TrialStanding, ...]
    at_once: int
    proving_since: float

    @property
    def name(self) -> str:
        """The experiment's."""
        return self.path.name


def read_standing(path: Path) -> Standing | None:
    """The standing of the experiment in the folder ``path``; None where there is none (yet)."""
    folder = ExperimentFolder(path)
    tree = _document(str(folder.document), _stamp(folder.document))
    if tree is None:
        return None
    config = tree["config"]
    result, outcome = _json(folder.result), _json(folder.evaluation / OUTCOME_FILE)
    records = _json(folder.records) or _json(path / "failed.json") or []
    metric, mode = (_first(_at(config, f"sweep.{name}")) for name in ("metric", "mode"))
    reports = tuple(_trials(folder.trials, metric, mode))
    winner = next((r for r in records if result and r["trial_id"] == result["best_trial"]), None)
    shape = _json(path / "resources.json")
    hours = _hours(records, reports, shape, outcome)
    state = _state(folder, result)
    return Standing(
        path=path,
        state=state,
        stage=("proving" if records else "training") if state == "running" else "",
        config=config,
        created=str(tree.get("created", "")),
        input_hash=str(tree["input_hash"]),
        content_hash=str(tree.get("content_hash", "")),
        trials=dict(Counter(r["status"] for r in records)) or {"begun": len(reports)},
        failures=tuple(f"trial {r['index']}: {r['error']}" for r in records if r["error"]),
        env_steps=sum(t.env_steps for t in reports),
        best=winner["score"]
        if winner
        else max((t.best for t in reports if t.best is not None), default=None),
        success_rate=result["success_rate"] if result else None,
        interval=tuple(result["success_interval"]) if result else None,
        episodes=outcome["episodes"] if outcome and result else None,
        successes=outcome["successes"] if outcome and result else None,
        settings=winner["sample"] if winner else {},
        duration_s=result["duration_s"] if result else max((t.elapsed_s for t in reports), default=0.0),
        cpu_hours=hours[0],
        gpu_hours=hours[1],
        price=_price(hours, config),
        ended=_time(folder.evaluation / OUTCOME_FILE) if result else None,
        begun=reports,
        at_once=shape["concurrent"] if shape else 1,
        proving_since=_stamp(folder.records)[0] / 1e9,
    )


def place(config: Mapping[str, Any]) -> dict[str, Any]:
    """Where a plain config's experiment stands in a table."""
    keys = {"scene": "scene.id", "policy": "policy.name", "robot": "robot.name", "sweep": "sweep.name"}
    return {name: _at(config, key) for name, key in keys.items()} | {"seed": _at(config, "seed")}


def read_config(path: Path) -> dict[str, Any]:
    """The plain config of the experiment in ``path``; empty where there is none."""
    document = ExperimentFolder(path).document
    return dict((_document(str(document), _stamp(document)) or {}).get("config", {}))


def _state(folder: ExperimentFolder, result: Any) -> str:
    if result:
        return "finished"
    if held(folder.path):
        return "running"
    return "failed" if (folder.path / "failed.json").exists() else "interrupted"


def held(path: Path) -> bool:
    """Whether a process of this machine is working on the experiment (or batch) in ``path``."""
    try:
        pid = int((path / ".lock").read_text())
        os.kill(pid, 0)  # asking for the lock could get in the way of one who just wants to take it
        with (path / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except PermissionError:  # somebody else's process
        return True
    except (OSError, ValueError):
        return False
    return False


def _first(setting: Any) -> str:
    """Of several metrics the one that counts most."""
    return str(setting[0] if isinstance(setting, list) else setting)


def _trials(folder: Path, metric: str, mode: str) -> list[TrialStanding]:
    return [
        found
        for file in sorted(folder.glob(f"*/{REPORTS_FILE}"))
        if (found := _trial(str(file), metric, mode, _stamp(file))) is not None
    ]


@lru_cache(maxsize=4096)
def _trial(file: str, metric: str, mode: str, stamp: tuple[int, int]) -> TrialStanding | None:
    """Read again only when the file has changed."""
    rows = read_reports(Path(file).parent)
    if not rows:
        return None
    scores = [float(row[metric]) for row in rows if row.get(metric) is not None]
    last, before = rows[-1], rows[-2] if len(rows) > 1 else None
    seconds = float(last["time_s"]) - (float(before["time_s"]) if before else 0.0)
    steps = int(last["env_steps"]) - (int(before["env_steps"]) if before else 0)
    return TrialStanding(
        env_steps=int(last["env_steps"]),
        best=(max if mode == "max" else min)(scores, default=None),
        time_s=float(last["time_s"]),
        elapsed_s=float(last["elapsed_s"]),
        rate=steps / seconds if seconds > 0 and steps > 0 else None,
        since=float(last.get("timestamp", 0.0)),
    )


@lru_cache(maxsize=1024)
def _document(file: str, stamp: tuple[int, int]) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, yaml.YAMLError):
        tree = yaml.load(Path(file).read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if isinstance(tree, dict) and {"config", "input_hash"} <= set(tree):
            return tree
    return None


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _json(file: Path) -> Any:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(file.read_text())
    return None


def _at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; None in experiments of versions that did not have it."""
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _hours(
    records: list[dict[str, Any]],
    reports: tuple[TrialStanding, ...],
    shape: Mapping[str, Any] | None,
    outcome: Mapping[str, Any] | None,
) -> tuple[float | None, float | None]:
    """CPU-hours and GPU-hours that were reserved, as far as they were written down."""
    if shape is None:
        return None, None
    training_s = sum(r["duration_s"] for r in records) if records else sum(t.time_s for t in reports)
    proving_s = sum(outcome["timings_s"].values()) if outcome else 0.0
    cpu_s = training_s * shape["cpus_per_trial"] + proving_s * (outcome or {}).get("cpus", 0.0)
    gpus = shape.get("gpus_per_trial") or None
    return cpu_s / _HOUR_S, None if gpus is None else training_s * gpus / _HOUR_S


def _price(hours: tuple[float | None, float | None], config: Mapping[str, Any]) -> float | None:
    """In the currency of the config's prices."""
    prices = _at(config, "cluster.cpu_hour_price"), _at(config, "cluster.gpu_hour_price")
    parts = [h * p for h, p in zip(hours, prices, strict=True) if h is not None and p is not None]
    return sum(parts) if parts else None


def _time(file: Path) -> str | None:
    with contextlib.suppress(OSError):
        return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return None
