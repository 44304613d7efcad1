from __future__ import annotations

from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.reporting.job import JobFacts, job_config, job_status, train_cfg
from blueprint_tune.schemas import load_schema

JOB = JobFacts(
    job_id="a",
    status="running",
    created_at="2026-01-08T12:00:00+00:00",
    started_at=None,
    finished_at=None,
    best_trial=None,
    num_trials=8,
    num_failed=0,
    input_hash="0123456789ab",
    content_hash="ba9876543210",
    command="python -m blueprint_tune",
)


@pytest.fixture(scope="module")
def cfg() -> ExperimentConfig:
    return compose(["+scene=kitchen_001", "policy=drawer_manipulation", "preset=smoke", "sweep=asha"])


@pytest.mark.parametrize("status", ["pending", "running", "completed", "failed"])
def test_status_fits_its_schema_at_every_stage(cfg: ExperimentConfig, status: str) -> None:
    document = job_status(
        cfg, replace(JOB, status=status, error="the disk is full" if status == "failed" else None)
    )
    Draft202012Validator(load_schema("job_status")).validate(document)


def test_config_fits_its_schema(cfg: ExperimentConfig) -> None:
    document = job_config(cfg, JOB, {"agent.rollouts": 16})
    Draft202012Validator(load_schema("job_config")).validate(document)
    assert document["overrides"] == {"agent.rollouts": 16}
    assert document["policy_id"] == "drawer_manipulation"


def test_train_cfg_has_upstreams_sections(cfg: ExperimentConfig) -> None:
    document = train_cfg(cfg, 250)
    assert set(document) == {
        "task_name",
        "experiment_name",
        "env",
        "algo",
        "runner",
        "logging",
        "rewards",
        "randomization",
    }
    assert document["algo"]["policy"]["actor_hidden_dims"] == cfg.agent.policy_hidden_dims
    assert document["algo"]["lam"] == cfg.agent.gae_lambda
    assert document["runner"]["save_interval"] >= document["runner"]["log_interval"] >= 1
    assert document["rewards"] == {name: term["weight"] for name, term in cfg.policy.rewards.items()}
    assert [e["name"] for e in document["randomization"]["on_reset"]] == list(cfg.policy.events)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("kl_adaptive", "adaptive"), ("linear", "linear"), ("constant", "fixed")]
)
def test_learning_rate_schedules(cfg: ExperimentConfig, ours: str, theirs: str) -> None:
    changed = replace(cfg, agent=replace(cfg.agent, learning_rate_schedule=ours))
    assert train_cfg(changed, 250)["algo"]["lr_schedule"] == theirs
