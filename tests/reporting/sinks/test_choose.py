from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.errors import ConfigError
from blueprint_tune.reporting.job import train_cfg
from blueprint_tune.reporting.sinks.choose import check_sinks, open_sinks

SCENE = "+scene=kitchen_001"


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check_sinks(compose([SCENE, *overrides]))
    return str(caught.value)


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has never logged in anywhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_a_tracker_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("wandb", "mlflow") else there(name)
    )
    assert "pip install 'blueprint-tune[wandb]'" in refusal("logger=wandb")
    assert "pip install 'blueprint-tune[mlflow]'" in refusal("logger=mlflow")


@pytest.mark.usefixtures("nobody")
def test_who_cannot_send_is_told_before_anything_runs() -> None:
    pytest.importorskip("wandb")
    pytest.importorskip("mlflow")
    assert "wandb login" in refusal("logger=wandb") and "logger.wandb.mode=offline" in refusal("logger=wandb")
    assert "logger.mlflow.tracking_uri=http://host:5000" in refusal("logger=mlflow")
    check_sinks(compose([SCENE, "logger=wandb", "logger.wandb.mode=offline"]))
    check_sinks(compose([SCENE, "logger=mlflow", "logger.mlflow.tracking_uri=http://127.0.0.1:9"]))


def test_a_password_in_the_address_is_refused_before_it_is_written_down() -> None:
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        compose([SCENE, "logger=mlflow", "logger.mlflow.tracking_uri=https://me:hunter2@host"])
    assert "hunter2" not in str(caught.value)


def test_tensorboard_alone_opens_nothing(tmp_path: Path) -> None:
    cfg = compose([SCENE])
    check_sinks(cfg)
    open_sinks(cfg, "x", tmp_path / "loggers", print).close()
    assert list(tmp_path.iterdir()) == []


def test_both_trackers_can_be_chosen_and_upstreams_document_says_so() -> None:
    cfg = compose([SCENE, "logger=[wandb,mlflow]", "logger.wandb.project=robots"])
    assert cfg.logger.wandb is not None and cfg.logger.mlflow is not None and cfg.logger.tensorboard
    assert train_cfg(cfg, 100)["logging"]["wandb"] == {"enabled": True, "project": "robots"}
    assert train_cfg(compose([SCENE]), 100)["logging"]["wandb"] == {"enabled": False}
