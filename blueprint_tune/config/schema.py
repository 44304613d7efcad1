"""The types of a composed experiment; the values live in ``conf/``.

Every class is a pydantic dataclass that forbids unknown keys, so one pass over a composed config
reports every missing, misspelt, mistyped and out-of-range entry together. A field has a default
only where the default means "off" or "decide for me".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from blueprint_tune.config.backend_schema import BackendConfig as BackendConfig
from blueprint_tune.config.evaluation_schema import EvaluationConfig
from blueprint_tune.config.export_schema import ExportConfig
from blueprint_tune.config.fields import STRICT, Count, Fraction, NonNegative, Positive, Range
from blueprint_tune.config.physics_schema import PhysicsConfig
from blueprint_tune.config.policy_schema import PolicyConfig


@dataclass(config=STRICT)
class SceneConfig:
    """Which scene manifest to read and how to stand the robot in it."""

    id: str
    manifest: str | None
    up_axis: Literal["auto", "y", "z"]
    robot_base: Annotated[list[float], Field(min_length=4, max_length=4)] | None
    """x, y, z in metres and yaw in radians, in the scene's z-up frame; null = placed automatically."""
    package: str | None = None
    """Folder of the task package that the experiment comes from."""
    adaptations: list[str] = Field(default_factory=list)
    """What was made of package and policy where they cannot be taken as they are, a sentence each."""


@dataclass(config=STRICT)
class GripperConfig:
    """A parallel gripper: its joints move together between ``closed_m`` and ``open_m``."""

    joints: Annotated[list[str], Field(min_length=1)]
    fingers: Annotated[list[str], Field(min_length=1)]
    """Bodies that carry the pads, one a finger; ``grasped`` needs contact force on each."""
    open_m: float
    closed_m: float
    max_width_m: Positive
    model: str | None = None
    """MJCF file of a gripper that is no part of the robot's model; it takes the place of ``replaces``."""
    replaces: str | None = None
    """The body of the robot's model that makes way for ``model``."""
    collision_bodies: list[str] = Field(default_factory=list)
    """Bodies of ``model`` whose contacts count as collisions."""


@dataclass(config=STRICT)
class EndEffectorConfig:
    """Where to put the end effector's site in a model that has none: relative to a body."""

    body: str
    offset_m: Annotated[list[float], Field(min_length=3, max_length=3)] = Field(
        default_factory=lambda: [0.0] * 3
    )
    rpy_rad: Annotated[list[float], Field(min_length=3, max_length=3)] = Field(
        default_factory=lambda: [0.0] * 3
    )
    """Roll, pitch, yaw about the body's axes (URDF's convention): z must come to point out of the gripper."""


@dataclass(config=STRICT)
class ServoConfig:
    """The motor of a joint whose model has no actuator. N and m for a joint that slides."""

    effort: Positive
    """Largest torque or force, N m or N."""
    speed: Positive
    """Largest speed, rad/s or m/s: reached without load at full effort."""
    range: Range | None = None
    """Limits of a joint whose model has none."""


@dataclass(config=STRICT)
class IsaacLabAssetConfig:
    """What the backend isaaclab takes for the robot; nothing = ``RobotConfig.model``, written as USD."""

    asset: str | None = None
    """An ArticulationCfg of Isaac Lab's own: ``module:NAME``."""
    usd_path: str | None = None
    """A USD file, before ``asset``; links and joints are named as in ``RobotConfig.model``."""
    tool_of: str | None = None
    """A link of ``asset`` without tool: what the model has below that link is added to it."""


@dataclass(config=STRICT)
class RobotConfig:
    """A robot model and what the rest of the program needs to know about it."""

    name: str
    model: str
    """MJCF or URDF file: a name under the package's assets/robots, or a path."""
    base_body: str
    ee_site: str
    """z points out of the gripper, y along the fingers' travel."""
    arm_joints: Annotated[list[str], Field(min_length=1)]
    collision_bodies: list[str]
    """Links whose contacts count as collisions (the fingers are meant to touch things)."""
    home_rad: Annotated[list[float], Field(min_length=1)]
    """One value an arm joint; metres for a joint that slides."""
    gripper: str
    """A name of ``grippers``."""
    grippers: dict[str, GripperConfig | None]
    """What can be mounted; null = nothing that grasps."""
    reach_m: Positive
    """From the shoulder."""
    base_radius_m: Positive
    mount: Literal["pedestal", "floor"]
    """pedestal = the base is put level with its work; floor = it stands on the floor."""
    shoulder_m: NonNegative
    """Height of the shoulder above the base, from which reach is measured."""
    work_m: Positive
    """Horizontal distance from the base's axis to what the arm works on, where it works best."""
    base: Literal["held", "planar"] = "held"
    """planar = ``base_joints`` move the base on the floor; held = it stays where it is put."""
    base_joints: list[str] = Field(default_factory=list)
    """Joints along x, along y and about z that a planar base drives; empty = it cannot."""
    tool_bodies: list[str] = Field(default_factory=list)
    """What touches things when no gripper is mounted: ``robot/gripper`` of terms."""
    weights: dict[str, Positive] = Field(default_factory=dict)
    """ee_delta: how readily a joint moves beside the others' 1; a slow one helps where they cannot."""
    ee: EndEffectorConfig | None = None
    """Makes the site ``ee_site`` in a model that lacks it."""
    servos: dict[str, ServoConfig] = Field(default_factory=dict)
    """Position servos added for joints without an actuator."""
    guesses: list[str] = Field(default_factory=list)
    """What was assumed where a robot's own file says nothing, a sentence each."""
    isaaclab: IsaacLabAssetConfig = Field(default_factory=IsaacLabAssetConfig)

    @property
    def hand(self) -> GripperConfig | None:
        """The gripper that is mounted, or None."""
        return self.grippers[self.gripper]

    @property
    def touching(self) -> list[str]:
        """Bodies that are meant to touch things: the fingers, or the tool."""
        return self.tool_bodies if self.hand is None else self.hand.fingers

    @property
    def colliding(self) -> list[str]:
        """Bodies whose contacts count as collisions."""
        return [*self.collision_bodies, *(self.hand.collision_bodies if self.hand else ())]

    @property
    def driven_base(self) -> list[str]:
        """The base's joints that are driven: all of a planar base, none of a held one."""
        return self.base_joints if self.base == "planar" else []

    @property
    def chain(self) -> list[str]:
        """Joints that move the end effector, in order: the base's if it is planar, then the arm's."""
        return [*self.driven_base, *self.arm_joints]

    @property
    def chain_home(self) -> list[float]:
        """(A,) position of each joint of ``chain`` at home."""
        return [*[0.0] * len(self.driven_base), *self.home_rad]

    @property
    def joints(self) -> list[str]:
        """All driven joints, in the order of targets: ``chain``, then the gripper's."""
        return [*self.chain, *(self.hand.joints if self.hand else ())]


@dataclass(config=STRICT)
class AgentConfig:
    """skrl PPO."""

    name: str
    policy_hidden_dims: Annotated[list[Count], Field(min_length=1)]
    value_hidden_dims: Annotated[list[Count], Field(min_length=1)]
    activation: Literal["elu", "relu", "silu", "tanh"]
    initial_std: Positive
    rollouts: Count
    """Env steps of every environment between two updates."""
    learning_epochs: Count
    mini_batches: Count
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    learning_rate_schedule: Literal["kl_adaptive", "linear", "constant"]
    desired_kl: Positive
    min_learning_rate: Positive
    max_learning_rate: Positive
    discount_factor: Annotated[float, Field(gt=0, le=1)]
    gae_lambda: Fraction
    ratio_clip: Positive
    value_clip: NonNegative
    """0 = the value loss is not clipped."""
    entropy_loss_scale: NonNegative
    value_loss_scale: Positive
    grad_norm_clip: Positive
    observation_clip: Positive
    """Normalised observations are clipped to plus and minus this many standard deviations."""
    torch_threads: Count
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the networks learn; auto = on the GPU that the trial was given, else on the CPU."""


Mode = Literal["max", "min"]


@dataclass(config=STRICT)
class ResourcesConfig:
    """What one trial reserves."""

    ranks: Count | Literal["auto"]
    """Processes that train one policy together, each with its share of the environments; auto = one a GPU."""
    cpus: Positive | Literal["auto"]
    """Of each rank; auto = all CPUs shared evenly by the ranks that run at once."""
    gpus: NonNegative
    """Of a trial: 2 = two ranks with one each, 0.5 = two trials on a card."""

    @property
    def num_ranks(self) -> int:
        """Ranks of a trial: one a GPU, or as many as are asked for."""
        return max(1, int(self.gpus)) if isinstance(self.ranks, str) else self.ranks


@dataclass(config=STRICT)
class SweepConfig:
    """How many trials, which of them go on, how many at once."""

    name: str
    num_samples: Count
    metric: str | Annotated[list[str], Field(min_length=1)]
    """What trials are compared by; of several the first counts most (``tie_within``)."""
    mode: Mode | Annotated[list[Mode], Field(min_length=1)]
    """One for each metric."""
    tie_within: NonNegative
    """Trials this close to the best by one metric are equal by it, and the next metric decides."""
    scheduler: dict[str, Any] | None
    """``_target_: ray.tune.schedulers.…`` and its constructor arguments, counted in env steps."""
    searcher: dict[str, Any] | None
    """``_target_: ray.tune.search.…`` and its constructor arguments; null = random and grid sampling."""
    concurrent_trials: Count | Literal["auto"]
    resources: ResourcesConfig
    max_failures: Annotated[int, Field(ge=0)]
    time_budget_s: Positive | None
    """From the first report on; then training stops, whatever trials are left. null = no limit."""
    watchdog_s: Positive
    """A trial's process that gives no report for so long is ended; see ``tuning/watchdog.py``."""
    reuse_processes: bool
    """A process takes one trial after the other, its simulator warm; false = one trial each."""
    default_settings_first: bool
    """Trial 0 runs the composed settings as they are."""
    keep_checkpoints: Count | Literal["all"]
    """The newest checkpoints of a trial that stay on the disk while the sweep runs."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """What trials are compared by, the most important first."""
        return (self.metric,) if isinstance(self.metric, str) else tuple(self.metric)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """``max`` or ``min``, one for each of ``metrics``."""
        return (self.mode,) if isinstance(self.mode, str) else tuple(self.mode)


@dataclass(config=STRICT)
class StorageConfig:
    """Where finished results are published."""

    kind: Literal["local", "gcs", "s3"] | None
    """What ``root`` must be; null = whatever it is."""
    root: str
    """A folder, gs://bucket/prefix or s3://bucket/prefix."""
    endpoint: str | None = None
    timeout_s: Positive | None = None
    retry_s: NonNegative | None = None
    part_mib: Annotated[int, Field(ge=5, le=1024)] | None = None
    """S3 takes no part smaller than 5 MiB."""


@dataclass(config=STRICT)
class WandbConfig:
    """Weights & Biases; the key is the environment's (WANDB_API_KEY, or ``wandb login``)."""

    project: str
    entity: str | None
    """null = the default of whoever is logged in."""
    mode: Literal["online", "offline"]
    """offline = files in the experiment's folder, for ``wandb sync``."""
    tags: list[str]


@dataclass(config=STRICT)
class MlflowConfig:
    """An MLflow tracking server; user and password are the environment's (MLFLOW_TRACKING_USERNAME, …)."""

    tracking_uri: str | None
    """null = MLFLOW_TRACKING_URI."""
    experiment: str
    tags: dict[str, str]


@dataclass(config=STRICT)
class LoggerConfig:
    """Metric sinks beside the experiment's own files."""

    tensorboard: bool
    progress: Literal["auto", "table", "lines", "off"]
    """auto = a live table on a terminal, plain lines elsewhere."""
    wandb: WandbConfig | None = None
    mlflow: MlflowConfig | None = None


@dataclass(config=STRICT)
class BudgetConfig:
    """The length of a trial and how often it reports."""

    env_steps: Count
    report_env_steps: Count
    checkpoint_every_reports: Count
    first_rung_env_steps: Count
    """Env steps that every trial of a sweep with early stopping gets before it is compared."""
    trials: Count
    """Trials of a sweep that searches (``sweep.num_samples`` of asha, random, …); single runs one."""


@dataclass(config=STRICT)
class ClusterConfig:
    """The Ray cluster."""

    address: str | None
    """null = a private Ray on this machine for the length of the run."""
    num_cpus: Count | None
    cpu_hour_price: NonNegative | None = None
    """Of one CPU, in any currency, for the leaderboard; null = it tells hours alone."""
    gpu_hour_price: NonNegative | None = None
    num_gpus: Annotated[int, Field(ge=0)] | None = None
    """GPUs the private Ray may hand out; null = all it finds."""
    runtime_env: dict[str, Any] = Field(default_factory=dict)
    """What Ray prepares on the nodes: working_dir, pip, env_vars, … as its documentation has them."""
    storage_path: str | None = None
    """Folder that every node sees, for checkpoints and reports; null = in the experiment's own."""
    grows: bool = False
    """An autoscaler adds nodes: asking for more than there is now is no mistake."""


@dataclass(config=STRICT)
class ExperimentConfig:
    """One experiment: one scene, one policy type, one or many trials."""

    name: str | None
    """The experiment's name and job id; null = made from scene, policy, sweep and input hash."""
    seed: int
    output_dir: str
    force: bool
    """Run again although the same input has a finished result."""
    preset: str
    searchspace: str | list[str] | None
    scene: SceneConfig
    robot: RobotConfig
    physics: PhysicsConfig
    policy: PolicyConfig
    agent: AgentConfig
    backend: BackendConfig
    sweep: SweepConfig
    evaluation: EvaluationConfig
    storage: StorageConfig
    logger: LoggerConfig
    budget: BudgetConfig
    cluster: ClusterConfig
    export: ExportConfig = Field(default_factory=ExportConfig)
