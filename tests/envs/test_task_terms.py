"""A policy file as a whole, and the names it may use: checked before any simulator starts."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

import pytest

from blueprint_tune.config.paths import group_options
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.factory import check_task
from blueprint_tune.envs.task_terms import TaskTerms
from blueprint_tune.errors import BackendUnavailable, ConfigError
from blueprint_tune.simulators.registry import make_simulator
from blueprint_tune.tasks.spec import TaskSpec, catalog

Compose = Callable[..., ExperimentConfig]


@pytest.mark.parametrize("policy", group_options("policy"))
def test_the_shipped_policies_bind(
    config: Compose, benchmark: Callable[[str], list[str]], policy: str
) -> None:
    settings = config(*benchmark(policy))
    task = check_task(settings)
    terms = TaskTerms.bind(settings.policy, catalog(task))
    assert [term.name for term in terms.rewards] == list(settings.policy.rewards)
    assert [term.name for term in terms.observations] == list(settings.policy.observations)
    assert terms.hold_s == 0.5


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"observations": {}},
            "conf/policy/dexterous_pick_place.yaml: a policy needs observations and rewards.",
        ),
        (
            {"success": {"term": "within_distnce"}},
            "success 'success' uses term 'within_distnce'. Did you mean",
        ),
        (
            {"terminations": {"fell": {"term": "below_height", "frame": "cup", "height_m": 0.1}}},
            "termination 'fell'",
        ),
        ({"events": {"pose": {"kind": "object_posé"}}}, "event 'pose' has kind 'object_posé'. Did you mean"),
        ({"commands": {}}, "there is no frame 'command/goal'."),
    ],
)
def test_check_task_finds_what_a_run_would_die_of(
    config: Compose, changes: dict[str, Any], says: str
) -> None:
    settings = config()
    with pytest.raises(ConfigError) as caught:
        check_task(replace(settings, policy=replace(settings.policy, **changes)))
    assert says in str(caught.value)


@pytest.mark.parametrize("hold_s", ["long", -0.1, True])
def test_how_long_success_must_hold_is_a_duration(config: Compose, hold_s: Any) -> None:
    policy = config().policy
    changed = replace(policy, success=dict(policy.success, hold_s=hold_s))
    with pytest.raises(ConfigError, match="hold_s must be seconds"):
        check_task(replace(config(), policy=changed))


def test_an_unknown_backend_is_answered_with_the_nearest(config: Compose, pick_task: TaskSpec) -> None:
    backend = copy(config().backend)
    object.__setattr__(backend, "name", "mujuco")  # which settings would never let through
    with pytest.raises(BackendUnavailable, match="There is no backend 'mujuco'. Did you mean 'mujoco'?"):
        make_simulator(backend, pick_task, catalog(pick_task), 1, 1, 1)


@pytest.mark.parametrize("policy", group_options("policy"))
def test_what_only_evaluations_measure_costs_training_no_sensor(
    config: Compose, benchmark: Callable[[str], list[str]], policy: str
) -> None:
    settings = config(*benchmark(policy))
    task = check_task(settings)
    measured, bare = catalog(task), catalog(task)
    terms = TaskTerms.bind(settings.policy, measured)
    TaskTerms.bind(replace(settings.policy, metrics={}, grip=None), bare)
    assert measured.contacts == bare.contacts
    assert [m.name for m in terms.metrics] == list(settings.policy.metrics) != []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"metrics": {"m": {"term": "action_rate", "reduce": "summ"}}},
            "metric 'm' has reduce 'summ'. Did you",
        ),
        (
            {"metrics": {"m": {"term": "grip_forse"}}},
            "metric 'm' uses term 'grip_forse'. Did you mean 'grip_for",
        ),
        ({"metrics": {"m": {"reduce": "sum"}}}, "metric 'm' has no 'term'."),
        ({"grip": {"term": "grip_force", "by": "robot/gripper", "what": "cup"}}, "metric 'grip'"),
    ],
)
def test_mistakes_in_metrics_name_the_entry(config: Compose, changes: dict[str, Any], says: str) -> None:
    settings = config()
    with pytest.raises(ConfigError) as caught:
        check_task(replace(settings, policy=replace(settings.policy, **changes)))
    assert says in str(caught.value)
