"""The direct one: its actions have bounds, and its extras say for each environment whether it has come."""

import gymnasium
import torch
from isaaclab.envs import DirectMARLEnvCfg, DirectRLEnv, DirectRLEnvCfg
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.utils import configclass

FORCE = 4.0


@configclass
class DirectReachCfg(DirectRLEnvCfg):
    scene: InteractiveSceneCfg = InteractiveSceneCfg(num_envs=4096)
    observation_space: int = 4
    action_space: object = gymnasium.spaces.Box(-FORCE, FORCE, (2,))

    def __post_init__(self):
        self.decimation = 2
        self.episode_length_s = 4.0
        self.sim.dt = 0.05


@configclass
class PairCfg(DirectMARLEnvCfg):
    scene: InteractiveSceneCfg = InteractiveSceneCfg(num_envs=4096)
    possible_agents: list = ["left", "right"]  # noqa: RUF012

    def __post_init__(self):
        self.decimation = 2
        self.episode_length_s = 4.0


class DirectReach(DirectRLEnv):
    """The same point."""

    def _distance(self):
        point = self.scene["point"]
        return torch.linalg.vector_norm(point.goal - point.pos, dim=1)

    def _pre_physics_step(self, actions):
        self.actions = actions

    def _apply_action(self):
        self.scene.advance(self.actions, self.cfg.sim.dt)

    def _get_observations(self):
        point = self.scene["point"]
        return {"policy": torch.cat([point.goal - point.pos, point.vel], dim=1)}

    def _get_rewards(self):
        return torch.exp(-self._distance() / 0.4) * self.step_dt

    def _get_dones(self):
        self.extras["reached"] = self._distance() < 0.15
        self.extras["mean_distance"] = self._distance().mean()
        self.extras.setdefault("log", {})["near"] = self.extras[
            "reached"
        ].float()  # one log, changed in place
        return torch.zeros_like(self.reset_terminated), self.episode_length_buf >= self.max_episode_length - 1

    def _reset_idx(self, env_ids):
        super()._reset_idx(env_ids)
        if len(env_ids) == self.num_envs:  # as Isaac Lab's quadcopter and legged robots
            self.episode_length_buf = torch.randint_like(
                self.episode_length_buf, high=int(self.max_episode_length)
            )
        point = self.scene["point"]
        for tensor in (point.pos, point.goal):
            tensor[env_ids] = (torch.rand(len(env_ids), 2) * 2.0 - 1.0).to(self.device)
        point.vel[env_ids] = 0.0
