"""The types of a backend: what ``conf/backend/`` holds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from blueprint_tune.config.fields import STRICT, Count, NonNegative, Positive


@dataclass(config=STRICT)
class BackendConfig:
    """Where physics comes from."""

    name: Literal["mujoco", "isaaclab", "pointmass", "isaaclab_task"]
    num_envs: Count
    num_threads: Count | Literal["auto"]
    """Physics threads of a trial's process; auto = the CPUs it was given."""
    ignores: list[str]
    """Fields of a physics profile that mean nothing to it."""
    gpus: NonNegative = 0.0
    """GPUs of a trial, unless ``sweep.resources.gpus`` says otherwise."""
    drops_events: list[str] = Field(default_factory=list)
    """Kinds of events that it cannot play: a policy's are left out, with a note."""
    device: str = "cpu"
    """Where physics and the state live: cpu, cuda:0, … of those that the process sees."""
    env_spacing_m: Positive | None = None
    """Between neighbouring environments, where they share a world."""
    cameras: bool = False
    """Whether pictures can be taken, where that has to be known at the start."""
    start_timeout_s: Positive | None = None
    """A start that takes longer hangs, and its process is ended."""
    close_timeout_s: Positive | None = None
    """A process that takes longer to end is ended."""
    task: str | None = None
    """Name under which an environment is registered, for example Isaac-Lift-Cube-Franka-v0."""
    success: str | None = None
    """What tells that an episode succeeded; see ``own_task.Signal``."""
    action_scale: Positive = 1.0
    """What an output of 1 is to the task, where its actions have no bounds."""
    env_package: str | None = None
    """Folder or archive of a Python package that registers the task."""
    imports: list[str] = Field(default_factory=list)
    """Modules whose import registers tasks; empty = all that ``env_package`` brings."""
    trust_package_code: bool = False
    """Run the Python files of ``scene.package``."""
    env_path: str | None = None
    """Folder that ``env_package`` is installed in; a run fills it in."""

    @property
    def own_task(self) -> bool:
        """Whether a task brings its own environment: policy, robot and physics do not apply."""
        return self.name == "isaaclab_task"

    @property
    def cloth(self) -> bool:
        """Whether it simulates cloth."""
        return self.name == "mujoco"

    @property
    def isaac(self) -> bool:
        """Whether it needs NVIDIA Isaac Lab."""
        return self.name in ("isaaclab", "isaaclab_task")

    @property
    def exact_state(self) -> bool:
        """Whether a checkpoint holds all of physics, so that a resumed training goes on bit for bit."""
        return self.name in ("mujoco", "pointmass")
