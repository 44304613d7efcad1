"""What a sweep cannot do, said before Ray starts: rules over ``sweep.*`` and the search space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from blueprint_tune.config.own_task import RETURN
from blueprint_tune.config.schema import ExperimentConfig, SweepConfig
from blueprint_tune.errors import nearest

REPORTED_METRICS = ("eval/success_rate", "eval/action_smoothness")
"""Of the selection evaluation, in every report: what trials may be compared by."""
TIME = "env_steps"
"""What schedulers count unless told otherwise: the same in every trial, however long its rollouts are."""
_TIMES = (TIME, "training_iteration", "time_total_s")
_TARGET_HOMES = {"scheduler": ("ray.tune.schedulers",), "searcher": ("ray.tune.search", "optuna.samplers")}
_POPULATION = ("PopulationBasedTraining", "PB2")
_SEVERAL_METRICS = "ray.tune.search.optuna.OptunaSearch"
AGENT_IN_FLIGHT = (
    "learning_rate",
    "min_learning_rate",
    "max_learning_rate",
    "desired_kl",
    "discount_factor",
    "gae_lambda",
    "ratio_clip",
    "value_clip",
    "entropy_loss_scale",
    "value_loss_scale",
    "grad_norm_clip",
    "learning_epochs",
    "mini_batches",
)
"""Settings that the learner reads anew at every update."""
IN_FLIGHT = frozenset(f"agent.{name}" for name in AGENT_IN_FLIGHT)
"""Their dotted keys; weights of rewards are the other ones that may change."""
_NOT_IN_FLIGHT = {
    "agent.policy_hidden_dims": "the networks that are copied have the sizes they have",
    "agent.value_hidden_dims": "the networks that are copied have the sizes they have",
    "agent.activation": "the networks that are copied were trained with theirs",
    "agent.initial_std": "it is where the learned exploration began",
    "agent.rollouts": "reports and copies are due at the same env steps in every member",
    "agent.learning_rate_schedule": "the copied optimizer is in the middle of its schedule",
    "agent.observation_clip": "the networks that are copied were trained with theirs",
    "seed": "the state of the random numbers is copied",
    "policy.events": "running episodes were drawn with the settings of the copied trial",
}


def is_population(sweep: SweepConfig) -> bool:
    """Whether trials copy each other while they train."""
    return _class_name(sweep.scheduler) in _POPULATION


def pauses_trials(sweep: SweepConfig) -> bool:
    """Whether the scheduler puts trials aside, and so must see all of them from the start."""
    return is_population(sweep) or "HyperBand" in _class_name(sweep.scheduler).replace("AsyncHyperBand", "")


def _class_name(entry: Mapping[str, Any] | None) -> str:
    return str((entry or {}).get("_target_", "")).rpartition(".")[2]


def sweep_problems(cfg: ExperimentConfig) -> list[str]:
    """Every rule that the sweep breaks by itself, one sentence each."""
    return [
        *_trials(cfg.sweep, cfg.searchspace),
        *_entries(cfg.sweep),
        *_metrics(cfg.sweep, cfg.backend.own_task),
        *_times(cfg),
        *(_population(cfg) if is_population(cfg.sweep) else ()),
    ]


def _trials(sweep: SweepConfig, searchspace: str | list[str] | None) -> Iterator[str]:
    if not searchspace and sweep.num_samples > 1:
        yield (
            f"sweep '{sweep.name}' would run {sweep.num_samples} equal trials, because no search space"
            " is given. Use searchspace=ppo_core, or sweep=single."
        )


def _entries(sweep: SweepConfig) -> Iterator[str]:
    for field, homes in _TARGET_HOMES.items():
        given: dict[str, Any] | None = getattr(sweep, field)
        if given is not None and "_target_" not in given:
            yield f"sweep.{field} needs a _target_ inside {homes[0]}."
        yield from (
            f"sweep.{field}: '{target}' is outside {' and '.join(homes)};"
            " configuration does not run other code."
            for target in targets(given)
            if not str(target).startswith(tuple(f"{home}." for home in homes))
        )


def _metrics(sweep: SweepConfig, own_task: bool) -> Iterator[str]:
    known = (*REPORTED_METRICS, RETURN) if own_task else REPORTED_METRICS
    for metric in sweep.metrics:
        if not metric.startswith("eval/") or (metric == RETURN and not own_task):
            yield (
                f"sweep.metric='{metric}' cannot compare trials: rewards and training episodes may"
                f" differ between them. Use one of {', '.join(known)}."
            )
        elif metric not in known:
            yield f"sweep.metric='{metric}': no report carries it. {nearest(metric, known)}"
    if len(sweep.metrics) != len(sweep.modes):
        yield (
            f"sweep.metric names {len(sweep.metrics)} metrics and sweep.mode {len(sweep.modes)}:"
            " give each metric its max or min."
        )
    target = str((sweep.searcher or {}).get("_target_", _SEVERAL_METRICS))
    if len(sweep.metrics) > 1 and target != _SEVERAL_METRICS:
        yield (
            f"sweep.metric names {len(sweep.metrics)} metrics, and {target} searches by one."
            " Use sweep=optuna_multi, or one metric."
        )


def _times(cfg: ExperimentConfig) -> Iterator[str]:
    """Spans that the scheduler counts, beside how long a trial is."""
    entry = cfg.sweep.scheduler or {}
    attribute = entry.get("time_attr", TIME)
    if attribute not in _TIMES:
        yield (
            f"sweep.scheduler.time_attr='{attribute}': no report counts it. Use {TIME}, which is the same in"
            " every trial."
        )
    end = _end(cfg, attribute)
    spans = {key: entry.get(key) for key in ("grace_period", "perturbation_interval", "burn_in_period")}
    for key, value in spans.items():
        if end is None or not isinstance(value, int | float):
            continue
        if value > end or (value == end and key != "grace_period"):
            yield (
                f"sweep.scheduler.{key}={value:g} leaves nothing of a trial of {end:g} {attribute}"
                f" (budget.env_steps={cfg.budget.env_steps}) to decide about. Use less, or a larger budget."
            )
    grace, last = spans["grace_period"], entry.get("max_t")
    if isinstance(grace, int | float) and isinstance(last, int | float) and last < grace:
        yield (
            f"sweep.scheduler.grace_period={grace:g} is more than sweep.scheduler.max_t={last:g},"
            " where trials end. Use less."
        )


def _end(cfg: ExperimentConfig, attribute: str) -> int | None:
    """How long a trial is, counted in ``attribute``; None where that cannot be known."""
    if attribute == TIME:
        return cfg.budget.env_steps
    reports = math.ceil(cfg.budget.env_steps / cfg.budget.report_env_steps) + 1
    return reports if attribute == "training_iteration" else None


def _population(cfg: ExperimentConfig) -> Iterator[str]:
    sweep, name = cfg.sweep, _class_name(cfg.sweep.scheduler)
    entry = sweep.scheduler or {}
    if sweep.num_samples < 2:
        yield f"sweep.num_samples={sweep.num_samples}: {name} needs a population of 2 or more to copy from."
    if sweep.searcher is not None:
        yield (
            f"sweep.searcher: {name} finds new settings itself and takes no searcher."
            " Set sweep.searcher=null."
        )
    for key in ("hyperparam_mutations", "hyperparam_bounds", "custom_explore_fn"):
        if key in entry:
            yield (
                f"sweep.scheduler.{key}: what is changed in flight is the search space;"
                " name it with searchspace=…"
            )
    if entry.get("synch"):
        yield (
            "sweep.scheduler.synch=true: members would wait for ever for one that has failed for good."
            " Leave it false."
        )
    if sweep.keep_checkpoints != "all":
        yield (
            f"sweep.keep_checkpoints={sweep.keep_checkpoints}: members copy each other's checkpoints, and"
            " what one of them is about to copy could be deleted before it has read it."
            " Use sweep.keep_checkpoints=all."
        )


def space_problems(space: Mapping[str, Mapping[str, Any]], cfg: ExperimentConfig) -> Iterator[str]:
    """Why the sweep cannot search ``space``, one sentence each."""
    sweep = cfg.sweep
    grid = any(_class_name(entry) == "grid_search" for entry in space.values())
    if space and cfg.searchspace and sweep.num_samples == 1 and sweep.default_settings_first and not grid:
        yield (
            f"searchspace={cfg.searchspace} has no effect: sweep '{sweep.name}' runs one trial, with the"
            " settings as composed. Use sweep=random or sweep=asha."
        )
    if grid and sweep.searcher is not None:
        yield (
            f"searchspace={cfg.searchspace} holds a grid, which {_class_name(sweep.searcher)} does not run"
            " through. Use sweep=grid, or ray.tune.choice."
        )
    if is_population(sweep):
        yield from _in_flight(space, cfg)


def _in_flight(space: Mapping[str, Mapping[str, Any]], cfg: ExperimentConfig) -> Iterator[str]:
    """Keys and distributions that a population cannot change while it trains."""
    name = _class_name(cfg.sweep.scheduler)
    for key, entry in space.items():
        kind = _class_name(entry)
        if reason := _not_in_flight(key, cfg):
            yield (
                f"'{key}' cannot be changed in flight by {name}: {reason}. Search it with another sweep,"
                " or use searchspace=in_flight."
            )
        elif kind == "grid_search":
            yield f"'{key}' is a grid, which {name} does not run through. Use ray.tune.choice."
        elif name == "PB2" and "lower" not in entry:
            yield (
                f"'{key}' is a {kind}, and PB2 fits a model over ranges. Use ray.tune.uniform, or"
                " searchspace=in_flight_ranges."
            )


def _not_in_flight(key: str, cfg: ExperimentConfig) -> str | None:
    parts = key.split(".")
    if cfg.policy.curriculum and any(
        f"policy.{c.path}" == key for c in cfg.policy.curriculum.changes.values()
    ):
        return "the curriculum changes it"
    if key in IN_FLIGHT or (parts[:2] == ["policy", "rewards"] and len(parts) == 4 and parts[3] == "weight"):
        return None
    known = (_NOT_IN_FLIGHT.get(".".join(parts[:length])) for length in range(len(parts), 0, -1))
    return next(filter(None, known), "a trial takes it up only when it begins")


def targets(node: Any) -> Iterator[Any]:
    """Every ``_target_`` in a nested mapping."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)
