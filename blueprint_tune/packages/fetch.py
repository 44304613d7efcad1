"""A package's folder on this machine: where it is, or a copy of what lies in a bucket."""

from __future__ import annotations

from pathlib import Path


def is_uri(place: str) -> bool:
    """Whether ``place`` is in a bucket."""
    return "://" in place


def local_package(place: str) -> Path:
    """The folder of a package."""
    return Path(place)
