"""A small part of ``scripts/bench package-fuzz``, the same each time: every damaged package gets an answer.

How long an answer may take is measured there; here the calls are counted, which depend on no machine.
"""

import sys
import tempfile
from pathlib import Path

import pytest
from benchlib.damage import WAYS, damage
from benchlib.package_fuzz import judge_damaged
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprint_tune.packages.reader import read_package
from blueprint_tune.packages.validate import examine

MOST_CALLS = 10_000_000
"""Of Python and C functions: the densest package that the limits allow takes half of it."""


class Calls:
    """Counts them, and ends what takes too many."""

    def __init__(self):
        self.count = 0

    def __call__(self, frame, event, argument):
        self.count += event.endswith("call")
        if self.count > MOST_CALLS:
            raise AssertionError(f"more than {MOST_CALLS:,} calls")

    def __enter__(self):
        sys.setprofile(self)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_every_damaged_package_gets_an_answer_and_runs_nothing(seed):
    with tempfile.TemporaryDirectory() as root, Calls() as calls:
        case = judge_damaged(Path(root), seed)
    assert case.status in ("0", "1", "2", "refused")
    assert calls.count < MOST_CALLS, case


@pytest.mark.parametrize("way", sorted(WAYS))
def test_each_way_of_damage_changes_the_package(package, tmp_path, monkeypatch, way):
    folder = package()
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    for name in set(WAYS) - {way}:
        monkeypatch.delitem(WAYS, name)
    for seed in range(20):
        assert way in damage(folder, tmp_path / "trap", seed)
    after = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and not p.is_symlink()}
    assert after != before
    assert examine(read_package(folder)).status in (0, 1, 2)
