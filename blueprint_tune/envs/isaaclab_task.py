"""A task with an environment of its own, as Isaac Lab builds it, behind the seam to learning and evaluation.

What is weaker than with tasks of this program: starts follow from the seed and the number of environments
together; running episodes cannot be put aside, so that after an evaluation and after a resume new ones begin;
the observation in which an episode ended is not shown, the one before it stands in for it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.config.own_task import read_signal
from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.base import Ints, StepResult, TaskFacts, VecEnv
from blueprint_tune.envs.history import History
from blueprint_tune.envs.manipulation import STAGGER_GROUPS
from blueprint_tune.envs.own_code import does_not_run, import_tasks, package_env_cfg
from blueprint_tune.envs.own_spaces import GROUP, ActionMap, RewardLog, action_names, observation_parts
from blueprint_tune.envs.own_success import LOG, make_judge
from blueprint_tune.errors import BlueprintTuneError, ConfigError, SimulatorError
from blueprint_tune.simulators.base import Viewpoint
from blueprint_tune.simulators.isaaclab.launch import launch
from blueprint_tune.simulators.isaaclab.tasks import env_of, registered_env
from blueprint_tune.tasks.asked import ask


def make_isaaclab_task(cfg: ExperimentConfig, ranks: int = 1) -> IsaacLabTaskEnv:
    """Start the simulator and build the task that ``cfg`` names; runs code that is not this program's.

    Raises ConfigError for a task or signal that does not exist, TaskPackageError for a package that does not
    run, SimulatorError where Isaac Lab fails.
    """
    backend = cfg.backend
    launch(backend.device, backend.cameras, backend.start_timeout_s, backend.close_timeout_s)
    sizes = (backend.num_envs // ranks, backend.device, backend.cameras)

    def register() -> None:
        import_tasks(backend.env_path, backend.imports)

    if cfg.scene.package is None:
        return _behind_the_seam(registered_env(str(backend.task), *sizes, register), cfg, ranks)
    if not backend.trust_package_code:
        raise ConfigError(
            f"The code of {cfg.scene.package} is not trusted: backend.trust_package_code is false."
        )
    folder = Path(cfg.scene.package)
    try:
        register()
        return _behind_the_seam(env_of(lambda: package_env_cfg(folder), *sizes), cfg, ranks)
    except BlueprintTuneError:
        raise
    except (Exception, SystemExit) as error:  # whatever the package's code raises
        raise does_not_run(folder, error) from error


def _behind_the_seam(env: Any, cfg: ExperimentConfig, ranks: int) -> IsaacLabTaskEnv:
    """A task that does not fit is closed again: a process has one simulation at a time."""
    try:
        return IsaacLabTaskEnv(env, cfg, ranks)
    except BaseException:
        env.close()
        raise


@contextmanager
def _plain_tensors() -> Iterator[None]:
    """The task changes its tensors in place, in a step and in a reset: none may be an inference tensor."""
    with torch.inference_mode(False), torch.no_grad():
        yield


class IsaacLabTaskEnv(VecEnv):
    """Drives an environment with Isaac Lab's interface, manager-based or direct."""

    keeps_episodes = False

    def __init__(self, env: Any, cfg: ExperimentConfig, ranks: int = 1) -> None:
        self._env, self.policy = env, cfg.policy
        self._name = name = cfg.backend.task or str(cfg.scene.package)
        self._cameras = cfg.backend.cameras
        self.num_envs, self.device = int(env.num_envs), str(env.device)
        self.slot_stride = self.num_envs * ranks
        self.control_dt_s, self.max_episode_steps = float(env.step_dt), int(env.max_episode_length)
        self.observation_names = observation_parts(env, name)
        self.num_observations = sum(size for _, size in self.observation_names)
        self.action_names = action_names(env, name)
        self.num_actions = len(self.action_names)
        self._to_task = ActionMap(env.single_action_space, cfg.backend.action_scale, self.device)
        self.facts = TaskFacts(digest=ask(cfg).digest, action_ranges=self._to_task.ranges)
        self._rewards = RewardLog(env, self.device)
        self.reward_terms = self._rewards.terms
        self._judge = make_judge(read_signal(cfg.backend.success or ""), env, name)
        self._restarts = 0
        self._put_back: int | None = None
        self.reset(np.zeros(self.num_envs, dtype=np.int64), np.arange(self.num_envs), stagger=True)
        self.step(torch.zeros(self.num_envs, self.num_actions, device=self.device))  # a missing signal shows
        env.common_step_counter = 0
        self.reset(self._seeds, self._slots)

    @property
    def reward_weights(self) -> tuple[float, ...]:  # type: ignore[override]
        """See :class:`VecEnv`; a task's own curriculum may change them."""
        return self._rewards.weights

    def reset(self, seeds: Ints, slots: Ints, stagger: bool = False) -> Tensor:
        """Start all environments anew; equal ``seeds`` and ``slots`` of as many environments start alike."""
        self._seeds, self._slots, self._restarts = seeds.astype(np.int64), slots.astype(np.int64), 0
        return self._begin(stagger)

    def _begin(self, stagger: bool) -> Tensor:
        content = self._seeds.tobytes() + self._slots.tobytes() + bytes(str(self._restarts), "ascii")
        self._count_on(stagger)
        with _plain_tensors():
            found, _ = self._env.reset(seed=zlib.crc32(content) & 0x7FFFFFFF)
            if not stagger:
                self._env.episode_length_buf[:] = 0  # some direct tasks begin at a random time
            elif hasattr(self._env, "termination_manager"):  # some direct ones bear no reset of a part
                self._spread()
            self.observations = found[GROUP].float().clone()
            self._steps = torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)
            self._succeeded = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
            self._judge.restart()
            self._rewards.clear()
        self.history = History()
        return self.observations

    def _count_on(self, training: bool) -> None:
        """Evaluations do not move the task's curriculum on: its counter is put back before each."""
        if training:
            self._put_back = None
            return
        if self._put_back is None:
            self._put_back = int(self._env.common_step_counter)
        self._env.common_step_counter = self._put_back

    def _spread(self) -> None:
        group = torch.as_tensor(self._slots % STAGGER_GROUPS, device=self.device)
        left = 1 + group * self.max_episode_steps // STAGGER_GROUPS
        buffer = self._env.episode_length_buf
        buffer[:] = (self.max_episode_steps - left).to(buffer)

    def step(self, actions: Tensor) -> StepResult:
        """See :meth:`VecEnv.step`."""
        with _plain_tensors():
            return self._step(actions.to(self.device, copy=True).clamp_(-1.0, 1.0))

    def _step(self, outputs: Tensor) -> StepResult:
        before = self.observations
        found, rewards, terminated, truncated, extras = self._env.step(self._to_task(outputs))
        self.observations = observations = found[GROUP].float().clone()
        # the task goes on writing to these
        rewards, terminated = rewards.float().clone(), terminated.bool().clone()
        truncated = truncated.bool() & ~terminated
        ended = terminated | truncated
        self._steps += 1
        self._succeeded |= self._judge.met(rewards, ended, extras)
        success = self._succeeded.clone()
        done, endless = torch.stack([ended.any(), (self._steps > self.max_episode_steps).any()]).tolist()
        self.history.record(observations, outputs, rewards, observations[:, :0])
        if endless:
            raise SimulatorError(
                f"'{self._name}' goes on beyond its episode length of {self.max_episode_steps} env steps: it"
                " has no time-out term, and what does not end cannot be counted."
            )
        terminal = observations
        if done:
            terminal = torch.where(ended.unsqueeze(1), before, observations)
            self._rewards.add(extras.get(LOG, {}), ended, self._steps)
            self._steps[ended], self._succeeded[ended] = 0, False
        return StepResult(observations, terminal, rewards, terminated, truncated, success, success, done)

    def measure(self, num_episodes: int) -> None:
        """See :meth:`VecEnv.measure`: the task's physics steps are its own."""

    def configure(self, policy: PolicyConfig) -> None:
        """See :meth:`VecEnv.configure`; nothing of a task of its own can be swapped."""
        if policy != self.policy:
            raise ConfigError(
                f"'{self._name}' brings its own observations, rewards and events: no setting of policy can be"
                " changed."
            )

    def reward_sums(self) -> tuple[Tensor, Tensor, int]:
        """See :meth:`VecEnv.reward_sums`; of the episodes that ended, as the task logs them."""
        return self._rewards.take()

    def dump_history(self, env_id: int, path: Path) -> Path:
        """See :meth:`VecEnv.dump_history`."""
        return self.history.dump(env_id, path)

    def save_state(self) -> dict[str, Any]:
        """What :meth:`load_state` begins new episodes from; the task's step counter moves its curriculum."""
        return {
            "seeds": torch.from_numpy(self._seeds.copy()),
            "slots": torch.from_numpy(self._slots.copy()),
            "restarts": self._restarts,
            "common_steps": int(self._env.common_step_counter),
            "sums": self._rewards.sums.cpu(),
            "summed_steps": int(self._rewards.steps),
        }

    def load_state(self, saved: dict[str, Any]) -> None:
        """See :meth:`VecEnv.load_state`: other episodes begin, spread over time as a training's first.

        Of a state of another number of environments, their seeds and slots do not count.
        """
        if len(saved["seeds"]) == self.num_envs:
            self._seeds, self._slots = saved["seeds"].numpy().copy(), saved["slots"].numpy().copy()
        self._restarts = int(saved["restarts"]) + 1
        self._env.common_step_counter = saved["common_steps"]
        self._begin(stagger=True)
        self._rewards.sums.copy_(saved["sums"])
        self._rewards.steps.fill_(saved["summed_steps"])

    def render(
        self, env_id: int = 0, width: int = 640, height: int = 480, view: Viewpoint | None = None
    ) -> NDArray[np.uint8]:
        """See :meth:`VecEnv.render`; as the task's own viewer sees it, whatever ``env_id`` and ``view``."""
        if not self._cameras:
            raise SimulatorError(f"'{self._name}' was started without what draws. Add backend.cameras=true.")
        from PIL import Image

        picture = Image.fromarray(np.ascontiguousarray(self._env.render()))
        return np.asarray(picture.resize((width, height)), dtype=np.uint8)

    def viewpoint(self, env_id: int = 0) -> Viewpoint:
        """See :meth:`VecEnv.viewpoint`: the task's own viewer."""
        eye, lookat = (
            np.asarray(getattr(self._env.cfg.viewer, name), dtype=float) for name in ("eye", "lookat")
        )
        gaze = lookat - eye
        distance = float(np.linalg.norm(gaze))
        azimuth = math.degrees(math.atan2(gaze[1], gaze[0]))
        elevation = math.degrees(math.asin(gaze[2] / distance)) if distance else 0.0
        return Viewpoint((float(lookat[0]), float(lookat[1]), float(lookat[2])), distance, azimuth, elevation)

    def close(self) -> None:
        """See :meth:`VecEnv.close`; the simulator itself ends with the process."""
        self._env.close()
