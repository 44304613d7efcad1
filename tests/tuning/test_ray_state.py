from __future__ import annotations

import os
import pickle
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.tuning.ray_state import KEPT, RayState, mend

STATE = '{"trial_data": [], "runner_data": {}}'


def write(folder: Path, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '-')}.json"
        path.write_text(text)
        os.utime(
            path, ns=(0, 1_700_000_000 * 10**9 + zlib.crc32(text.encode()))
        )  # two writes within a tick of the clock are two


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    (tmp_path / "trials").mkdir()
    return tmp_path / "trials"


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path / "staging"


def step(state: RayState, staging: Path) -> None:
    trial = SimpleNamespace(storage=SimpleNamespace(experiment_driver_staging_path=str(staging)))
    state.on_step_end(1, [trial])


def test_what_was_staged_replaces_torn_files_and_files_of_another_moment(trials: Path, staging: Path) -> None:
    state = RayState(trials)
    write(staging, experiment_state__1='{"trials": 1}', basic__variant__state__1='{"next": 1}')
    (staging / "searcher-state-1.pkl").write_bytes(pickle.dumps({"next": 1}))
    step(state, staging)
    write(staging, experiment_state__1='{"trials": 2}', basic__variant__state__1='{"next": 2}')
    step(state, staging)
    write(trials, experiment_state__1='{"tri', basic__variant__state__1='{"next": 1}')
    mend(trials)
    assert (trials / "experiment_state-1.json").read_text() == '{"trials": 2}'
    assert (trials / "basic-variant-state-1.json").read_text() == '{"next": 2}'
    assert pickle.loads((trials / "searcher-state-1.pkl").read_bytes()) == {"next": 1}


def test_nothing_is_kept_before_ray_has_staged_a_record(trials: Path, staging: Path) -> None:
    state = RayState(trials)
    state.on_step_end(1, [])
    write(staging, basic__variant__state__1="{}")
    step(state, staging)
    assert names(trials) == set()


def test_a_record_is_kept_once(trials: Path, staging: Path) -> None:
    state = RayState(trials)
    write(staging, experiment_state__1=STATE)
    step(state, staging)
    (trials / KEPT).unlink()
    step(state, staging)
    assert names(trials) == set(), "nothing new was staged"
    assert isinstance(pickle.loads(pickle.dumps(state)), RayState), "Ray pickles callbacks"


def test_what_ray_is_still_writing_is_not_kept(trials: Path, staging: Path) -> None:
    write(staging, experiment_state__1=STATE)
    (staging / ".4f2c-tmp-basic-variant-state-1.json").symlink_to("gone")
    step(RayState(trials), staging)
    assert names(trials) == {KEPT}


def test_a_copy_that_cannot_be_written_ends_no_search(trials: Path, staging: Path) -> None:
    write(staging, experiment_state__1=STATE)
    trials.rmdir()
    state = RayState(trials)
    step(state, staging)
    trials.mkdir()
    step(state, staging)
    assert names(trials) == {KEPT}, "tried again"


def test_without_a_kept_record_whole_files_stay(trials: Path) -> None:
    write(trials, experiment_state__1=STATE, basic__variant__state__1="{}")
    mend(trials)
    assert names(trials) == {"experiment_state-1.json", "basic-variant-state-1.json"}


@pytest.mark.parametrize("length", [0, 1, 9, len(STATE) - 1])
def test_wherever_it_was_torn_the_earlier_one_counts(trials: Path, length: int) -> None:
    write(trials, experiment_state__1=STATE, experiment_state__2=STATE[:length])
    mend(trials)
    assert names(trials) == {"experiment_state-1.json", "experiment_state-2.json.torn"}


def test_without_an_earlier_one_it_says_what_to_do(trials: Path) -> None:
    write(trials, experiment_state__1=STATE[:9])
    with pytest.raises(BlueprintTuneError, match=r"state-1\.json\.torn\n.*the search anew"):
        mend(trials)
