"""Where a search's trials lie: in the experiment's folder, or in one that all nodes of a cluster see.

In the second case the experiment's ``trials`` is a link to it, so that whoever reads an experiment finds
everything where it always is.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from blueprint_tune.config.schema import ClusterConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.folder import ExperimentFolder


def place_trials(cluster: ClusterConfig, folder: ExperimentFolder) -> Path:
    """The folder that the trials' processes are told: the real one, not a link that other nodes lack.

    Raises ConfigError if ``cluster.storage_path`` cannot be written.
    """
    if not folder.trials.is_symlink() and not folder.trials.exists() and cluster.storage_path is not None:
        # a later experiment of the same name must not find this one's trials
        stamp = re.sub(r"\D", "", str(folder.tree()["created"]).partition("+")[0])
        _link(folder, Path(cluster.storage_path).expanduser().absolute() / f"{folder.name}-{stamp}")
    return _real(folder)


def _real(folder: ExperimentFolder) -> Path:
    return folder.trials.resolve() if folder.trials.is_symlink() else folder.trials


def _link(folder: ExperimentFolder, target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cluster.storage_path={target.parent} cannot be written ({error.strerror or error}). "
            "Name a folder that this process and every node of the cluster may write to."
        ) from error
    folder.trials.symlink_to(target, target_is_directory=True)


def clear_trials(folder: ExperimentFolder) -> None:
    """Delete what earlier processes left of the trials, wherever it lies."""
    real = _real(folder)
    shutil.rmtree(real, ignore_errors=True)
    if real != folder.trials:
        real.mkdir(parents=True, exist_ok=True)
