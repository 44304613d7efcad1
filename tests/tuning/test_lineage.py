"""The copies of a population, written down as they happen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from blueprint_tune.tuning.lineage import Exploit, Lineage, read_lineage, read_origin, write_origin


def told(donor: str, env_steps: int) -> dict[str, Any]:
    change = {"agent.ratio_clip": (0.2, 0.24)}
    in_force = {"agent.ratio_clip": 0.24}
    return {"donor": donor, "env_steps": env_steps, "changed": change, "in_force": in_force}


def test_a_copy_is_written_down_and_read_back(tmp_path: Path) -> None:
    assert read_lineage(tmp_path) == ()
    lineage = Lineage(tmp_path)
    lineage.follow("a", 100, None, None)
    assert not (tmp_path / "lineage.jsonl").exists()
    lineage.follow("b", 200, 150, told("a", 100))
    lineage.follow("b", 300, None, None)
    assert read_lineage(tmp_path) == (
        Exploit("b", "a", 100, 150, {"agent.ratio_clip": (0.2, 0.24)}, {"agent.ratio_clip": 0.24}),
    )


def test_a_trial_that_goes_back_makes_its_copies_again(tmp_path: Path) -> None:
    """After a crash or a kill: the same rule as for its reports, also in another process."""
    first = Lineage(tmp_path)
    first.follow("b", 200, 150, told("a", 100))
    first.follow("b", 400, 350, told("c", 300))
    first.follow("c", 400, 350, told("a", 300))
    again = Lineage(tmp_path)
    again.follow("b", 400, 400, told("c", 300))
    assert [(e.trial, e.env_steps) for e in read_lineage(tmp_path)] == [("b", 100), ("c", 300), ("b", 300)]
    again.follow("b", 200, None, None)
    assert [(e.trial, e.env_steps) for e in read_lineage(tmp_path)] == [("b", 100), ("c", 300)]


def test_a_checkpoint_says_whose_it_is(tmp_path: Path) -> None:
    assert read_origin(tmp_path) is None
    write_origin(tmp_path, "a", {"agent.ratio_clip": np.float64(0.1) + 0.2, "agent.activation": "elu"})
    assert read_origin(tmp_path) == ("a", {"agent.ratio_clip": 0.1 + 0.2, "agent.activation": "elu"})
