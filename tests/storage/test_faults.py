"""A few dozen of the thousand faults that ``scripts/bench storage`` injects."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from benchlib.proxy import FAULTS
from benchlib.storage_faults import KILLS, Outcome, break_uploads


@pytest.mark.parametrize("kind", ["gcs", "s3"])
def test_no_half_result_is_seen_and_every_retry_ends_complete(
    kind: str, started: Callable[[str], Any]
) -> None:
    outcome = break_uploads(started(kind), wanted=18, seed=5, outcome=Outcome(), prefix=uuid.uuid4().hex)
    assert (outcome.half, outcome.lost, outcome.gave_up) == ([], [], 0)
    assert outcome.faults.total() == 18 and set(outcome.faults) == {*FAULTS, *KILLS}
    assert outcome.runs > outcome.published >= 1
    assert outcome.looks >= 1
