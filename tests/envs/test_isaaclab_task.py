"""Tasks with an environment of their own, run on the double of Isaac Lab, its resets and managers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.compose import compose
from blueprint_tune.envs.isaaclab_task import IsaacLabTaskEnv
from blueprint_tune.errors import ConfigError, SimulatorError
from blueprint_tune.evaluating.needs import bundle_needs, check_fits, config_needs
from blueprint_tune.evaluation.benchmark import run_benchmark
from blueprint_tune.export.contract import PolicyFacts, contract
from blueprint_tune.learning.trainer import Trainer
from blueprint_tune.simulators.isaaclab.tasks import registered_env
from tests.elsewhere import DEVICE, Elsewhere

Make = Callable[..., IsaacLabTaskEnv]
REACH, LIFT, DIRECT = "Isaac-Reach-Point-v0", "Isaac-Lift-Point-v0", "Isaac-Reach-Point-Direct-v0"
NEAR_M = 0.15


def begin(env: IsaacLabTaskEnv, seed: int = 5, first: int = 0, stagger: bool = False) -> Tensor:
    slots = first + np.arange(env.num_envs)
    return env.reset(np.full(env.num_envs, seed), slots, stagger=stagger).clone()


def towards_the_goal(observations: Tensor) -> Tensor:
    """A spring and a damper, that reach any goal in about two seconds."""
    return 2.0 * observations[:, :2] - 1.0 * observations[:, 2:]


def test_its_own_names_and_sizes_are_told(new_task: Make) -> None:
    env = new_task(REACH)
    assert env.observation_names == (("to_goal", 2), ("velocity", 2)) and env.num_observations == 4
    assert env.action_names == ("push_0", "push_1") and env.num_actions == 2
    assert env.reward_terms == ("reaching", "reached", "effort")
    assert env.reward_weights == pytest.approx((0.1, 10.0, -0.001)), "weights times 0.1 s an env step"
    assert (env.num_envs, env.max_episode_steps) == (8, 40) and env.control_dt_s == pytest.approx(0.1)
    assert begin(env).shape == (8, 4)
    assert env.measure(1) is None and env.facts.joints == () and not env.facts.takes_events
    assert [part.name for part in env.describe_observations()] == ["to_goal", "velocity"]


def test_success_is_the_termination_term_of_the_very_step(new_task: Make) -> None:
    """The reset inside the step has moved the point: what was near is told by the term alone."""
    env = new_task(REACH)
    observations = begin(env)
    succeeded = torch.zeros(8, dtype=torch.bool)
    for _ in range(env.max_episode_steps):
        result = env.step(towards_the_goal(observations))
        assert torch.equal(result.success & result.terminated, result.terminated), "nothing else ends them"
        near = torch.linalg.vector_norm(result.terminal_observations[:, :2], dim=1)
        assert (near[result.terminated] < NEAR_M + 0.3).all(), "the step before it was close by"
        succeeded |= result.success_now
        observations = result.observations
    assert succeeded.all()
    result = env.step(torch.zeros(8, 2))
    assert not result.success_now[~result.terminated].any(), "a new episode has not succeeded yet"


def test_time_outs_are_truncations_and_no_success(new_task: Make) -> None:
    env = new_task(LIFT, "backend.success=return:1000")
    begin(env)
    for step in range(env.max_episode_steps):
        before = env.observations.clone()
        result = env.step(torch.zeros(8, 2))
        assert bool(result.truncated.all()) == result.done == (step == env.max_episode_steps - 1)
        assert not result.terminated.any() and not result.success_now.any()
    assert torch.equal(result.terminal_observations, before), "the last one that the task showed"
    assert not torch.equal(result.observations, before)


def test_what_a_step_returned_is_not_overwritten_by_the_next(new_task: Make) -> None:
    env = new_task(REACH)
    begin(env)
    first = env.step(torch.ones(8, 2))
    kept = [value.clone() for value in (first.rewards, first.terminated, first.truncated, first.observations)]
    for _ in range(5):
        env.step(-torch.ones(8, 2))
    for now, then in zip((first.rewards, first.terminated, first.truncated, first.observations), kept):
        assert torch.equal(now, then)


def test_equal_seeds_and_slots_start_alike_whatever_ran_before(new_task: Make) -> None:
    env = new_task(REACH)
    expected = begin(env)
    for _ in range(7):
        env.step(torch.rand(8, 2))
    assert torch.equal(begin(env), expected)
    assert not torch.equal(begin(env, seed=6), expected) and not torch.equal(begin(env, first=8), expected)
    assert torch.equal(begin(new_task(REACH)), expected), "another environment of the process"
    assert not torch.equal(begin(new_task(REACH, num_envs=9))[:8], expected), "weaker than our own: docs"


def ends_of_first_episodes(env: IsaacLabTaskEnv) -> list[int]:
    ends = torch.zeros(env.num_envs, dtype=torch.int64)
    for step in range(env.max_episode_steps):
        result = env.step(torch.zeros(env.num_envs, env.num_actions))
        ends[result.truncated & (ends == 0)] = step + 1
    return ends.tolist()


def test_first_episodes_are_spread_over_time_in_training(new_task: Make) -> None:
    env = new_task(LIFT, "backend.success=return:1000")
    begin(env, stagger=True)
    assert ends_of_first_episodes(env) == [1 + group * 5 for group in range(8)], "of 40 steps in eight groups"


def test_a_direct_task_spreads_its_episodes_itself_and_is_evaluated_from_their_beginning(
    new_task: Make,
) -> None:
    """Some direct tasks can only be reset as a whole: their time is set to nothing, or left to them."""
    env = new_task(DIRECT, "backend.success=extras:reached")
    begin(env, stagger=True)
    theirs = ends_of_first_episodes(env)
    assert len(set(theirs)) > 1 and theirs != [1 + group * 5 for group in range(8)]
    begin(env)
    whole = env.max_episode_steps - 1  # it counts one less, as Isaac Lab's direct tasks do
    assert ends_of_first_episodes(env) == [whole] * 8


def test_a_state_that_cannot_be_restored_begins_new_episodes(new_task: Make) -> None:
    env = new_task(REACH)
    begin(env, stagger=True)
    for _ in range(30):
        env.step(torch.zeros(8, 2))
    saved, task = env.save_state(), env._env
    counted, sums = task.common_step_counter, saved["sums"].clone()
    assert not env.keeps_episodes and saved["summed_steps"] > 0
    begin(env, seed=9)
    for _ in range(5):
        env.step(torch.ones(8, 2))
    env.load_state(saved)
    first = env.observations.clone()
    assert task.common_step_counter == counted, "an evaluation does not move the task's curriculum on"
    assert torch.equal(env.save_state()["sums"], sums), "nor does it count among the training's rewards"
    assert (task.episode_length_buf > 0).any(), "spread over time again"
    env.load_state(saved)
    assert torch.equal(env.observations, first), "a resume from one checkpoint begins alike each time"
    env.load_state(env.save_state())
    assert not torch.equal(env.observations, first), "the next evaluation is followed by other episodes"


def test_evaluations_do_not_move_a_tasks_curriculum_on(new_task: Make) -> None:
    """Isaac Lab's curricula ask, in each reset, whether the counter of steps is beyond a threshold."""
    env = new_task(REACH)
    assert env._env.common_step_counter == 0, "nor does it count how its signals were tried"
    begin(env, stagger=True)
    for _ in range(3):
        env.step(torch.zeros(8, 2))
    for _ in range(2):
        begin(env, seed=9)
        assert env._env.common_step_counter == 3
        for _ in range(5):
            env.step(torch.zeros(8, 2))
    begin(env, stagger=True)


def test_a_checkpoint_of_fewer_environments_keeps_the_place_in_the_curriculum(
    new_task: Make, tmp_path: Path
) -> None:
    def trainer(num_envs: int) -> Trainer:
        env = new_task(REACH, num_envs=num_envs)
        sizes = ["agent.rollouts=8", "agent.mini_batches=1"]
        words = ["backend=isaaclab_task", f"backend.task={REACH}", "preset=smoke", *sizes]
        return Trainer(env, compose([*words, f"backend.num_envs={num_envs}"]), tmp_path)

    first = trainer(4)
    first._update()
    assert first._env._env.common_step_counter == 8
    first.save(tmp_path / "checkpoint.pt")
    second = trainer(6)
    second.load(tmp_path / "checkpoint.pt")
    assert second._env._env.common_step_counter == 8
    assert second._observations.shape == (6, 4) and (second._env._env.episode_length_buf > 0).any()


def test_reward_terms_are_summed_once_an_episode(new_task: Make) -> None:
    """Between resets the task goes on showing the log of the last one."""
    env = new_task(REACH)
    begin(env)
    running, ended_sum, ended_steps = torch.zeros(8), 0.0, 0
    lengths = torch.zeros(8)
    for step in range(60):
        result = env.step(torch.sin(torch.arange(16.0).view(8, 2) + 0.3 * step))
        running += result.rewards
        lengths += 1
        over = result.terminated | result.truncated
        ended_sum, ended_steps = (
            ended_sum + float(running[over].sum()),
            ended_steps + int(lengths[over].sum()),
        )
        running[over], lengths[over] = 0.0, 0.0
    raw, weighted, steps = env.reward_sums()
    assert ended_steps > 0 and steps == ended_steps
    assert float(weighted.sum()) == pytest.approx(ended_sum, rel=1e-4)
    assert raw.tolist() == pytest.approx((weighted / torch.tensor(env.reward_weights)).tolist(), rel=1e-5)
    assert env.reward_sums()[2] == 0


def test_success_from_extras_is_each_environments_own(new_task: Make) -> None:
    env = new_task(DIRECT, "backend.success=extras:reached")
    observations = begin(env)
    for _ in range(env.max_episode_steps - 1):
        result = env.step(towards_the_goal(observations))
        near = torch.linalg.vector_norm(result.terminal_observations[:, :2], dim=1) < NEAR_M
        observations = result.observations
        if not result.done:
            assert result.success_now[near].all(), "and it stays one when the point has left again"
    assert result.done and result.success.all() and result.truncated.all()
    assert env.reward_terms == () and env.observation_names == (("policy", 4),)


def test_a_log_that_is_changed_in_place_tells_how_episodes_end(new_task: Make) -> None:
    env = new_task(DIRECT, "backend.success=extras:log/near")
    observations = begin(env)
    for _ in range(env.max_episode_steps - 1):
        pushes = towards_the_goal(observations)
        pushes[4:] = -pushes[4:]
        result = env.step(pushes)
        observations = result.observations
        assert result.done or not result.success_now.any(), "it is about ended episodes alone"
    assert result.done and torch.equal(result.success, env._env.extras["log"]["near"] > 0.5)
    assert result.success[:4].all() and not result.success[4:].any()


def test_outputs_cover_the_range_of_actions_with_bounds(new_task: Make) -> None:
    env = new_task(DIRECT, "backend.success=extras:reached")
    begin(env)
    env.step(torch.tensor([[1.0, -1.0], [5.0, 0.5]] * 4))
    assert torch.equal(env._env.actions[:2], torch.tensor([[4.0, -4.0], [4.0, 2.0]]))
    assert env.facts.action_ranges == ((-4.0, 4.0), (-4.0, 4.0))
    scaled = new_task(REACH, "backend.action_scale=3")
    scaled.step(torch.tensor([[1.0, -0.5]] * 8))
    assert torch.equal(scaled._env.action_manager.action[0], torch.tensor([3.0, -1.5]))


def test_a_policy_whose_outputs_meant_something_else_is_refused(new_task: Make) -> None:
    env = new_task(REACH, "backend.action_scale=2")
    cfg = compose(["backend=isaaclab_task", f"backend.task={REACH}", "backend.action_scale=2"])
    facts = PolicyFacts(
        "p", "p", env.describe_observations(), env.action_names, (), None, {}, env.control_dt_s,
        1, 1, 1.0, None, "0", "1", env.facts.action_ranges,
    )  # fmt: skip
    said, file = contract(cfg, facts, None), Path("policy_config.json")
    check_fits(file, bundle_needs(file, said), cfg, env)
    check_fits(file, config_needs(cfg), cfg, env)
    other = new_task(REACH)
    with pytest.raises(ConfigError, match=r"action 'push_0'\.scale: 2\.0 there, 1\.0 here"):
        check_fits(file, bundle_needs(file, said), cfg, other)
    one = replace(cfg, backend=replace(cfg.backend, action_scale=1.0))
    with pytest.raises(ConfigError, match=r"controller\.action_scale: 2\.0 there, 1\.0 here"):
        check_fits(file, config_needs(cfg), one, other)


def test_a_return_can_stand_for_success_at_an_episodes_end(new_task: Make) -> None:
    env = new_task(LIFT, "backend.success=return:2.5")
    observations = begin(env)
    earned = torch.zeros(8)
    for _ in range(env.max_episode_steps):
        result = env.step(towards_the_goal(observations) * torch.linspace(0, 1, 8).unsqueeze(1))
        earned += result.rewards
        observations = result.observations
        assert result.done or not result.success_now.any()
    assert torch.equal(result.success, earned >= 2.5) and result.success.any() and not result.success.all()


@pytest.mark.parametrize(
    ("task", "words", "error", "said"),
    [
        (LIFT, (), ConfigError, "no such termination term; its terms are time_out, outside. Which episodes"),
        (DIRECT, (), ConfigError, "no such termination term; it has none"),
        (
            DIRECT,
            ("backend.success=extras:mean_distance",),
            SimulatorError,
            "gives 1 there, not one for each of 8",
        ),
        (DIRECT, ("backend.success=extras:come",), SimulatorError, "there are reached, mean_distance"),
        (
            LIFT,
            ("backend.success=extras:log/come",),
            SimulatorError,
            "no such entry; there are Episode_Reward/",
        ),
        ("Isaac-Reach-Poin-v0", (), ConfigError, "is not registered. Did you mean 'Isaac-Reach-Point-v0'"),
        ("CartPole-v1", (), ConfigError, "is registered, but not as a task of Isaac Lab"),
        ("Isaac-Reach-Point-Apart-v0", (), ConfigError, "A policy here sees one vector"),
        ("Isaac-Pair-Point-v0", (), ConfigError, r"several agents \(left, right\)"),
        (
            "Isaac-Broken-Point-v0",
            (),
            SimulatorError,
            "ValueError: The input string 'isaaclab.envs.mdp.gone'",
        ),
        (REACH, ("backend.imports=[nowhere]",), ConfigError, "there is no module 'nowhere'"),
    ],
)
def test_what_cannot_be_run_says_why(
    new_task: Make, task: str, words: tuple[str, ...], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        new_task(task, *words)


def test_an_episode_without_an_end_is_an_error(new_task: Make) -> None:
    env = new_task("Isaac-Endless-Point-v0", "backend.success=termination:outside")
    begin(env)
    for _ in range(env.max_episode_steps):
        env.step(torch.zeros(8, 2))
    with pytest.raises(SimulatorError, match="goes on beyond its episode length of 40 env steps"):
        env.step(torch.zeros(8, 2))


def test_pictures_need_cameras_from_the_start(new_task: Make) -> None:
    with pytest.raises(SimulatorError, match=r"backend\.cameras=true"):
        new_task(REACH).render()
    env = new_task(REACH, "backend.cameras=true")
    view = env.viewpoint()
    assert view.lookat == (0.0, 0.0, 0.0) and view.distance_m == pytest.approx(7.5 * 3**0.5)
    assert view.azimuth_deg == pytest.approx(-135.0) and view.elevation_deg == pytest.approx(-35.26, abs=0.01)
    picture = env.render(0, 320, 240, view)
    assert picture.shape == (240, 320, 3) and len(np.unique(picture.reshape(-1, 3), axis=0)) > 1


def test_nothing_of_it_can_be_configured(new_task: Make) -> None:
    env = new_task(REACH)
    env.configure(env.policy)
    with pytest.raises(ConfigError, match="no setting of policy can be changed"):
        env.configure(replace(env.policy, events={"late": {"kind": "action_delay", "steps": [1, 1]}}))


def test_training_and_evaluation_may_take_turns(new_task: Make) -> None:
    """The trainer steps in inference mode, evaluations begin outside it: the task's buffers bear both."""
    env = new_task(REACH)
    begin(env)
    for _ in range(3):
        with torch.inference_mode():
            for _ in range(45):
                env.step(torch.rand(8, 2))
        saved = env.save_state()
        begin(env)
        env.step(torch.zeros(8, 2))
        env.load_state(saved)


def test_a_report_without_an_evaluation_leaves_the_running_episodes_alone(
    new_task: Make, tmp_path: Path
) -> None:
    env = new_task(REACH, num_envs=4)
    budget = ["budget.env_steps=640", "budget.report_env_steps=64", "budget.first_rung_env_steps=64"]
    share = ["evaluation.selection.episodes=4", "evaluation.selection.max_time_fraction=0.01"]
    words = ["backend=isaaclab_task", f"backend.task={REACH}", "preset=smoke", "backend.num_envs=4", *share]
    cfg = compose([*words, *budget, "agent.rollouts=8", "agent.mini_batches=1"])
    trainer = Trainer(env, cfg, tmp_path)
    assert trainer.train_until_report()["eval/at_env_steps"] == 32
    assert trainer._episodes.state_dict()["lengths"].sum() == 0, "new ones have begun"
    assert trainer.train_until_report()["eval/at_env_steps"] == 32
    assert torch.equal(trainer._episodes.state_dict()["lengths"].long(), env._steps) and env._steps.any()


def test_it_trains_and_is_judged_where_the_task_lives(isaac_tasks: None, tmp_path: Path) -> None:
    """On a stand-in for a GPU: what is made without a device cannot be mixed with what the task returns."""
    budget = ["budget.env_steps=64", "budget.report_env_steps=64", "budget.first_rung_env_steps=64"]
    words = ["backend=isaaclab_task", f"backend.task={REACH}", "preset=smoke", "backend.num_envs=4", *budget]
    cfg = compose([*words, "agent.rollouts=8", "agent.mini_batches=1", "evaluation.selection.episodes=4"])
    with Elsewhere():
        env = IsaacLabTaskEnv(registered_env(REACH, 4, DEVICE, False, lambda: None), cfg)
        assert env.step(torch.zeros(4, 2)).observations.device.type == DEVICE.partition(":")[0]
        trainer = Trainer(env, cfg, tmp_path)
        assert trainer.train_until_report()["env_steps"] == 32
        result = run_benchmark(env, trainer.agent.mean_actions, [1], 3)
        assert result.num_episodes == 3 and result.returns.shape == (3,)
        env.dump_history(0, tmp_path / "dump.npz")
        env.close()


@pytest.mark.parametrize(
    ("task", "success"), [(DIRECT, "extras:reached"), (LIFT, "return:1"), (DIRECT, "extras:log/near")]
)
def test_signals_are_read_where_the_task_lives(isaac_tasks: None, task: str, success: str) -> None:
    cfg = compose(["backend=isaaclab_task", f"backend.task={task}", f"backend.success={success}"])
    with Elsewhere():
        env = IsaacLabTaskEnv(registered_env(task, 2, DEVICE, False, lambda: None), cfg)
        for _ in range(3):
            assert not env.step(torch.zeros(2, 2)).done
        env.close()
