"""MLflow: a run for the experiment, and within it one for each trial."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.config.schema import MlflowConfig
from blueprint_tune.reporting.sinks.base import EXPERIMENT, Ledger, Told, TrialRun
from blueprint_tune.reporting.views import setting

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PARAMS_AT_ONCE = 100
"""As many the server takes in one request."""
_PARAM_LENGTH = 6000
_PARENT = "mlflow.parentRunId"
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Unless the user sets them: MLflow's own defaults wait for minutes, and print into the table of trials."""


class MlflowSink:
    """Metrics have env steps as their step; settings are parameters, the report and policy artifacts."""

    def __init__(self, cfg: MlflowConfig) -> None:
        self._cfg = cfg
        self._open: set[str] = set()
        self._finished = False

    def open(self, told: Told, ledger: Ledger) -> None:
        """Begin or continue the experiment's run."""
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self._told, self._ledger = told, ledger
        self._client: MlflowClient = MlflowClient(self._cfg.tracking_uri)
        known = self._client.get_experiment_by_name(self._cfg.experiment)
        self._experiment_id = (
            known.experiment_id if known else self._client.create_experiment(self._cfg.experiment)
        )
        self._run(EXPERIMENT, told.name, told.settings)

    def report(self, trial: TrialRun, env_steps: int, metrics: Mapping[str, float]) -> None:
        """All metrics of a report in one request."""
        from mlflow.entities import Metric

        run_id = self._run(trial.trial_id, f"{self._told.name} trial {trial.number}", trial.sampled)
        now = int(1000 * time.time())
        self._client.log_batch(run_id, [Metric(key, value, now, env_steps) for key, value in metrics.items()])

    def end(self, trial: TrialRun) -> None:
        """Close the trial's run."""
        self._terminate(trial.trial_id, "FINISHED")

    def finish(self, summary: Mapping[str, float | str], artifacts: Sequence[Path]) -> None:
        """Figures and files go to the experiment's run."""
        run_id = self._ledger.runs[EXPERIMENT]
        for key, value in summary.items():
            if isinstance(value, str):
                self._client.set_tag(run_id, key, value)
            else:
                self._client.log_metric(run_id, key, value)
        for path in artifacts:
            self._client.log_artifact(run_id, str(path))
        self._finished = True

    def close(self) -> None:
        """Close all runs; those of an unfinished experiment count as killed until a resume."""
        for key in sorted(self._open):
            self._terminate(key, "FINISHED" if self._finished else "KILLED")

    def _terminate(self, key: str, status: str) -> None:
        if key in self._open:
            self._open.remove(key)
            self._client.set_terminated(self._ledger.runs[key], status)

    def _run(self, key: str, name: str, settings: Mapping[str, Any]) -> str:
        """The id of a trial's or the experiment's run, which is running."""
        if key not in self._open:
            if key in self._ledger.runs:
                self._client.update_run(self._ledger.runs[key], status="RUNNING")
            else:
                self._ledger.remember(key, self._create(key, name))
                self._settings(self._ledger.runs[key], settings)
            self._open.add(key)
        return self._ledger.runs[key]

    def _create(self, key: str, name: str) -> str:
        tags = {**self._told.tags, **self._cfg.tags}
        if key != EXPERIMENT:
            tags[_PARENT] = self._ledger.runs[EXPERIMENT]
        run = self._client.create_run(self._experiment_id, run_name=name, tags=tags)
        return str(run.info.run_id)

    def _settings(self, run_id: str, settings: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(key, setting(value)[:_PARAM_LENGTH]) for key, value in settings.items()]
        for batch in _batches(params, _PARAMS_AT_ONCE):
            self._client.log_batch(run_id, params=batch)


def _batches(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
