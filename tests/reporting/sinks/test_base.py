from __future__ import annotations

from pathlib import Path

import pytest

from blueprint_tune.config.compose import compose, to_dict
from blueprint_tune.reporting.sinks.base import EXPERIMENT, Ledger, public_settings


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    ledger = Ledger.read(tmp_path / "loggers/wandb.json")
    ledger.remember(EXPERIMENT, "x1")
    ledger.remember("a_0", "x2")
    ledger.has_sent("a_0", 512)
    again = Ledger.read(ledger.path)
    assert again == ledger
    assert not again.is_new("a_0", 512) and again.is_new("a_0", 513) and again.is_new("a_1", 0)
    assert [path.name for path in ledger.path.parent.iterdir()] == ["wandb.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"runs": 3}', '{"runs": {}, "sent": 3}'])
def test_a_damaged_ledger_begins_anew(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wandb.json"
    path.write_text(text)
    assert Ledger.read(path) == Ledger(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cluster.runtime_env.env_vars.HARMLESS", "hunter2"),
        ("storage.api_key", "hunter2"),
        ("storage.root", "https://me:hunter2@host/path"),
        ("storage.root", "https://bucket/o?X-Amz-Signature=hunter2"),
        ("scene.manifest", "https://bucket/o?sig=hunter2"),
        ("my.password", "hunter2"),
    ],
)
def test_secrets_are_hidden(key: str, value: str) -> None:
    tree: object = value
    for part in reversed(key.split(".")):
        tree = {part: tree}
    assert isinstance(tree, dict)
    assert public_settings(tree) == {key: "(hidden)"}


def test_of_a_plain_experiment_nothing_is_hidden() -> None:
    settings = public_settings(
        to_dict(compose(["+scene=kitchen_001", "sweep=asha", "storage.root=gs://bucket/x"]))
    )
    assert "(hidden)" not in settings.values()
    assert settings["storage.root"] == "gs://bucket/x"
    assert settings["agent.learning_rate"] == 0.00045 or settings["agent.learning_rate"] > 0
