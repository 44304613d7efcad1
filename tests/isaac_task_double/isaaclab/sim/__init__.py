"""Settings of the simulation, and the one simulation that a process has."""

from isaaclab.utils import configclass


@configclass
class SimulationCfg:
    """Length of a physics step and where it runs."""

    dt: float = 1.0 / 60.0
    device: str = "cuda:0"
    render_interval: int = 1


class SimulationContext:
    """At most one at a time, on a stage that its predecessor leaves as it is."""

    _instance = None
    stage_used = False

    def __init__(self, cfg):
        if type(self).stage_used:
            raise RuntimeError("A prim already exists at path: '/World/envs/env_0'.")
        type(self)._instance, type(self).stage_used = self, True
        self.cfg, self.device = cfg, cfg.device

    @classmethod
    def instance(cls):
        return cls._instance

    @classmethod
    def clear_instance(cls):
        cls._instance = None
