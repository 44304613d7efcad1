"""From the settings under ``logger`` to trackers, refusing at once what cannot work."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from blueprint_tune.config.compose import to_dict
from blueprint_tune.config.public import public_settings
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.reporting.sinks.base import MetricSink, Told
from blueprint_tune.reporting.sinks.sinks import Sinks


def check_sinks(cfg: ExperimentConfig) -> None:
    """Raises ConfigError for a tracker that is not installed, or does not know where to send or who asks."""
    for name in ("wandb", "mlflow"):
        if getattr(cfg.logger, name) is not None and importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"logger={name} needs the package {name}, which is not installed. Install it with"
                f"  pip install 'blueprint-tune[{name}]'  or leave the logger at tensorboard."
            )
    if cfg.logger.wandb is not None and cfg.logger.wandb.mode == "online" and not _logged_in():
        raise ConfigError(
            "logger=wandb: nobody is logged in to Weights & Biases here. Run  wandb login  or set"
            " WANDB_API_KEY; or add logger.wandb.mode=offline and send the runs later with  wandb sync."
        )
    if cfg.logger.mlflow is not None and not (
        cfg.logger.mlflow.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    ):
        raise ConfigError(
            "logger=mlflow needs the address of a tracking server: logger.mlflow.tracking_uri=http://host:5000"
            " or MLFLOW_TRACKING_URI. One on this machine is started with  mlflow server."
        )


def _logged_in() -> bool:
    """Whether there are credentials; asks nobody."""
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    return bool(wandb.login(prompt=False, verify=False))


def open_sinks(cfg: ExperimentConfig, name: str, folder: Path, note: Callable[[str], None]) -> Sinks:
    """The trackers that ``cfg.logger`` names, opened; ``folder`` keeps the ids of their runs.

    Call :func:`check_sinks` first. ``note`` shows a sentence to the user.
    """
    sinks: dict[str, MetricSink] = {}
    if cfg.logger.wandb is not None:
        from blueprint_tune.reporting.sinks.wandb_sink import WandbSink

        sinks["wandb"] = WandbSink(cfg.logger.wandb)
    if cfg.logger.mlflow is not None:
        from blueprint_tune.reporting.sinks.mlflow_sink import MlflowSink

        sinks["mlflow"] = MlflowSink(cfg.logger.mlflow)
    tags = {
        "scene": cfg.scene.id,
        "policy": cfg.policy.name,
        "robot": cfg.robot.name,
        "sweep": cfg.sweep.name,
    }
    return Sinks(sinks, Told(name, folder, public_settings(to_dict(cfg)), tags), note)
