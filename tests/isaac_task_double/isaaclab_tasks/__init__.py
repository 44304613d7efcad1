"""Tasks with a point that is to come to a goal, registered as Isaac Lab registers its own."""

import gymnasium

from isaaclab_tasks.utils import parse_env_cfg  # noqa: F401  as there, it imports isaaclab.envs: the app first

_CONFIGS = "isaaclab_tasks.point:"
_MANAGED = {
    "Isaac-Reach-Point-v0": "ReachCfg",
    "Isaac-Lift-Point-v0": "LiftCfg",
    "Isaac-Endless-Point-v0": "EndlessCfg",
    "Isaac-Reach-Point-Apart-v0": "ApartCfg",
    "Isaac-Broken-Point-v0": "BrokenCfg",
}
for name, config in _MANAGED.items():
    gymnasium.register(
        id=name,
        entry_point="isaaclab.envs:ManagerBasedRLEnv",
        kwargs={"env_cfg_entry_point": f"{_CONFIGS}{config}", "skrl_cfg_entry_point": "skrl_ppo_cfg.yaml"},
        disable_env_checker=True,
    )
gymnasium.register(
    id="Isaac-Reach-Point-Direct-v0",
    entry_point="isaaclab_tasks.point_direct:DirectReach",
    kwargs={"env_cfg_entry_point": "isaaclab_tasks.point_direct:DirectReachCfg"},
    disable_env_checker=True,
)
gymnasium.register(
    id="Isaac-Pair-Point-v0",
    entry_point="isaaclab_tasks.point_direct:DirectReach",
    kwargs={"env_cfg_entry_point": "isaaclab_tasks.point_direct:PairCfg"},
    disable_env_checker=True,
)
