"""Remaining time: what it is before, during and after measuring."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.tuning.forecast import (
    CLOSING_S,
    FIRST_GUESS_STEPS_PER_S,
    START_S,
    Forecast,
    TrialProgress,
    benchmark_steps,
    closing_s,
    count,
    duration,
    expected_share,
)

CFG = compose(
    ["+scene=kitchen_001", "preset=smoke", "budget.env_steps=1000000", "budget.report_env_steps=10000"]
)


def with_scheduler(**scheduler: object) -> ExperimentConfig:
    return replace(CFG, sweep=replace(CFG.sweep, scheduler=scheduler))


def test_a_trial_without_early_stopping_trains_its_whole_budget() -> None:
    assert expected_share(CFG) == 1.0
    assert expected_share(with_scheduler(_target_="x", time_attr="env_steps")) == 1.0


def test_successive_halving_trains_rung_by_rung() -> None:
    # rungs at 10 and 30 of 90: all train 10, a third 20 more, a ninth 60 more
    cfg = with_scheduler(grace_period=10, max_t=90, reduction_factor=3)
    assert expected_share(cfg) == pytest.approx((10 + 20 / 3 + 60 / 9) / 90)


@given(st.integers(1, 10**7), st.integers(1, 10**7), st.floats(1.1, 10))
def test_an_expected_share_is_a_share(grace: int, end: int, factor: float) -> None:
    assert 0 < expected_share(with_scheduler(grace_period=grace, max_t=end, reduction_factor=factor)) <= 1


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def closing(rate: float) -> float:
    return CLOSING_S + benchmark_steps(CFG) / (2 * rate)


def test_before_any_report_the_estimate_is_a_guess_for_all_cpus() -> None:
    forecast = Forecast(CFG, num_trials=4, cpus=2, clock=Clock())
    rate = 2 * FIRST_GUESS_STEPS_PER_S
    seconds, measured = forecast.remaining_s([])
    assert not measured
    assert seconds == pytest.approx(START_S + 4e6 / rate + closing(rate))


def test_measured_rates_count_and_time_passes_between_reports() -> None:
    clock = Clock()
    forecast = Forecast(CFG, num_trials=1, cpus=2, clock=clock)
    trial = TrialProgress(0, state="running", env_steps=200_000, steps_per_s=10_000.0, since=clock.now)
    seconds, measured = forecast.remaining_s([trial])
    assert measured
    assert seconds == pytest.approx(80 + closing(10_000))
    clock.now += 30
    assert forecast.remaining_s([trial])[0] == pytest.approx(50 + closing(10_000))


def test_trials_not_begun_are_counted_and_ended_ones_are_not() -> None:
    clock = Clock()
    forecast = Forecast(CFG, num_trials=4, cpus=2, clock=clock)
    trials = [
        TrialProgress(0, state="completed", env_steps=1_000_000, steps_per_s=5_000.0, since=clock.now),
        TrialProgress(1, state="running", env_steps=500_000, steps_per_s=5_000.0, since=clock.now),
        TrialProgress(2, state="running", env_steps=500_000, steps_per_s=5_000.0, since=clock.now),
    ]
    assert forecast.remaining_s(trials)[0] == pytest.approx((0.5e6 + 0.5e6 + 1e6) / 10_000 + closing(10_000))


def test_the_slowest_running_trial_is_waited_for() -> None:
    clock = Clock()
    forecast = Forecast(CFG, num_trials=2, cpus=2, clock=clock)
    trials = [
        TrialProgress(0, state="running", env_steps=990_000, steps_per_s=9_000.0, since=clock.now),
        TrialProgress(1, state="running", env_steps=0, steps_per_s=1_000.0, since=clock.now),
    ]
    assert forecast.remaining_s(trials)[0] == pytest.approx(1000 + closing(10_000))


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "5 s"), (41, "45 s"), (58, "1 min"), (600, "10 min"), (7500, "2 h 05 min")]
)
def test_durations_read_as_estimates(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(640, "640"), (5123, "5.1k"), (640_000, "640k"), (999_600, "1.0M"), (2e6, "2.0M"), (1.25e10, "12.5G")],
)
def test_counts_are_short(number: float, text: str) -> None:
    assert count(number) == text


def test_perturbations_and_trials_that_play_again_are_reckoned_with() -> None:
    words = [
        "+scene=kitchen_001",
        "policy=dexterous_pick_place",
        "preset=quick",
    ]  # 128 environments, 83 env steps
    bare = compose([*words, "evaluation.robustness=off", "evaluation.reevaluation=off"])
    assert benchmark_steps(bare) == 4 * 128 * 83
    assert benchmark_steps(compose(words)) == (4 + 8) * 128 * 83
    assert benchmark_steps(compose([*words, "sweep=random"])) == (4 + 8 + 2 * 2) * 128 * 83


def test_an_episode_of_a_task_of_its_own_is_as_long_as_measured() -> None:
    words = ["backend=isaaclab_task", "backend.task=A-v0", "preset=smoke", "backend.num_envs=128"]
    cfg = compose([*words, "evaluation.robustness=off", "evaluation.baselines=false"])
    assert benchmark_steps(cfg) == 0, "the length of an episode in its settings is none of the task's"
    assert benchmark_steps(cfg, 250) == 2 * 128 * 250 and closing_s(cfg, 128.0, 250) == CLOSING_S + 250
