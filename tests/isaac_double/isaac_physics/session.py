"""What a process of the double has: its app, its stage, its simulation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pxr import Usd
    from torch import Tensor

    from isaac_physics.world import World

ENV_NS = "/World/envs"


@dataclass
class Session:
    """One a process.

    Attributes:
        app, simulation: the launched app, the SimulationContext; None before.
        stage: outlives the simulation, as the original's does.
        things: assets and sensors that ``SimulationContext.reset`` initialises, in the order they were made.
        world: the physics, from that reset on.
    """

    app: Any = None
    cameras_enabled: bool = False
    simulation: Any = None
    stage: Usd.Stage | None = None
    num_envs: int = 1
    env_origins: Tensor | None = None
    things: list[Any] = field(default_factory=list)
    world: World | None = None

    def new_stage(self) -> Usd.Stage:
        """An empty stage, z up, with the first environment."""
        from pxr import Usd, UsdGeom  # the app can be launched without

        self.stage = Usd.Stage.CreateInMemory()
        UsdGeom.SetStageUpAxis(self.stage, UsdGeom.Tokens.z)
        UsdGeom.SetStageMetersPerUnit(self.stage, 1.0)
        self.stage.DefinePrim(f"{ENV_NS}/env_0", "Xform")
        return self.stage

    def clear(self) -> None:
        """Forget the simulation, not the stage."""
        self.simulation, self.world, self.things = None, None, []
        self.num_envs, self.env_origins = 1, None


current = Session()


def require_app() -> None:
    """Fail as an import of Isaac Lab does when nothing has launched Omniverse."""
    if current.app is None:
        raise ModuleNotFoundError("No module named 'carb'", name="carb")


def require_simulation() -> Any:
    """The SimulationContext."""
    if current.simulation is None:
        raise RuntimeError("There is no SimulationContext: make one before assets and scenes.")
    return current.simulation


def require_world() -> World:
    """The physics."""
    if current.world is None:
        raise RuntimeError("The simulation is not playing: call SimulationContext.reset() first.")
    return current.world
