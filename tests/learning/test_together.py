"""Two processes that train one agent are one training: same starts, same updates, one report."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from blueprint_tune.learning.together import ALONE

SCRIPT = Path(__file__).with_name("two_ranks.py")
ROOT = Path(__file__).parents[2]

Found = dict[str, Any]


@pytest.fixture(scope="module")
def two_ranks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("two_ranks", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, Found]:
    """What two processes found together."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [[sys.executable, str(SCRIPT), str(rank), address, str(folder)] for rank in range(2)]
    running = [subprocess.Popen(w, env=env, stderr=subprocess.PIPE, text=True) for w in words]
    told = [process.communicate(timeout=200)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    first, second = (torch.load(folder / f"rank_{rank}.pt", weights_only=False) for rank in range(2))
    return first, second


@pytest.fixture(scope="module")
def alone(two_ranks: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What one process finds with all environments."""
    found: Found = two_ranks.run(ALONE, tmp_path_factory.mktemp("alone"))
    return found


def test_two_halves_learn_what_the_whole_learns(pair: tuple[Found, Found], alone: Found) -> None:
    """Gradients, advantages, both normalisers and the learning rate are those of all environments."""
    rates = []
    for mine, whole in zip(pair[0]["learned"], alone["learned"], strict=True):
        torch.testing.assert_close(mine["parameters"], whole["parameters"], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(mine["observations"], whole["observations"], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(mine["values"], whole["values"], atol=1e-6, rtol=1e-5)
        assert mine["rate"] == whole["rate"]
        rates.append(mine["rate"])
    assert len(set(rates)) > 1, "the learning rate must have moved for this to mean anything"


def test_after_every_update_both_hold_the_same_to_the_bit(pair: tuple[Found, Found]) -> None:
    prints = [[state["fingerprint"] for state in rank["learned"]] for rank in pair]
    assert prints[0] == prints[1] and len(set(prints[0])) == len(prints[0])
    assert pair[0]["trained"]["fingerprint"] == pair[1]["trained"]["fingerprint"]


def test_their_environments_start_as_those_of_one_process(pair: tuple[Found, Found], alone: Found) -> None:
    starts, whole = [rank["trained"]["starts"] for rank in pair], alone["trained"]["starts"]
    for name in ("observations", "limit"):
        assert torch.equal(torch.cat([s[name] for s in starts]), whole[name]), name
    np.testing.assert_array_equal(np.concatenate([s["slots"] for s in starts]), whole["slots"])
    later = np.concatenate([rank["trained"]["slots"] for rank in pair])
    assert (later > whole["slots"]).all(), "every environment has begun another episode"
    assert len(set(later.tolist())) == len(later) and ((later - whole["slots"]) % len(later) == 0).all()
    assert not torch.equal(*(rank["trained"]["generator"] for rank in pair)), "they explore differently"


def test_they_make_one_report_of_all_episodes(pair: tuple[Found, Found], alone: Found) -> None:
    for first, second, whole in zip(*(found["trained"]["reports"] for found in (*pair, alone)), strict=True):
        assert first.keys() == second.keys() == whole.keys()
        for name in first:
            if not name.startswith("perf/"):
                assert first[name] == second[name] or np.isnan(first[name]), name
        assert (first["env_steps"], first["updates"]) == (whole["env_steps"], whole["updates"])
        assert first["train/episodes"] == whole["train/episodes"]


def test_they_share_the_episodes_that_the_policy_is_selected_by(
    pair: tuple[Found, Found], alone: Found
) -> None:
    both = [slot for rank in pair for slot in rank["trained"]["evaluated"]]
    assert len(alone["trained"]["evaluated"]) == 64, "40 episodes in passes of 32"
    # the last 16 slots lie beyond the 40 episodes: the rank that would play them has nothing to do
    assert sorted(both) == list(range(48))


def test_a_checkpoint_of_two_goes_on_exactly(pair: tuple[Found, Found]) -> None:
    for rank in pair:
        expected, again = rank["trained"]["reports"][1], rank["trained"]["again"]
        for name, value in expected.items():
            assert name.startswith("perf/") or again[name] == value or np.isnan(value), name


def test_drifting_apart_is_noticed_on_both(pair: tuple[Found, Found]) -> None:
    for rank in pair:
        assert "no longer hold the same policy (fingerprints [7, 8])" in rank["drift"]
