from __future__ import annotations

from typing import Any

import pytest

from blueprint_tune.config.compose import compose, to_dict
from blueprint_tune.config.public import public, public_settings


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


@pytest.mark.parametrize(
    ("tree", "shown"),
    [
        ({"x": [{"token": "hunter2", "y": 1}]}, {"x": [{"token": "(hidden)", "y": 1}]}),
        ({"x": [["https://me:hunter2@host"], "https://host"]}, {"x": [["(hidden)"], "https://host"]}),
        ({"secrets": ["hunter2", {"a": [2]}, None]}, {"secrets": ["(hidden)", {"a": ["(hidden)"]}, None]}),
        ({"my.password": ("old", 2)}, {"my.password": ("(hidden)", "(hidden)")}),
        (
            {"env": ["API_TOKEN=hunter2", "OMP_NUM_THREADS=2"]},
            {"env": ["API_TOKEN=(hidden)", "OMP_NUM_THREADS=2"]},
        ),
    ],
)
def test_secrets_are_hidden_at_any_depth(tree: dict[str, Any], shown: dict[str, Any]) -> None:
    assert public(tree) == shown == public(shown)


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (
            "+cluster.runtime_env.env_vars.API_TOKEN=hunter2",
            "+cluster.runtime_env.env_vars.API_TOKEN=(hidden)",
        ),
        ("cluster.runtime_env={env_vars:{A:hunter2}}", "cluster.runtime_env=(hidden)"),
        ("storage.endpoint=http://u:hunter2@host", "storage.endpoint=(hidden)"),
        ("scene.manifest=https://host/o?sig=hunter2", "scene.manifest=(hidden)"),
        ("name=token-test", "name=token-test"),
        ("searchspace=[ppo_core,network]", "searchspace=[ppo_core,network]"),
        ("https://host/o?a=b", "https://host/o?a=b"),
    ],
)
def test_an_override_keeps_its_key_and_loses_its_secret(word: str, shown: str) -> None:
    assert public([word]) == [shown]
