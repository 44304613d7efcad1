"""Rules between settings, which the types of single settings cannot express."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from blueprint_tune.config import paths
from blueprint_tune.config.backend_events import event_problems
from blueprint_tune.config.curriculum import curriculum_problems
from blueprint_tune.config.evaluation_schema import EvaluationConfig
from blueprint_tune.config.own_task import own_task_problems
from blueprint_tune.config.physics_schema import PhysicsConfig
from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.config.schema import (
    AgentConfig,
    ClusterConfig,
    ExperimentConfig,
    LoggerConfig,
    RobotConfig,
    StorageConfig,
)
from blueprint_tune.config.sweep_checks import REPORTED_METRICS, is_population, sweep_problems
from blueprint_tune.errors import nearest


def cross_checks(cfg: ExperimentConfig) -> list[str]:
    """Every rule between settings that ``cfg`` breaks, one sentence each."""
    return [
        *_learning(cfg.agent, cfg.backend.num_envs, cfg.sweep.resources.num_ranks),
        *_resources(cfg),
        *event_problems(cfg),
        *_cluster(cfg.cluster),
        *_storage(cfg.storage),
        *_budget(cfg),
        *_robot(cfg.robot),
        *_robot_for_policy(cfg.robot, cfg.policy),
        *_physics(cfg.physics),
        *_episode(cfg),
        *curriculum_problems(cfg.policy),
        *_evaluation(cfg.evaluation),
        *_noise_floor(cfg),
        *sweep_problems(cfg),
        *own_task_problems(cfg),
        *_logger(cfg.logger),
    ]


def _logger(logger: LoggerConfig) -> Iterator[str]:
    uri = logger.mlflow.tracking_uri if logger.mlflow else None
    if uri and "@" in uri.partition("://")[2].partition("/")[0]:
        yield (
            "logger.mlflow.tracking_uri holds a user or password, which would be written down with the"
            " settings. Put them in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead."
        )


def _resources(cfg: ExperimentConfig) -> Iterator[str]:
    resources, num_envs = cfg.sweep.resources, cfg.backend.num_envs
    ranks, gpus = resources.num_ranks, resources.gpus
    if gpus > 1 and gpus != int(gpus):
        yield (
            f"sweep.resources.gpus={gpus:g} is neither a whole number nor a share of one card."
            f" Use {int(gpus)} or {int(gpus) + 1}."
        )
    elif gpus and ranks != max(1, gpus):
        yield (
            f"sweep.resources.ranks={ranks} does not go with sweep.resources.gpus={gpus:g}: a trial has one"
            " rank for each GPU. Leave sweep.resources.ranks at auto."
        )
    if num_envs % ranks:
        more = num_envs + ranks - num_envs % ranks
        yield (
            f"backend.num_envs={num_envs} cannot be split among the {ranks} ranks of a trial"
            f" (sweep.resources). Use backend.num_envs={more}, for example."
        )
    if cfg.agent.device == "cuda" and not gpus:
        yield (
            "agent.device=cuda learns on a GPU, and the trials are given none."
            " Add sweep.resources.gpus=1, or leave agent.device at auto."
        )
    if cfg.backend.device.startswith("cuda") and not gpus:
        yield (
            f"backend.device={cfg.backend.device} simulates on a GPU, and the trials are given none."
            " Set sweep.resources.gpus=1, or backend.device=cpu for a few environments."
        )


def _cluster(cluster: ClusterConfig) -> Iterator[str]:
    if cluster.storage_path and "://" in cluster.storage_path:
        yield (
            f"cluster.storage_path={cluster.storage_path} is not a folder. Mount what all nodes share (NFS, a"
            " bucket through gcsfuse or s3fs, a volume claim) on every node and name the folder."
        )
    if cluster.address is None and cluster.grows:
        yield "cluster.grows=true is about a cluster, and none is named. Add cluster.address=…"


def _storage(storage: StorageConfig) -> Iterator[str]:
    """What is stored where is decided by ``root`` alone; a file of the group says what it expects there."""
    scheme = storage.root.partition("://")[0] if "://" in storage.root else ""
    wanted = {
        "local": ("", "a folder"),
        "gcs": ("gs", "gs://bucket/prefix"),
        "s3": ("s3", "s3://bucket/prefix"),
    }
    if scheme not in ("", "gs", "s3"):
        yield f"storage.root begins with {scheme}://. Give a folder, gs://bucket/prefix or s3://bucket/prefix."
    elif storage.kind is not None and scheme != wanted[storage.kind][0]:
        needed = wanted[storage.kind][1]
        yield f"storage.root={storage.root} is not what storage.kind={storage.kind} needs: {needed}."
    if storage.endpoint is not None and not storage.endpoint.startswith(("http://", "https://")):
        yield f"storage.endpoint={storage.endpoint} must begin with http:// or https://."


def _learning(agent: AgentConfig, num_envs: int, ranks: int) -> Iterator[str]:
    if ranks > 1 and num_envs % ranks == 0 and agent.rollouts * num_envs // ranks % agent.mini_batches:
        yield (
            f"agent.mini_batches={agent.mini_batches} does not divide a rank's rollout of agent.rollouts *"
            f" backend.num_envs / {ranks} ranks = {agent.rollouts * num_envs // ranks} env steps."
        )
    samples = agent.rollouts * num_envs
    if samples % agent.mini_batches:
        possible = [n for n in range(1, 65) if samples % n == 0]
        close = min(possible, key=lambda n: abs(n - agent.mini_batches))
        yield (
            f"agent.mini_batches={agent.mini_batches} does not divide a rollout of agent.rollouts *"
            f" backend.num_envs = {agent.rollouts} * {num_envs} = {samples} env steps."
            f" Use agent.mini_batches={close}, for example."
        )
    low, high = agent.min_learning_rate, agent.max_learning_rate
    if agent.learning_rate_schedule == "kl_adaptive" and not low <= agent.learning_rate <= high:
        yield (
            f"agent.learning_rate={agent.learning_rate:g} lies outside agent.min_learning_rate={low:g} …"
            f" agent.max_learning_rate={high:g}, between which kl_adaptive moves it."
            " Widen the bounds or move it."
        )


def _budget(cfg: ExperimentConfig) -> Iterator[str]:
    budget, update = cfg.budget, cfg.agent.rollouts * cfg.backend.num_envs
    if budget.report_env_steps > budget.env_steps:
        yield (
            f"budget.report_env_steps={budget.report_env_steps} is more than"
            f" budget.env_steps={budget.env_steps}: a trial would end before a report is due."
            " Use a smaller budget.report_env_steps."
        )
    if update > budget.env_steps:
        yield (
            f"budget.env_steps={budget.env_steps} is less than one update of agent.rollouts *"
            f" backend.num_envs = {update} env steps. Use a larger budget.env_steps or fewer environments."
        )


def _robot(robot: RobotConfig) -> Iterator[str]:
    if len(robot.home_rad) != len(robot.arm_joints):
        yield (
            f"robot.home_rad has {len(robot.home_rad)} angles for {len(robot.arm_joints)} joints in"
            " robot.arm_joints; give one angle for each joint."
        )
    if robot.gripper not in robot.grippers:
        known = nearest(robot.gripper, robot.grippers)
        yield f"robot '{robot.name}' has no gripper '{robot.gripper}'. {known}"
    for name, gripper in robot.grippers.items():
        if gripper and gripper.closed_m >= gripper.open_m:
            key = f"robot.grippers.{name}"
            yield (
                f"{key}.closed_m={gripper.closed_m} is not below {key}.open_m={gripper.open_m};"
                " joint positions grow as the gripper opens."
            )
    if robot.base == "planar" and not robot.base_joints:
        mobile = [name for name, other in shipped_robots().items() if other.get("base_joints")]
        use = "".join(f" Use robot={name} robot.base=planar." for name in mobile if name != robot.name)
        yield f"robot.base=planar: robot '{robot.name}' has no mobile base, it can only be held.{use}"


def _robot_for_policy(robot: RobotConfig, policy: PolicyConfig) -> Iterator[str]:
    """Why a robot cannot do a policy type at all, and the nearest that can."""
    grasping = [name for name, gripper in robot.grippers.items() if gripper is not None]
    if policy.grasps and robot.grippers.get(robot.gripper, True) is None:
        others = [f"robot={name}" for name, tree in shipped_robots().items() if has_gripper(tree)]
        own = [f"robot={robot.name} robot.gripper={name}" for name in grasping]
        yield (
            f"robot '{robot.name}' has no gripper; policy '{policy.name}' grasps."
            f" Use {', or '.join([*others[-1:], *own])}."
        )
    if policy.mobile_base and not robot.driven_base:
        mobile = [name for name, tree in shipped_robots().items() if tree.get("base_joints")]
        yield (
            f"robot '{robot.name}' stands still; policy '{policy.name}' drives."
            f" Use {', or '.join(f'robot={name} robot.base=planar' for name in mobile)}."
        )


def shipped_robots() -> dict[str, dict[str, Any]]:
    """The settings of every robot that ships with the program."""
    files = sorted((paths.conf_dir() / "robot").glob("[!_]*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text()) for file in files}


def has_gripper(robot: dict[str, Any]) -> bool:
    """Whether a robot file mounts a gripper unless asked otherwise."""
    return robot["grippers"][robot["gripper"]] is not None


def _physics(physics: PhysicsConfig) -> Iterator[str]:
    ranges: dict[str, Sequence[float]] = {
        "dt_jitter_range_s": physics.randomization.dt_jitter_range_s,
        "solver_iteration_range": physics.randomization.solver_iteration_range,
        "contact_offset_range_m": physics.randomization.contact_offset_range_m,
        "friction_scale_range": physics.randomization.friction_scale_range,
    }
    for name, (low, high) in ranges.items():
        if low > high or low < 0:
            yield (
                f"physics.randomization.{name}=[{low}, {high}] must be two numbers, 0 or above,"
                " the smaller first."
            )


def _episode(cfg: ExperimentConfig) -> Iterator[str]:
    step_s = cfg.physics.dt_s * cfg.physics.substeps * cfg.policy.action_repeat
    if cfg.policy.episode_s < step_s:
        yield (
            f"policy.episode_s={cfg.policy.episode_s:g} is shorter than one env step of physics.dt_s *"
            f" physics.substeps * policy.action_repeat = {step_s:g} s."
        )


def _evaluation(evaluation: EvaluationConfig) -> Iterator[str]:
    if len(set(evaluation.seeds)) != len(evaluation.seeds):
        yield f"evaluation.seeds={evaluation.seeds} names a seed twice; its episodes would be counted twice."
    if evaluation.selection.seed in evaluation.seeds:
        yield (
            f"evaluation.selection.seed={evaluation.selection.seed} is one of evaluation.seeds: trials"
            " would be chosen by the episodes they are judged on. Use another seed for the selection."
        )
    again = evaluation.reevaluation
    if again != "off" and again.seed in (evaluation.selection.seed, *evaluation.seeds):
        yield (
            f"evaluation.reevaluation.seed={again.seed} is also a seed of the selection or of the benchmark:"
            " the best trials would be judged by episodes that chose them, or the winner by episodes that"
            " publish it. Use another seed."
        )


def _noise_floor(cfg: ExperimentConfig) -> Iterator[str]:
    evaluation, sweep = cfg.evaluation, cfg.sweep
    if evaluation.noise_floor is None:
        return
    asked = f"evaluation.noise_floor={evaluation.noise_floor}"
    if evaluation.reevaluation == "off":
        yield f"{asked} compares trials that play again; leave evaluation.reevaluation on."
    if is_population(sweep):
        yield f"{asked} repeats one setting, and sweep={sweep.name} changes settings while it trains."
    elif sweep.scheduler is not None:
        yield (
            f"{asked} counts trials that train to their end, and sweep={sweep.name} stops those that do"
            " badly: what is left varies less than seeds do. Use sweep=random."
        )
    elif not sweep.default_settings_first:
        yield f"{asked} repeats the default settings. Set sweep.default_settings_first=true."
    elif sweep.metrics != REPORTED_METRICS[:1]:
        yield f"{asked} is about success; set sweep.metric={REPORTED_METRICS[0]}."
