"""The manager-based ones."""

import torch
from isaaclab.envs import ManagerBasedRLEnvCfg
from isaaclab.managers import (
    ActionTermCfg,
    EventTermCfg,
    ObservationGroupCfg,
    ObservationTermCfg,
    RewardTermCfg,
    TerminationTermCfg,
)
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.utils import configclass

NEAR_M, OUTSIDE_M = 0.15, 3.0


def distance(env):
    point = env.scene["point"]
    return torch.linalg.vector_norm(point.goal - point.pos, dim=1)


def velocity(env):
    return env.scene["point"].vel.clone()


def to_goal(env):
    point = env.scene["point"]
    return point.goal - point.pos


def reaching(env, std):
    return torch.exp(-distance(env) / std)


def reached(env):
    return distance(env) < NEAR_M


def effort(env):
    return env.action_manager.action.square().sum(dim=1)


def time_out(env):
    return env.episode_length_buf >= env.max_episode_length


def outside(env):
    return torch.linalg.vector_norm(env.scene["point"].pos, dim=1) > OUTSIDE_M


def scatter(env, env_ids, range_m):
    point = env.scene["point"]
    for tensor in (point.pos, point.goal):
        tensor[env_ids] = (torch.rand(len(env_ids), 2) * 2.0 - 1.0).to(env.device) * range_m
    point.vel[env_ids] = 0.0


@configclass
class Observed(ObservationGroupCfg):
    to_goal = ObservationTermCfg(func=to_goal)
    velocity = ObservationTermCfg(func=velocity)


@configclass
class ObservationsCfg:
    policy: Observed = Observed()


@configclass
class ActionsCfg:
    push = ActionTermCfg(asset_name="point", scale=4.0)


@configclass
class RewardsCfg:
    reaching = RewardTermCfg(func=reaching, weight=1.0, params={"std": 0.4})
    reached = RewardTermCfg(func=lambda env: reached(env).float(), weight=100.0)
    effort = RewardTermCfg(func=effort, weight=-0.01)


@configclass
class TimeOut:
    time_out = TerminationTermCfg(func=time_out, time_out=True)
    outside = TerminationTermCfg(func=outside)


@configclass
class WithSuccess(TimeOut):
    success = TerminationTermCfg(func=reached)


@configclass
class EventsCfg:
    scatter = EventTermCfg(func=scatter, mode="reset", params={"range_m": 1.0})


@configclass
class ReachCfg(ManagerBasedRLEnvCfg):
    scene: InteractiveSceneCfg = InteractiveSceneCfg(num_envs=4096)
    observations: ObservationsCfg = ObservationsCfg()
    actions: ActionsCfg = ActionsCfg()
    rewards: RewardsCfg = RewardsCfg()
    terminations: object = WithSuccess()
    events: EventsCfg = EventsCfg()

    def __post_init__(self):
        self.decimation = 2
        self.episode_length_s = 4.0
        self.sim.dt = 0.05


@configclass
class LiftCfg(ReachCfg):
    """Without a sign of success, as Isaac-Lift-Cube-Franka-v0."""

    terminations: object = TimeOut()


@configclass
class Never:
    outside = TerminationTermCfg(func=outside)


@configclass
class EndlessCfg(ReachCfg):
    """Without a limit of time."""

    terminations: object = Never()


@configclass
class Apart(Observed):
    concatenate_terms: bool = False


@configclass
class ApartObservations:
    policy: Apart = Apart()


@configclass
class ApartCfg(ReachCfg):
    """Its terms are not concatenated."""

    observations: object = ApartObservations()


def broken(env):
    raise KeyError("no such frame")


@configclass
class BrokenRewards:
    broken = RewardTermCfg(func="isaaclab.envs.mdp.gone", weight=1.0)


@configclass
class BrokenCfg(ReachCfg):
    """A term that cannot be resolved."""

    rewards: object = BrokenRewards()
