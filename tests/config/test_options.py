from __future__ import annotations

import pytest

from blueprint_tune.config.options import split_options
from blueprint_tune.errors import ConfigError

FLAGS, VALUES = ("--once", "--dry-run"), ("--push-port",)


def test_options_may_stand_anywhere_and_overrides_stay_in_order() -> None:
    words = ["a=1", "--once", "~b", "--push-port", "80", "+c=--x", "--push-port=81"]
    assert split_options("watch", words, FLAGS, VALUES) == (
        ["a=1", "~b", "+c=--x"],
        {"--once": "", "--push-port": "81"},
    )
    assert split_options("watch", []) == ([], {})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--onc"], "--onc: watch has no such option.*--once"),
        (["--once=yes"], "--once=yes: watch has no such option"),
        (["-m"], "-m: watch has no such option"),
        (["a=1", "--push-port"], "--push-port needs a value"),
    ],
)
def test_a_wrong_option_is_named(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        split_options("watch", words, FLAGS, VALUES)
