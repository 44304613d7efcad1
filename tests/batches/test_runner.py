from __future__ import annotations

import pytest

from blueprint_tune.batches.runner import share


@pytest.mark.parametrize(
    ("cpus", "waiting", "shares"),
    [
        (16, 5, [4, 3, 3, 3, 3]),
        (2, 5, [1, 1]),
        (8, 1, [8]),
        (3, 2, [2, 1]),
    ],
)
def test_free_cpus_are_shared_by_all_that_wait_and_never_given_twice(
    cpus: int, waiting: int, shares: list[int]
) -> None:
    given: list[int] = []
    while waiting and (next_share := share(cpus - sum(given), waiting, 1)):
        given.append(next_share)
        waiting -= 1
    assert given == shares


def test_one_that_needs_more_waits_for_it() -> None:
    assert share(2, 3, least=4) == 0
    assert share(6, 3, least=4) == 4
