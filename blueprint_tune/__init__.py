"""blueprint-tune: a robot-manipulation policy is a line of config.

``run(["+scene=kitchen_001", "sweep=asha"])`` trains, proves, exports, reports and publishes;
``resume(path)`` continues what was interrupted, ``batch([..., "policy=all"])`` runs one experiment for each
combination of values, ``plan(…)`` says what would run. Nothing heavy is imported until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blueprint_tune.batches.run import BatchResult
    from blueprint_tune.pipeline import RunResult
    from blueprint_tune.planning.plan import Plan

__all__ = ["batch", "plan", "resume", "run"]


def run(overrides: Sequence[str]) -> RunResult:
    """Run the experiment that ``overrides``, as on the command line, describe.

    Raises BlueprintTuneError with one sentence for whatever the user can act on.
    """
    from blueprint_tune.config.compose import compose

    cfg = compose(overrides)
    from blueprint_tune.pipeline import run_experiment

    return run_experiment(cfg, overrides)


def plan(overrides: Sequence[str]) -> Plan:
    """What :func:`run` would do with ``overrides``; starts neither Ray nor a simulator.

    Raises ConfigError naming everything that cannot work.
    """
    from blueprint_tune.config.compose import compose

    cfg = compose(overrides)
    from blueprint_tune.planning.plan import make_plan

    return make_plan(cfg, overrides)


def resume(path: Path | str) -> RunResult:
    """Continue the experiment in the folder ``path``."""
    from blueprint_tune.pipeline import resume_experiment

    return resume_experiment(path)


def batch(overrides: Sequence[str], at_once: int | None = None) -> BatchResult:
    """Run one experiment for each combination of values in ``overrides``, ``at_once`` at most.

    An experiment that fails is a row of the result. Raises BlueprintTuneError when there is nothing to run.
    """
    from blueprint_tune.batches.run import run_batch

    return run_batch(overrides, at_once)
