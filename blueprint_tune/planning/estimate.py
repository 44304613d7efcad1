"""Minutes, memory and disk of a plan, from what a probe measured or from a first guess."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blueprint_tune.config.compose import apply_overrides
from blueprint_tune.config.schema import AgentConfig, ExperimentConfig
from blueprint_tune.planning.plan import Plan
from blueprint_tune.planning.probe import Measured
from blueprint_tune.tuning import forecast

RAY_BYTES, RAY_TRIAL_BYTES = 900_000_000, 100_000_000
"""Ray's own processes with the driver (resident, summed: the driver 394 MB, agents and servers 507 MB), and
what Ray adds to a trial's process (583 MB against a probe's 488). Measured with Ray 2.60 on Linux, x86_64."""
RAY_START_S = 3.0
"""Starting a private Ray: 2.2 to 3.3 s over 12 runs on a quiet machine."""
_EVALUATION_SPEED = 2.0
"""Evaluation steps about this much faster than training, which also learns."""
_FLOAT_BYTES = 4
_COPIES = 3
"""Of a network in a checkpoint: its weights and Adam's two moments."""


@dataclass(frozen=True)
class Estimate:
    """What a plan would take; None where only a probe could tell.

    Attributes:
        measured: whether a probe measured it. steps_per_s: of all trials at once.
        start_s, search_s, closing_s: to the first env step; training all trials; all that comes after it.
        memory_bytes, disk_bytes: the most at a time. memory_free_bytes, disk_free_bytes: there are.
    """

    measured: bool
    steps_per_s: float
    start_s: float
    search_s: float
    closing_s: float
    memory_bytes: int | None
    memory_free_bytes: int | None
    disk_bytes: int | None
    disk_free_bytes: int

    @property
    def seconds(self) -> float:
        """All of the run."""
        return self.start_s + self.search_s + self.closing_s

    @property
    def problems(self) -> list[str]:
        """What the machine has not enough of."""
        found = []
        if self.memory_bytes and self.memory_free_bytes and self.memory_bytes > self.memory_free_bytes:
            found.append(
                f"Memory: {size(self.memory_bytes)} would be needed, {size(self.memory_free_bytes)} are free."
                " Use fewer environments (backend.num_envs) or trials at once (sweep.concurrent_trials)."
            )
        if self.disk_bytes and self.disk_bytes > self.disk_free_bytes:
            found.append(
                f"Disk: {size(self.disk_bytes)} would be needed, {size(self.disk_free_bytes)} are free. "
                "Choose another output_dir=…, or save less often (budget.checkpoint_every_reports)."
            )
        return found


def estimate(plan: Plan, measured: Sequence[Measured] = ()) -> Estimate:
    """What ``plan`` would take. ``measured``: by the processes of a probe."""
    cfg, at_once = plan.cfg, plan.at_once
    if measured:
        one = sum(m.steps_per_s for m in measured) / len(measured)
        rate = one * at_once
    else:
        rate = forecast.FIRST_GUESS_STEPS_PER_S * min(
            plan.cpus, max(1, int(at_once * plan.fit.cpus_per_trial))
        )
        one = rate / at_once
    build_s = max((m.build_s for m in measured), default=0.0)
    per_trial = cfg.budget.env_steps * forecast.expected_share(cfg)
    within_s = cfg.sweep.time_budget_s or math.inf
    begun = min(plan.num_trials, at_once + within_s * rate / per_trial)
    episode_steps = measured[0].max_episode_steps if measured else None
    trained = begun * per_trial / rate
    longest = cfg.budget.env_steps / one
    selection = 1.0 + cfg.evaluation.selection.max_time_fraction / _EVALUATION_SPEED
    return Estimate(
        measured=bool(measured),
        steps_per_s=rate,
        start_s=max(forecast.START_S, RAY_START_S + build_s),
        search_s=min(
            max(trained, longest) * selection + _first_and_last(cfg, plan, one, begun, measured), within_s
        ),
        closing_s=forecast.closing_s(cfg, rate, episode_steps) + max(0.0, build_s - forecast.START_S),
        memory_bytes=_memory(at_once, measured),
        memory_free_bytes=free_memory(),
        disk_bytes=_disk(plan, begun, measured),
        disk_free_bytes=shutil.disk_usage(_existing(plan.folder)).free,
    )


def _first_and_last(
    cfg: ExperimentConfig, plan: Plan, one: float, begun: float, measured: Sequence[Measured]
) -> float:
    """Seconds of the selection evaluations that every trial has, however short it is."""
    if not measured:
        return 0.0
    passes = math.ceil(cfg.evaluation.selection.episodes / cfg.backend.num_envs)
    steps = 2 * passes * cfg.backend.num_envs * measured[0].max_episode_steps
    return math.ceil(begun / plan.at_once) * steps / (one * _EVALUATION_SPEED)


def _memory(at_once: int, measured: Sequence[Measured]) -> int | None:
    return (
        None if not measured else RAY_BYTES + at_once * (RAY_TRIAL_BYTES + max(m.rss_bytes for m in measured))
    )


def _disk(plan: Plan, begun: float, measured: Sequence[Measured]) -> int | None:
    """Every checkpoint while the search runs, and the best trial's once more where they are published."""
    if not measured:
        return None
    probed = measured[0]
    share = forecast.expected_share(plan.cfg)
    configs = [apply_overrides(plan.cfg, sample) for sample in plan.samples] or [plan.cfg]
    fixed = probed.checkpoint_bytes - _network_bytes(plan.cfg.agent, probed)
    largest = max(fixed + _network_bytes(cfg.agent, probed) for cfg in configs)
    checkpoints = math.ceil(begun * plan.checkpoints * share) + plan.checkpoints
    return largest * checkpoints


def _network_bytes(agent: AgentConfig, probed: Measured) -> int:
    """Of policy and value networks in a checkpoint."""
    policy = _weights([probed.observations, *agent.policy_hidden_dims, probed.actions]) + probed.actions
    value = _weights([probed.observations, *agent.value_hidden_dims, 1])
    return _COPIES * _FLOAT_BYTES * (policy + value)


def _weights(sizes: Sequence[int]) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


def free_memory() -> int | None:
    """Bytes that new processes can have; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if found is None else int(found) * 1024


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def size(number: float) -> str:
    """'840 MB', '1.9 GB'."""
    return f"{number / 1e9:.1f} GB" if number >= 0.995e9 else f"{max(1, round(number / 1e6))} MB"
