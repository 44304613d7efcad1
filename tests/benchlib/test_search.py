from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from benchlib import search

SWEEP = {
    "winner": {"agent.learning_rate": 0.00171, "agent.discount_factor": 0.99},
    "winning_trial": 1,
    "trials": 6,
    "env_steps": 3_500_000,
    "seconds": 450.0,
    "cpus": 8,
    "machine": "a processor",
}


def options(results: Path, **more: Any) -> argparse.Namespace:
    defaults = {"policies": ["pallet_handling"], "seeds": [11, 12], "sweep": "asha", "preset": "quick"}
    given = {
        **defaults,
        "cpus": 2,
        "minutes": 30.0,
        "results": results,
        "work": results,
        "sweeps_only": False,
    }
    return argparse.Namespace(**{**given, **more})


def test_pairs_are_the_same_seed_and_start() -> None:
    found = search.paired({"11": "0011", "12": "00"}, {"11": "0111", "13": "11"})
    assert found is not None
    difference, low, high = found
    assert difference == 0.25, "seed 11 alone has both, and one of its four starts differs"
    assert low < 0.25 < high
    assert search.paired({"11": "01"}, {"12": "01"}) is None
    assert search.paired({}, {}) is None


def test_a_clear_difference_is_one() -> None:
    default, winner = {"11": "0" * 40 + "1" * 60}, {"11": "1" * 95 + "0" * 5}
    found = search.paired(default, winner)
    assert found is not None
    assert found[0] == pytest.approx(0.35)
    assert found[1] > 0.2


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that was measured is not run again; the winner's settings are handed on as they were."""
    begun = {"pallet_handling": {"sweep": SWEEP, "default": {"11": "01" * 50}, "winner": {"11": "11" * 50}}}
    (tmp_path / "search.json").write_text(json.dumps(begun))
    asked: list[list[str]] = []

    def run(words: list[str]) -> SimpleNamespace:
        asked.append(words)
        rows = [{"seed": 42, "slot": slot, "success": slot > 4} for slot in (9, 0, 5)]
        (tmp_path / "evaluation").mkdir(exist_ok=True)
        (tmp_path / "evaluation/eval_results.json").write_text(json.dumps({"episodes": rows}))
        return SimpleNamespace(path=tmp_path)

    monkeypatch.setattr(search.blueprint_tune, "run", run)
    search.run(options(tmp_path), ["scripts/bench", "search"])
    found = json.loads((tmp_path / "search.json").read_text())["pallet_handling"]
    assert found["default"] == {"11": "01" * 50, "12": "011"}
    assert found["winner"]["12"] == "011"
    assert [("seed=12" in words, "agent.learning_rate=0.00171" in words) for words in asked] == [
        (True, False),
        (True, True),
    ]
    text = (tmp_path / "search.md").read_text()
    assert "| `pallet_handling` | 6 | 3.5 M | 7.5 min on 8 CPUs of a processor |" in text
    assert "learning_rate 0.00171, discount_factor 0.99" in text
    assert "| `pallet_handling` | 0.50 0.67 | 1.00 0.67 | +0.49 " in text


def test_a_winner_with_the_default_settings_is_called_that(tmp_path: Path) -> None:
    found = {"general_manipulation": {"sweep": {**SWEEP, "winning_trial": 0}}}
    (tmp_path / "search.json").write_text(json.dumps(found))
    search.run(options(tmp_path, policies=["general_manipulation"], sweeps_only=True), ["scripts/bench"])
    assert "the default settings |\n" in (tmp_path / "search.md").read_text()
