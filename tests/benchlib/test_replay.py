import numpy as np
import pytest
import torch
from benchlib.bare_loop import BareLoop, Moments
from benchlib.readme import benchmark_of
from benchlib.replay import RawReplay, Segments

from blueprint_tune.config.compose import compose
from blueprint_tune.envs.factory import make_env

OVERRIDES = ["+scene=kitchen_001", "policy=dexterous_pick_place", "preset=smoke", "backend.num_envs=4"]


@pytest.mark.parametrize(
    "policy", ["mixed_sku_logistics", "pallet_handling", "panel_interaction", "laundry_sorting"]
)
def test_sizes_masses_and_cloth_are_replayed_as_well(policy):
    where = benchmark_of(policy)
    words = [f"+scene={where['scene']}", f"policy={policy}", *where["overrides"], "preset=smoke"]
    env = make_env(compose([*words, "backend.num_envs=3", "policy.episode_s=0.3"]), 1)
    segments = Segments(env, 9)
    recording = segments.record()
    raw = RawReplay(env.simulator, recording, 1, round(env.control_dt_s / env.simulator.physics_dt_s))
    for _ in range(2):
        segments.restart()
        raw.restart()
        segments.run(9)
        raw.run(9)
    ours = env.simulator.save_state()["rows"].numpy()
    np.testing.assert_array_equal(ours[:, 1:], raw.rows[:, 1:])
    env.close()


@pytest.fixture(scope="module")
def env():
    env = make_env(compose([*OVERRIDES, "policy.episode_s=0.5"]), 1)
    yield env
    env.close()


def test_a_bare_batch_does_exactly_the_environments_work(env):
    segments = Segments(env, 14)
    recording = segments.record()
    assert any(reset is not None for reset in recording.resets)
    steps = round(env.control_dt_s / env.simulator.physics_dt_s)
    raw = RawReplay(env.simulator, recording, 1, steps)
    for _ in range(2):
        segments.restart()
        raw.restart()
        assert segments.run(9) + segments.run(5) > 0
        assert raw.run(14) > 0
        ours = env.simulator.save_state()["rows"].numpy()
        np.testing.assert_array_equal(ours[:, 1:], raw.rows[:, 1:])


def test_moments_are_those_of_all_rows():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3000, 2, generator=generator) * torch.tensor([3.0, 0.5]) + 7.0
    moments = Moments(2)
    for part in rows.split(1000):
        moments.update(part)
    torch.testing.assert_close(moments.mean.float(), rows.mean(0), atol=0.01, rtol=0)
    torch.testing.assert_close(moments.variance.float(), rows.var(0), atol=0.05, rtol=0)
    torch.testing.assert_close(moments.restore(moments.normalise(rows, 10.0)), rows, atol=1e-4, rtol=0)


def test_the_bare_loop_learns_from_a_rollout(env):
    settings = compose([*OVERRIDES, "agent.rollouts=16", "agent.mini_batches=4"]).agent
    loop = BareLoop(settings, env.num_observations, env.num_actions)
    before = env.reset(np.zeros(4, dtype=np.int64), np.arange(4), stagger=True)
    results = [env.step(torch.zeros(4, env.num_actions)) for _ in range(16)]
    assert any(result.done for result in results)
    weights = [p.detach().clone() for p in loop.parameters]
    loop.run(before, results)
    assert all(torch.isfinite(p).all() for p in loop.parameters)
    assert all(not torch.equal(a, b) for a, b in zip(weights, loop.parameters, strict=True))
    assert loop.observation_moments.count == 65
