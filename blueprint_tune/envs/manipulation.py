"""A bound task as a vectorised environment on any simulator: actions, terms, episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.envs.actions import Actions
from blueprint_tune.envs.base import Ints, StepResult, TaskFacts, VecEnv, joint_facts
from blueprint_tune.envs.delay import Delays
from blueprint_tune.envs.episodes import Episodes
from blueprint_tune.envs.history import History
from blueprint_tune.envs.probe import Probe
from blueprint_tune.envs.starts import StartSampler
from blueprint_tune.envs.task_terms import TaskTerms
from blueprint_tune.errors import ConfigError
from blueprint_tune.mdp.describe import ObservationPart, describe_observation
from blueprint_tune.mdp.terms import BoundTerm
from blueprint_tune.simulators.base import Simulator, Viewpoint
from blueprint_tune.tasks.spec import TaskSpec

STAGGER_GROUPS = 8
"""Groups of environments that reset together in training: spread enough to decorrelate a rollout,
few enough that most env steps reset nobody."""

TURNS = ("order", "stage", "active")
"""What of the state tells whose turn it is."""


class ManipulationEnv(VecEnv):
    """Drives one simulator through episodes of a policy type.

    Attributes beyond VecEnv's:
        history: the last steps of every environment.
    """

    def __init__(
        self, task: TaskSpec, simulator: Simulator, actions: Actions, terms: TaskTerms, slot_stride: int
    ) -> None:
        self.task, self.simulator, self.actions = task, simulator, actions
        self.slot_stride = slot_stride
        self.num_envs, self.device = simulator.num_envs, simulator.device
        self.num_actions, self.action_names = len(actions.names), actions.names
        self._decimation = task.physics.substeps * task.policy.action_repeat
        self.control_dt_s = self._decimation * task.physics.dt_s
        self.max_episode_steps = max(1, round(task.policy.episode_s / self.control_dt_s))
        self._everyone = np.arange(self.num_envs)
        self._nobody = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        self._probe: Probe | None = None
        state = simulator.state
        self._nominal_frames = state.frame_pos[0].clone().cpu(), state.frame_quat[0].clone().cpu()
        self._bind(task.policy, terms)
        self.reset(np.zeros(self.num_envs, dtype=np.int64), self._everyone)

    def _bind(self, policy: PolicyConfig, terms: TaskTerms) -> None:
        self.policy, self._terms = policy, terms
        self._sampler = StartSampler(self.task, policy, self.simulator, terms.success, self._nominal_frames)
        self.simulator.state.episode_steps = self.max_episode_steps
        self._hold_steps = max(1, round(terms.hold_s / self.control_dt_s))
        self.reward_terms = tuple(t.name for t in terms.rewards)
        self._weights = torch.tensor([t.weight for t in terms.rewards], device=self.device)
        self._raw_sums, self._summed_steps = torch.zeros(len(terms.rewards), device=self.device), 0
        self._history_at_save: History | None = None

    def configure(self, policy: PolicyConfig) -> None:
        """See :meth:`VecEnv.configure`."""
        state = self.simulator.state
        terms = TaskTerms.bind(policy, state.catalog)
        compiled = state.contact_force.shape[1]
        if missing := state.catalog.contacts[compiled:]:
            del state.catalog.contacts[compiled:]
            body, against = missing[0]
            raise ConfigError(
                f"conf/policy/{policy.name}.yaml asks for the contact force of '{body}' on "
                f"'{against or 'anything'}', which this environment was not built with. "
                "Let a term of the policy that it is built with ask for it too, or build a new one."
            )
        self._bind(policy, terms)
        self._delays.fit(policy)
        self._next_ready[:] = False

    def reset(self, seeds: Ints, slots: Ints, stagger: bool = False) -> Tensor:
        """See :meth:`VecEnv.reset`."""
        n, state = self.num_envs, self.simulator.state
        self._probe = None
        self._seeds, self._slots = seeds.astype(np.int64), slots.astype(np.int64)
        state.elapsed_steps.zero_()
        self._held = torch.zeros(n, device=self.device)
        self._succeeded = torch.zeros(n, dtype=torch.bool, device=self.device)
        episodes = self._sampler.draw(self._seeds, self._slots)
        self._dt_s = episodes.starts.dt_s
        state.commands = {k: self._floats(v) for k, v in episodes.commands.items()}
        state.order = torch.from_numpy(episodes.order).to(self.device)
        self._delays = Delays(self.policy, self.device)
        self._start(self._everyone, episodes)
        self._next = self._sampler.draw(self._seeds, self._slots + self.slot_stride)
        self._next_ready = np.ones(n, dtype=bool)
        self._limit = torch.full((n,), float(self.max_episode_steps), device=self.device)
        if stagger:
            group = torch.from_numpy(self._slots).to(self.device) % STAGGER_GROUPS
            self._limit = (1 + group * self.max_episode_steps // STAGGER_GROUPS).float()
        self._steps_to_limit = int(self._limit.min())
        self._raw_sums.zero_()
        self._summed_steps = 0
        first = self._observe()
        self._observations = self._delays.begin_observations(self._everyone, first, first, episodes)
        self.history = History()
        return self._observations

    def _floats(self, values: NDArray[np.float64]) -> Tensor:
        """What was drawn, where the state lives."""
        return torch.from_numpy(values).float().to(self.device)

    def step(self, actions: Tensor) -> StepResult:
        """See :meth:`VecEnv.step`."""
        simulator, state = self.simulator, self.simulator.state
        state.previous_action.copy_(state.action)
        torch.clamp(actions, -1.0, 1.0, out=state.action)
        targets = self.actions.apply(self._delays.actions(state.action), simulator)
        simulator.set_joint_targets(self._delays.hold(targets, state.joint_targets, state.elapsed_steps))
        if self._probe is None:
            simulator.step(self._decimation)
        else:
            self._step_measured(self._probe)
        state.elapsed_steps.add_(1.0)
        if self._terms.advance is not None:
            self._take_turns(self._terms.advance)
        self._judge_success()
        rewards = self._reward()
        if self._probe is not None:
            self._probe.env_step(state)
        observations = self._delays.observations(self._observe())
        self.history.record(observations, state.action, rewards, state.joint_pos)
        self._steps_to_limit -= 1
        if self._steps_to_limit > 0 and not self._terms.terminations:
            self._observations = observations
            nobody, success = self._nobody, self._succeeded
            return StepResult(observations, observations, rewards, nobody, nobody, success, success, False)
        return self._finish(observations, rewards)

    def measure(self, num_episodes: int) -> Probe:
        """See :meth:`VecEnv.measure`."""
        robot, terms = self.task.robot, self._terms
        joints = [
            column
            for column, name in enumerate(robot.joints)
            if name in robot.arm_joints and not self.simulator.sliding[column]
        ]
        grip = terms.grip.function if terms.grip else None
        dt_s = self._dt_s[:num_episodes]
        self._probe = Probe(num_episodes, np.array(joints, dtype=np.int64), dt_s, grip, terms.metrics)
        return self._probe

    def _step_measured(self, probe: Probe) -> None:
        """The physics steps of an env step one by one; a simulator goes on where the last one stopped."""
        for _ in range(self._decimation):
            self.simulator.step(1)
            probe.physics_step(self.simulator.state)

    def _take_turns(self, done: BoundTerm) -> None:
        """Pass on to the next member of the sequence where the one whose turn it is is done."""
        state = self.simulator.state
        length = state.order.shape[1]
        state.stage.add_(done.function(state) & (state.stage < length))
        state.active = state.order.gather(1, state.stage.clamp_max(length - 1).unsqueeze(1))[:, 0]
        state.changed()

    def _judge_success(self) -> None:
        state = self.simulator.state
        state.success_condition.copy_(self._terms.success.function(state))
        self._held.add_(1).mul_(state.success_condition)
        self._succeeded |= self._held >= self._hold_steps

    def _reward(self) -> Tensor:
        state = self.simulator.state
        raw = torch.stack([t.function(state) for t in self._terms.rewards], dim=1)
        self._raw_sums += raw.sum(dim=0)
        self._summed_steps += self.num_envs
        # not a matrix product: its rounding would depend on the number of environments
        return (raw * self._weights).sum(dim=1)

    def _terminated(self) -> Tensor:
        terminated = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        for condition in self._terms.terminations:
            terminated |= condition.function(self.simulator.state)
        return terminated

    def _finish(self, terminal: Tensor, rewards: Tensor) -> StepResult:
        """Put finished environments, if there are any, at their next start."""
        terminated = self._terminated()
        truncated = (self.simulator.state.elapsed_steps >= self._limit) & ~terminated
        finished = np.flatnonzero((terminated | truncated).cpu().numpy())
        success = self._succeeded
        observations = terminal
        done = len(finished) > 0
        if done:
            if self._probe is not None:
                self._probe.end(finished)
            success = self._succeeded.clone()
            episodes = self._advance(finished)
            first = self._observe()
            observations = self._delays.begin_observations(finished, first, terminal, episodes)
        self._observations = observations
        return StepResult(observations, terminal, rewards, terminated, truncated, success, success, done)

    def _advance(self, env_ids: Ints) -> Episodes:
        """Start the next episode of some environments; episodes are drawn for all that need one at once."""
        if not self._next_ready[env_ids].all():
            missing = np.flatnonzero(~self._next_ready)
            drawn = self._sampler.draw(self._seeds[missing], self._slots[missing] + self.slot_stride)
            if len(missing) == self.num_envs:
                self._next = drawn
            else:
                self._next.put(missing, drawn)
            self._next_ready[missing] = True
        self._slots[env_ids] += self.slot_stride
        self._next_ready[env_ids] = False
        episodes = self._next.take(env_ids)
        for name, values in episodes.commands.items():
            self.simulator.state.commands[name][env_ids] = self._floats(values)
        self._limit[env_ids] = self.max_episode_steps
        self._start(env_ids, episodes)
        self._steps_to_limit = int((self._limit - self.simulator.state.elapsed_steps).min())
        return episodes

    def _start(self, env_ids: Ints, episodes: Episodes) -> None:
        state = self.simulator.state
        self.simulator.reset(env_ids, episodes.starts)
        self.actions.restart(env_ids, self.simulator)
        for tensor in (state.action, state.previous_action, state.elapsed_steps, self._held):
            tensor[env_ids] = 0.0
        self._delays.begin_actions(env_ids, state.action, episodes)
        if state.order.shape[1]:
            state.order[env_ids] = torch.from_numpy(episodes.order).to(self.device)
            state.stage[env_ids] = 0
            state.active[env_ids] = state.order[env_ids, 0]
            state.changed()
        self._resize(env_ids, episodes.starts.size_scale)
        state.start_frame_pos[env_ids] = state.frame_pos[env_ids]
        state.start_joint_pos[env_ids] = state.joint_pos[env_ids]
        self._succeeded[env_ids] = False

    def _resize(self, env_ids: Ints, size_scale: NDArray[np.float64]) -> None:
        """Tell the terms how large the roles that move freely are in this episode."""
        state, free = self.simulator.state, list(self.simulator.free_bodies)
        for role, entity in self.task.roles.items():
            if entity.id in free:
                scale = self._floats(size_scale[:, free.index(entity.id)])
                state.frame_scale[env_ids, state.catalog.frames.index(role)] = scale

    def _observe(self) -> Tensor:
        state = self.simulator.state
        return torch.cat([t.function(state) for t in self._terms.observations], dim=1)

    @property
    def num_observations(self) -> int:  # type: ignore[override]
        """Size of an observation."""
        return self._observations.shape[1]

    @property
    def observation_names(self) -> tuple[tuple[str, int], ...]:  # type: ignore[override]
        """See :class:`VecEnv`."""
        state = self.simulator.state
        return tuple((t.name, t.function(state).shape[1]) for t in self._terms.observations)

    def describe_observations(self) -> tuple[ObservationPart, ...]:
        """See :meth:`VecEnv.describe_observations`."""
        catalog, entries = self.simulator.state.catalog, self.policy.observations
        return tuple(
            describe_observation(name, entries[name], size, catalog, self.action_names)
            for name, size in self.observation_names
        )

    @property
    def observations(self) -> Tensor:  # type: ignore[override]
        """See :class:`VecEnv`."""
        return self._observations

    @property
    def facts(self) -> TaskFacts:  # type: ignore[override]
        """See :class:`VecEnv`."""
        task = self.task
        return TaskFacts(
            digest=task.scene.digest,
            joints=joint_facts(self.simulator.state.catalog, self.simulator.joint_limits),
            robot_base=task.robot_base,
            roles={role: entity.id for role, entity in task.roles.items()},
            loose=tuple(entity.id for entity in task.loose),
            rigid=tuple(entity.id for entity in task.free),
            takes_events=True,
        )

    @property
    def reward_weights(self) -> tuple[float, ...]:  # type: ignore[override]
        """See :class:`VecEnv`."""
        return tuple(self._weights.tolist())

    def reward_sums(self) -> tuple[Tensor, Tensor, int]:
        """See :meth:`VecEnv.reward_sums`."""
        raw, steps = self._raw_sums.clone(), self._summed_steps
        self._raw_sums.zero_()
        self._summed_steps = 0
        return raw, raw * self._weights, steps

    def dump_history(self, env_id: int, path: Path) -> Path:
        """See :meth:`VecEnv.dump_history`."""
        return self.history.dump(env_id, path)

    def save_state(self) -> dict[str, Any]:
        """See :meth:`VecEnv.save_state`."""
        state = self.simulator.state
        # too large for a checkpoint, but an evaluation in between must not end up in it
        self._history_at_save = self.history
        return {
            "simulator": self.simulator.save_state(),
            "actions": self.actions.state_dict(),
            "delays": self._delays.state_dict(),
            "commands": {name: values.clone() for name, values in state.commands.items()},
            "action": state.action.clone(),
            "previous_action": state.previous_action.clone(),
            "start_frame_pos": state.start_frame_pos.clone(),
            "start_joint_pos": state.start_joint_pos.clone(),
            "frame_scale": state.frame_scale.clone(),
            "success_condition": state.success_condition.clone(),
            "turns": {name: getattr(state, name).clone() for name in TURNS},
            "seeds": torch.from_numpy(self._seeds.copy()),
            "slots": torch.from_numpy(self._slots.copy()),
            "counters": torch.stack([state.elapsed_steps, self._held, self._succeeded.float(), self._limit]),
            "raw_sums": self._raw_sums.clone(),
            "summed_steps": self._summed_steps,
            "observations": self._observations.clone(),
        }

    def load_state(self, saved: dict[str, Any]) -> None:
        """See :meth:`VecEnv.load_state`."""
        state = self.simulator.state
        self.simulator.load_state(saved["simulator"])
        self.actions.load_state_dict(saved["actions"])
        self._delays.load_state_dict(saved["delays"])
        state.commands = {name: self._own(values) for name, values in saved["commands"].items()}
        state.action.copy_(saved["action"])
        state.previous_action.copy_(saved["previous_action"])
        state.start_frame_pos.copy_(saved["start_frame_pos"])
        state.start_joint_pos.copy_(saved["start_joint_pos"])
        state.frame_scale.copy_(saved["frame_scale"])
        state.success_condition = self._own(saved["success_condition"])
        for name in TURNS:
            setattr(state, name, self._own(saved["turns"][name]))
        state.changed()
        self._seeds, self._slots = saved["seeds"].numpy().copy(), saved["slots"].numpy().copy()
        steps, held, succeeded, limit = self._own(saved["counters"])
        state.elapsed_steps.copy_(steps)
        self._held, self._succeeded, self._limit = held, succeeded.bool(), limit
        self._steps_to_limit = int((self._limit - state.elapsed_steps).min())
        self._raw_sums.copy_(saved["raw_sums"])
        self._summed_steps = saved["summed_steps"]
        self._observations = self._own(saved["observations"])
        self._next_ready[:] = False
        self.history = self._history_at_save or History()

    def _own(self, saved: Tensor) -> Tensor:
        """A copy of a saved tensor, where the state lives."""
        return saved.to(self.device, copy=True)

    def render(
        self, env_id: int = 0, width: int = 640, height: int = 480, view: Viewpoint | None = None
    ) -> NDArray[np.uint8]:
        """See :meth:`VecEnv.render`."""
        return self.simulator.render(env_id, width, height, view)

    def viewpoint(self, env_id: int = 0) -> Viewpoint:
        """See :meth:`VecEnv.viewpoint`."""
        return self.simulator.viewpoint(env_id)

    def close(self) -> None:
        """See :meth:`VecEnv.close`."""
        self.simulator.close()
