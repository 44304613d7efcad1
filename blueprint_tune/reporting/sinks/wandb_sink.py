"""Weights & Biases: a run for each trial and one for the experiment, all in the experiment's group."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.config.schema import WandbConfig
from blueprint_tune.reporting.sinks.base import EXPERIMENT, Ledger, Told, TrialRun

if TYPE_CHECKING:
    import wandb

_INIT_TIMEOUT_S = 30.0


class WandbSink:
    """Reports over ``env_steps``. Only what it is told goes out: no console, code, git or machine data."""

    def __init__(self, cfg: WandbConfig) -> None:
        self._cfg = cfg
        self._runs: dict[str, wandb.Run] = {}
        self._finished = False

    def open(self, told: Told, ledger: Ledger) -> None:
        """Begin or continue the experiment's own run."""
        self._told, self._ledger = told, ledger
        self._run(EXPERIMENT, told.name, told.settings)

    def report(self, trial: TrialRun, env_steps: int, metrics: Mapping[str, float]) -> None:
        """One row of the trial's history."""
        settings = {**self._told.settings, **trial.sampled, "trial": trial.number}
        run = self._run(trial.trial_id, f"{self._told.name} trial {trial.number}", settings)
        run.log({**metrics, "env_steps": env_steps}, step=env_steps)

    def end(self, trial: TrialRun) -> None:
        """Close the trial's run."""
        if run := self._runs.pop(trial.trial_id, None):
            run.finish(exit_code=0)

    def finish(self, summary: Mapping[str, float | str], artifacts: Sequence[Path]) -> None:
        """Figures go to the experiment's summary, files to an artifact of its name."""
        import wandb

        run = self._runs[EXPERIMENT]
        run.summary.update(dict(summary))
        kept = wandb.Artifact(self._told.name, type="policy")
        for path in artifacts:
            kept.add_file(str(path), policy="immutable")  # where it lies: no copy in the user's home
        run.log_artifact(kept)
        self._finished = True

    def close(self) -> None:
        """Close all runs; those of an unfinished experiment count as interrupted until a resume."""
        while self._runs:
            self._runs.popitem()[1].finish(exit_code=0 if self._finished else 255)

    def _run(self, key: str, name: str, settings: Mapping[str, Any]) -> wandb.Run:
        if key not in self._runs:
            import wandb

            run_id = self._ledger.runs.get(key) or secrets.token_hex(4)
            self._ledger.remember(key, run_id)
            self._runs[key] = wandb.init(
                project=self._cfg.project,
                entity=self._cfg.entity,
                id=run_id,
                name=name,
                group=self._told.name,
                job_type="experiment" if key == EXPERIMENT else "trial",
                tags=[*self._cfg.tags, *self._told.tags.values()],
                config=dict(settings),
                resume="allow",
                reinit="create_new",
                dir=str(self._told.folder),
                settings=_settings(self._cfg.mode),
            )
        return self._runs[key]


def _settings(mode: str) -> wandb.Settings:
    import wandb

    return wandb.Settings(
        mode=mode,
        silent=True,
        console="off",
        save_code=False,
        disable_git=True,
        init_timeout=_INIT_TIMEOUT_S,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
