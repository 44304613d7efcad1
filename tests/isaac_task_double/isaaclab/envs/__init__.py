"""Manager-based and direct environments, in the order of Isaac Lab 2.3.2."""

from isaaclab.app import AppLauncher

if not AppLauncher.running:
    raise ModuleNotFoundError("No module named 'omni.kit'")

import math
import random
from dataclasses import MISSING

import gymnasium
import numpy as np
import torch

from isaaclab.managers import ActionManager, ObservationManager, RewardManager, TerminationManager
from isaaclab.scene import InteractiveScene, InteractiveSceneCfg
from isaaclab.sim import SimulationCfg, SimulationContext
from isaaclab.utils import configclass


@configclass
class ViewerCfg:
    """The camera of the viewport."""

    eye: tuple = (7.5, 7.5, 7.5)
    lookat: tuple = (0.0, 0.0, 0.0)
    resolution: tuple = (1280, 720)


@configclass
class _EnvCfg:
    viewer: ViewerCfg = ViewerCfg()
    sim: SimulationCfg = SimulationCfg()
    seed: object = None
    decimation: int = MISSING
    scene: InteractiveSceneCfg = MISSING
    episode_length_s: float = MISSING


@configclass
class ManagerBasedRLEnvCfg(_EnvCfg):
    """Groups of terms."""

    observations: object = MISSING
    actions: object = MISSING
    rewards: object = MISSING
    terminations: object = MISSING
    events: object = None
    curriculum: object = None
    commands: object = None


@configclass
class DirectRLEnvCfg(_EnvCfg):
    """Sizes; the rest is in the environment's class."""

    observation_space: int = MISSING
    action_space: object = MISSING


@configclass
class DirectMARLEnvCfg(_EnvCfg):
    """Several agents."""

    possible_agents: list = MISSING


class _Env(gymnasium.Env):
    metadata = {"render_modes": [None, "human", "rgb_array"]}  # noqa: RUF012

    def __init__(self, cfg, render_mode=None, **kwargs):
        cfg.validate()
        self.cfg = cfg
        self.render_mode = render_mode
        if cfg.seed is not None:
            self.seed(cfg.seed)
        if SimulationContext.instance() is not None:
            raise RuntimeError("Simulation context already exists. Cannot create a new one.")
        self.sim = SimulationContext(cfg.sim)
        self.scene = InteractiveScene(cfg.scene, self.device)
        self.extras = {}
        self.common_step_counter = 0
        self.episode_length_buf = torch.zeros(self.num_envs, device=self.device, dtype=torch.long)

    @property
    def num_envs(self):
        return self.scene.num_envs

    @property
    def device(self):
        return self.sim.device

    @property
    def step_dt(self):
        return self.cfg.sim.dt * self.cfg.decimation

    @property
    def max_episode_length_s(self):
        return self.cfg.episode_length_s

    @property
    def max_episode_length(self):
        return math.ceil(self.max_episode_length_s / self.step_dt)

    @staticmethod
    def seed(seed=-1):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        return seed

    def render(self, recompute=False):
        if self.render_mode != "rgb_array":
            return None
        if not AppLauncher.cameras:
            raise RuntimeError(
                "Cannot render 'rgb_array' when the simulation render mode is 'NO_GUI_OR_RENDERING'."
            )
        width, height = self.cfg.viewer.resolution
        picture = np.full((height, width, 3), 255, dtype=np.uint8)
        point = self.scene["point"]
        for place, colour in ((point.goal[0], (0, 160, 0)), (point.pos[0], (200, 0, 0))):
            x, y = ((place.clamp(-1.4, 1.4) / 3.0 + 0.5).cpu().numpy() * (width, height)).astype(int)
            picture[max(0, y - 8) : y + 8, max(0, x - 8) : x + 8] = colour
        return picture

    def close(self):
        self.sim.clear_instance()


class ManagerBasedRLEnv(_Env):
    """Terms decide everything."""

    def __init__(self, cfg, render_mode=None, **kwargs):
        super().__init__(cfg, render_mode, **kwargs)
        self.action_manager = ActionManager(cfg.actions, self)
        self.observation_manager = ObservationManager(cfg.observations, self)
        self.termination_manager = TerminationManager(cfg.terminations, self)
        self.reward_manager = RewardManager(cfg.rewards, self)
        self.single_observation_space = gymnasium.spaces.Dict()
        for name, shapes in self.observation_manager.group_obs_term_dim.items():
            boxes = [gymnasium.spaces.Box(-np.inf, np.inf, shape) for shape in shapes]
            whole = gymnasium.spaces.Box(-np.inf, np.inf, (sum(shape[0] for shape in shapes),))
            parts = gymnasium.spaces.Dict(dict(zip(self.observation_manager.active_terms[name], boxes)))
            concatenated = self.observation_manager.group_obs_concatenate[name]
            self.single_observation_space[name] = whole if concatenated else parts
        size = sum(self.action_manager.action_term_dim)
        self.single_action_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,))

    def reset(self, seed=None, env_ids=None, options=None):
        if seed is not None:
            self.seed(seed)
        self._reset_idx(torch.arange(self.num_envs, device=self.device) if env_ids is None else env_ids)
        return self.observation_manager.compute(update_history=True), self.extras

    def step(self, action):
        self.action_manager.process_action(action.to(self.device))
        for _ in range(self.cfg.decimation):
            self.scene.advance(self.action_manager.scaled(), self.cfg.sim.dt)
        self.episode_length_buf += 1
        self.common_step_counter += 1
        self.reset_buf = self.termination_manager.compute()
        self.reset_terminated = self.termination_manager.terminated
        self.reset_time_outs = self.termination_manager.time_outs
        self.reward_buf = self.reward_manager.compute(dt=self.step_dt)
        env_ids = self.reset_buf.nonzero(as_tuple=False).squeeze(-1)
        if len(env_ids) > 0:
            self._reset_idx(env_ids)
        self.obs_buf = self.observation_manager.compute(update_history=True)
        return self.obs_buf, self.reward_buf, self.reset_terminated, self.reset_time_outs, self.extras

    def _reset_idx(self, env_ids):
        for term in vars(self.cfg.events).values() if self.cfg.events else ():
            if term.mode == "reset":
                term.func(self, env_ids, **term.params)
        if self.cfg.curriculum:
            for term in vars(self.cfg.curriculum).values():
                term.func(self, env_ids, **term.params)
        self.extras["log"] = {}
        self.extras["log"].update(self.reward_manager.reset(env_ids))
        self.extras["log"].update(self.termination_manager.reset(env_ids))
        self.episode_length_buf[env_ids] = 0


class DirectRLEnv(_Env):
    """A class decides everything."""

    def __init__(self, cfg, render_mode=None, **kwargs):
        super().__init__(cfg, render_mode, **kwargs)
        self.reset_terminated = torch.zeros(self.num_envs, device=self.device, dtype=torch.bool)
        self.reset_time_outs = torch.zeros_like(self.reset_terminated)
        seen = gymnasium.spaces.Box(-np.inf, np.inf, (cfg.observation_space,))
        self.single_observation_space = gymnasium.spaces.Dict({"policy": seen})
        free = (
            gymnasium.spaces.Box(-np.inf, np.inf, (cfg.action_space,))
            if isinstance(cfg.action_space, int)
            else None
        )
        self.single_action_space = free or cfg.action_space

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.seed(seed)
        self._reset_idx(torch.arange(self.num_envs, device=self.device))
        return self._get_observations(), self.extras

    def step(self, action):
        self._pre_physics_step(action.to(self.device))
        for _ in range(self.cfg.decimation):
            self._apply_action()
        self.episode_length_buf += 1
        self.common_step_counter += 1
        self.reset_terminated[:], self.reset_time_outs[:] = self._get_dones()
        self.reset_buf = self.reset_terminated | self.reset_time_outs
        self.reward_buf = self._get_rewards()
        env_ids = self.reset_buf.nonzero(as_tuple=False).squeeze(-1)
        if len(env_ids) > 0:
            self._reset_idx(env_ids)
        self.obs_buf = self._get_observations()
        return self.obs_buf, self.reward_buf, self.reset_terminated, self.reset_time_outs, self.extras

    def _reset_idx(self, env_ids):
        self.episode_length_buf[env_ids] = 0
