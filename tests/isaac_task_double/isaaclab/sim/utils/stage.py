"""An empty stage."""

from isaaclab.sim import SimulationContext


def create_new_stage():
    """What was on the old one is gone."""
    SimulationContext.stage_used = False
