from __future__ import annotations

from pathlib import Path

import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.config.paths import CONF_ENV
from blueprint_tune.config.schema import ExperimentConfig


@pytest.fixture(autouse=True)
def _no_user_conf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONF_ENV, raising=False)


@pytest.fixture(scope="session")
def config() -> ExperimentConfig:
    """The README's command: 32 environments, 16 env steps a rollout, 4 minibatches."""
    return compose(["+scene=kitchen_001", "sweep=asha", "preset=smoke"])


@pytest.fixture
def user_conf(tmp_path: Path) -> Path:
    """A user's own repository with a folder of configuration files, at a path with a space."""
    folder = tmp_path / "my repo" / "conf"
    (folder / "policy").mkdir(parents=True)
    return folder
