from __future__ import annotations

from pathlib import Path

import pytest

from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.tuning.ray_state import set_torn_aside

STATE = '{"trial_data": [], "runner_data": {}}'


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name.replace('__', '-')}.json").write_text(text)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_whole_files_stay(tmp_path: Path) -> None:
    write(tmp_path, experiment_state__1=STATE, basic__variant__state__1="{}")
    set_torn_aside(tmp_path)
    assert names(tmp_path) == {"experiment_state-1.json", "basic-variant-state-1.json"}


@pytest.mark.parametrize("length", range(len(STATE)))
def test_wherever_it_was_torn_the_earlier_one_counts(tmp_path: Path, length: int) -> None:
    write(tmp_path, experiment_state__1=STATE, experiment_state__2=STATE[:length])
    set_torn_aside(tmp_path)
    assert names(tmp_path) == {"experiment_state-1.json", "experiment_state-2.json.torn"}


def test_without_an_earlier_one_it_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, experiment_state__1=STATE[:9])
    with pytest.raises(BlueprintTuneError, match=r"state-1\.json\.torn\n.*the search anew"):
        set_torn_aside(tmp_path)
