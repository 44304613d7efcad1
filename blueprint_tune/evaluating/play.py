"""A policy that exists already plays the benchmark, in this process."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blueprint_tune.config.identity import task_digest
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.validate import to_dict
from blueprint_tune.errors import ConfigError
from blueprint_tune.evaluating.against import Against, incumbent
from blueprint_tune.evaluating.needs import check_fits
from blueprint_tune.evaluating.subject import Subject
from blueprint_tune.tasks.asked import with_env_package
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.session import available_cpus


def evaluate(
    subject: Subject, cfg: ExperimentConfig, out: str | None, against: Against | None
) -> tuple[Path, dict[str, Any]]:
    """The folder that holds the three documents, and ``benchmark_report.json``.

    Raises ConfigError for a policy that was made for another environment, for one to compare with that played
    another task, or a folder that cannot be written.
    """
    import torch

    from blueprint_tune.envs.factory import make_env
    from blueprint_tune.evaluation.benchmark import run_baselines, run_benchmark
    from blueprint_tune.evaluation.documents import (
        Beside,
        EvaluationId,
        evaluation_documents,
        write_documents,
    )
    from blueprint_tune.evaluation.robustness import Perturbed, run_robustness

    now = datetime.now(UTC)
    eval_id = f"eval_{subject.name}"[:100] + now.strftime("-%Y%m%d-%H%M%S")
    folder = Path(out) if out else Path(cfg.output_dir) / "evaluations" / eval_id
    _claim(folder)
    evaluation, (seeds, per_seed) = cfg.evaluation, (cfg.evaluation.seeds, cfg.evaluation.episodes_per_seed)
    torch.set_num_threads(cfg.agent.torch_threads)
    with Progress(cfg.logger.progress, f"evaluate {subject.name}") as progress:
        progress.stage("building the scene")
        cfg, num_envs = with_env_package(cfg, folder), cfg.backend.num_envs
        if not cfg.backend.own_task:  # whose starts depend on the number of environments
            # environments beyond the episodes would run along uncounted
            num_envs = min(num_envs, len(seeds) * per_seed)
        env = make_env(replace(cfg, backend=replace(cfg.backend, num_envs=num_envs)), available_cpus())
        try:
            check_fits(subject.file, subject.needs, cfg, env)
            identity = EvaluationId(
                eval_id=eval_id,
                job_id=subject.name,
                scene_id=cfg.scene.id,
                policy_id=cfg.policy.name,
                robot_type=cfg.robot.name,
                policy_checkpoint=subject.file.name,
                timestamp=now.isoformat(timespec="seconds"),
                task_digest=task_digest(to_dict(cfg), env.facts.digest),
            )
            beside = None if against is None else incumbent(against, identity)
            act = subject.load((env.num_observations, env.num_actions))
            progress.stage(f"playing {len(seeds) * per_seed} episodes")
            result = run_benchmark(env, act, seeds, per_seed, measured=True)
            progress.stage("playing the baselines" if evaluation.baselines else "")
            baselines = run_baselines(env, seeds, per_seed) if evaluation.baselines else {}
            rows: tuple[Perturbed, ...] = ()
            if evaluation.robustness != "off":
                progress.stage("playing in a perturbed world")
                task = env.facts
                rows = run_robustness(
                    env,
                    env.policy,
                    act,
                    result,
                    evaluation.robustness,
                    task.loose,
                    task.rigid,
                    task.takes_events,
                )
        finally:
            env.close()
    documents = evaluation_documents(identity, result, Beside(baselines, rows, None, beside))
    write_documents(folder, documents)
    return folder, documents["benchmark_report.json"]


def _claim(folder: Path) -> None:
    """Make the folder before anything is played for it. Raises ConfigError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written ({error.strerror or error}). Choose another one: --out FOLDER"
        ) from error
