"""A plan as people read it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from blueprint_tune.config.flat import shown
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.planning.estimate import Estimate, size
from blueprint_tune.planning.plan import SHOWN, Plan
from blueprint_tune.tuning.forecast import count, duration


def plan_text(plan: Plan) -> str:
    """Everything that is known before a simulator starts."""
    cfg = plan.cfg
    lines = [
        plan.name,
        *_task(cfg),
        *_row("result", _state(plan)),
        *_row("trials", _trials(plan)),
        *_row("a trial", _trial(plan)),
        *_row("scheduler", _scheduler(plan)),
        *_row("reports", _reports(plan)),
        *_row("at once", _share(plan)),
    ]
    return "\n".join([*lines, *_samples(plan)]) + "\n"


def estimate_text(found: Estimate) -> str:
    """What a probe, or a first guess, makes of it."""
    how = (
        "5-second probe"
        if found.measured
        else "a first guess; without --no-probe a 5-second probe measures it"
    )
    lines = [
        *_row("time", f"about {duration(found.seconds)} ({count(found.steps_per_s)} env steps/s; {how})"),
        *_row("memory", _of(found.memory_bytes, found.memory_free_bytes)),
        *_row("disk", _of(found.disk_bytes, found.disk_free_bytes)),
    ]
    return "\n".join(lines) + "\n"


def as_json(plan: Plan, found: Estimate) -> dict[str, Any]:
    """Plain data; null is what was not measured."""
    cfg = plan.cfg
    return {
        "name": plan.name,
        "folder": str(plan.folder),
        "state": plan.state,
        "changed_since": list(plan.changed),
        "scene": cfg.scene.id,
        "policy": cfg.policy.name,
        "robot": cfg.robot.name,
        "trials": plan.num_trials,
        "samples": [dict(sample) for sample in plan.samples],
        "later_samples_depend_on_results": plan.depends,
        "num_envs": cfg.backend.num_envs,
        "env_steps": cfg.budget.env_steps,
        "updates": {"fewest": plan.updates[0], "most": plan.updates[1]},
        "reports": plan.reports,
        "checkpoints": plan.checkpoints,
        "scheduler": _class(cfg.sweep.scheduler),
        "rungs": list(plan.rungs),
        "searcher": _class(cfg.sweep.searcher),
        "cpus": plan.cpus,
        "fit": asdict(plan.fit),
        "at_once": plan.at_once,
        "estimate": {**asdict(found), "seconds": found.seconds},
        "notes": list(plan.notes),
    }


def _row(name: str, text: str) -> list[str]:
    return [f"  {name:<11}{text}"] if text else []


def _task(cfg: ExperimentConfig) -> list[str]:
    if cfg.backend.own_task:
        name = cfg.backend.task or cfg.scene.package
        return _row("task", f"{name}, with an environment of its own, in {cfg.backend.name}")
    return [
        *_row("task", f"{cfg.policy.name} in {cfg.scene.id} with {cfg.robot.name}"),
        *_row("physics", f"{cfg.physics.name} in {cfg.backend.name}"),
    ]


def _state(plan: Plan) -> str:
    since = f"; changed since: {'; '.join(plan.changed)}" if plan.changed else ""
    if plan.state == "finished":
        again = (
            "would be set aside and made anew (force=true)" if plan.cfg.force else "would be offered again"
        )
        return f"this very input is finished and {again}{since}"
    if plan.state == "unfinished":
        return f"this very input was begun and would go on where it stopped{since}"
    return ""


def _trials(plan: Plan) -> str:
    if plan.num_trials == 1:
        return "1, with the settings as composed" if not any(plan.samples) else "1"
    search = _class(plan.cfg.sweep.searcher) or "sampled at random"
    first = ", trial 0 is the default settings" if plan.cfg.sweep.default_settings_first else ""
    within = plan.cfg.sweep.time_budget_s
    most = f"at most {plan.num_trials} in {duration(within)}" if within else f"{plan.num_trials}"
    return f"{most}, {search}{first}"


def _trial(plan: Plan) -> str:
    fewest, most = plan.updates
    updates = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    steps = plan.cfg.budget.env_steps
    return f"{count(steps)} env steps in {plan.cfg.backend.num_envs} environments: {updates} updates"


def _scheduler(plan: Plan) -> str:
    name = _class(plan.cfg.sweep.scheduler)
    if not name:
        return ""
    said = [f"rungs at {', '.join(count(rung) for rung in plan.rungs)} env steps"] if plan.rungs else []
    said += [f"{key} {count(value)}" for key, value in plan.decisions.items() if not plan.rungs]
    return f"{name}: {'; '.join(said)}" if said else name


def _reports(plan: Plan) -> str:
    every = count(plan.cfg.budget.report_env_steps)
    return f"{plan.reports} of a full trial, every {every} env steps; {plan.checkpoints} checkpoints"


def _share(plan: Plan) -> str:
    """How trials share the machine."""
    fit = plan.fit
    trials = f"{plan.at_once} trial{'s' * (plan.at_once != 1)}"
    ranks = f", {fit.ranks} ranks" if fit.ranks > 1 else ""
    gpus = f" and {fit.gpus_per_trial:g} GPUs" if fit.gpus_per_trial else ""
    threads = f"{fit.threads} physics threads{' a rank' if ranks else ''}"
    return f"{trials} of {fit.cpus_per_trial:g} CPUs{gpus}{ranks} ({threads}); there are {plan.cpus} CPUs"


def _samples(plan: Plan) -> list[str]:
    if not any(plan.samples):
        return []
    keys = list(dict.fromkeys(key for sample in plan.samples for key in sample))
    tails = [key.rpartition(".")[2] for key in keys]
    heads = [tail if tails.count(tail) == 1 else key for key, tail in zip(keys, tails)]
    rows = [("trial", *heads), *((str(i), *_values(sample, keys)) for i, sample in enumerate(plan.samples))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths)) for row in rows]
    left = plan.num_trials - len(plan.samples)
    if left > 0:
        reason = (
            "their values depend on results" if plan.depends and len(plan.samples) < SHOWN else "not shown"
        )
        lines.append(f"and {left} more, {reason}")
    return ["", *(f"  {line}" for line in lines)]


def _values(sample: Mapping[str, Any], keys: Sequence[str]) -> Iterable[str]:
    values = (sample.get(key) for key in keys)
    return (f"{value:.4g}" if isinstance(value, float) else shown(value, 24) for value in values)


def _of(needed: int | None, free: int | None) -> str:
    if needed is None:
        return "unknown without a probe" + (f"; {size(free)} free" if free else "")
    return f"up to {size(needed)}" + (f" of {size(free)} free" if free else "")


def _class(entry: Mapping[str, Any] | None) -> str:
    return str((entry or {}).get("_target_", "")).rpartition(".")[2]
