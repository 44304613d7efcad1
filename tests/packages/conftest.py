"""Packages as upstream writes them, written by hand: both namespaces, the real and the specified shape."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from benchlib.packages import write_package


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., Path]:
    """package(policy, **changes) -> the folder of a task package under tmp_path/scenes/<policy>/isaac_lab."""
    return partial(write_package, tmp_path)
