from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.planning.estimate import RAY_BYTES, RAY_TRIAL_BYTES, Estimate, estimate, size
from blueprint_tune.planning.plan import Plan
from blueprint_tune.planning.probe import Measured, probe
from blueprint_tune.tuning.forecast import FIRST_GUESS_STEPS_PER_S, closing_s
from blueprint_tune.tuning.resources import Shape

CFG = compose(["+scene=kitchen_001", "policy=dexterous_pick_place", "preset=smoke", "sweep=random"])
SAMPLES = ({"agent.policy_hidden_dims": "[128, 128]"}, {"agent.policy_hidden_dims": "[256]"})
PLAN = Plan(
    cfg=replace(CFG, budget=replace(CFG.budget, env_steps=100_000, report_env_steps=10_000)),
    name="x", folder=Path("/"), state="new", changed=(), num_trials=6, samples=SAMPLES, depends=False,
    updates=(1, 1), rungs=(), decisions={}, fit=Shape(1.0, 2, 1), cpus=2, notes=(),
)  # fmt: skip
ONE = Measured(
    build_s=1.0, steps_per_s=1000.0, rss_bytes=500_000_000, checkpoint_bytes=1_000_000,
    observations=50, actions=5, max_episode_steps=80,
)  # fmt: skip


def test_a_probe_gives_time_memory_and_disk() -> None:
    found = estimate(PLAN, [ONE, ONE])
    # 6 trials of 100 000 env steps at 2 x 1000 a second, selection up to a tenth of them at twice the speed
    training = 300 * 1.05
    # first and last selection of three trials after each other: 32 environments x 80 env steps, 2000 a second
    assert found.search_s == pytest.approx(training + 3 * 2 * 32 * 80 / 2000)
    assert found.closing_s == closing_s(PLAN.cfg, 2000.0, 80)
    slow = estimate(PLAN, [replace(ONE, build_s=30.0)])
    assert (found.start_s, slow.start_s) == (8.0, 33.0) and slow.closing_s > found.closing_s
    assert found.memory_bytes == RAY_BYTES + 2 * (RAY_TRIAL_BYTES + 500_000_000)
    assert (PLAN.reports, PLAN.checkpoints) == (11, 12)
    # the smaller network leaves its checkpoint smaller than what was probed, which counts
    assert found.disk_bytes == 1_000_000 * (6 * 12 + 12)
    larger = replace(PLAN, samples=({"agent.policy_hidden_dims": "[256, 256]"},))
    more = 50 * 128 + 256 * 256 - 128 * 128 + 128 * 5 + 2 * 128
    assert estimate(larger, [ONE]).disk_bytes == (1_000_000 + 12 * more) * 84


def test_one_trial_to_the_end_is_the_least() -> None:
    alone = replace(PLAN, num_trials=1)
    assert alone.at_once == 1
    assert estimate(alone, [ONE]).search_s == pytest.approx(105 + 2 * 32 * 80 / 2000)


def test_without_a_probe_it_is_a_first_guess() -> None:
    found = estimate(PLAN)
    assert not found.measured and found.steps_per_s == 2 * FIRST_GUESS_STEPS_PER_S
    assert (found.memory_bytes, found.disk_bytes, found.problems) == (None, None, [])


def test_too_little_memory_or_disk_is_a_problem() -> None:
    found = Estimate(True, 1.0, 1.0, 1.0, 1.0, 3 * 10**9, 10**9, 2 * 10**9, 5 * 10**8)
    memory, disk = found.problems
    assert memory.startswith("Memory: 3.0 GB would be needed, 1.0 GB are free. Use fewer environments")
    assert disk.startswith("Disk: 2.0 GB would be needed, 500 MB are free.")
    assert size(10) == "1 MB"


def test_a_probe_that_fails_says_why() -> None:
    broken = replace(PLAN.cfg, scene=replace(CFG.scene, manifest="/nowhere.json"))
    with pytest.raises(BlueprintTuneError, match=r"The probe failed: .*/nowhere.json"):
        probe(broken, processes=1, threads=1, seconds=0.1)
