"""Rows of a leaderboard from storage, and which rows are champions."""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blueprint_tune.batches.rows import Row
from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.registry.overview import champion_names, place
from blueprint_tune.registry.published import Published, all_published, at_address, read_json
from blueprint_tune.storage.path import StoragePath

log = logging.getLogger(__name__)


def published_rows(root: StoragePath) -> list[dict[str, Any]]:
    """A row a policy in the indices of ``root``, the champions marked; what is damaged is told.

    Raises StorageError.
    """
    published, damaged = all_published(root)
    known, torn = champion_names(published)
    for sentence in (*damaged, *torn):
        log.warning(sentence)
    return [_row(policy, known.get(place(policy)) == policy.name) for policy in published]


def mark_champions(rows: Iterable[dict[str, Any]]) -> None:
    """Say of each row of an experiment's folder whether its policy is a champion where it was published.

    Where that is in a bucket nothing is asked: a look at one's own folders needs no network.
    """
    names: dict[tuple[str, ...], str | None] = {}
    for row in rows:
        with contextlib.suppress(BlueprintTuneError, OSError, ValueError, KeyError, TypeError):
            address = json.loads((Path(row["path"]) / "result.json").read_text())["published"]["policy"]
            if "://" in address:
                continue
            policy = at_address(address, StorageConfig(None, "."))
            where = (str(policy.root), *place(policy))
            if where not in names:
                names[where] = champion_names([policy])[0].get(place(policy))
            row["champion"] = names[where] == policy.name


def _row(policy: Published, champion: bool) -> dict[str, Any]:
    job = policy.training / "jobs" / policy.job
    asked, status = read_json(job / "config/job_config.json"), read_json(job / "job_status.json")
    summary = read_json(policy.bundle / "training_summary.json")
    evaluation = policy.training / "evaluations" / policy.evaluation
    report = read_json(evaluation / "benchmark_report.json")
    trials = summary["trials"]
    return asdict(
        Row(
            name=policy.name,
            path=str(policy.bundle),
            scene=policy.scene,
            policy=policy.policy,
            robot=policy.robot,
            sweep=str(asked["sweep"]),
            seed=int(asked["seed"]),
            axes={},
            state="finished",
            reason=None,
            input_hash=str(asked["input_hash"]),
            trials=dict(Counter(trial["status"] for trial in trials)),
            failures=[f"trial {k}: {t['failures'][-1]}" for k, t in enumerate(trials) if t["failures"]],
            env_steps=sum(trial["env_steps"] or 0 for trial in trials),
            best=summary["selection_success_rate"],
            success_rate=report["summary"]["success_rate"],
            success_interval=report["summary"]["success_rate_95ci"],
            episodes=report["evaluation_config"]["num_episodes"],
            successes=report["summary"]["successes"],
            settings=summary["sampled"],
            duration_s=summary["wall_time_s"],
            content_hash=str(asked["content_hash"]),
            created=status["created_at"],
            ended=status["finished_at"],
            report=str(evaluation / "report.html"),
            champion=champion,
        )
    )
