"""Emulators, each started once a session and behind a proxy that enforces what it forgets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

SCRIPTS = str(Path(__file__).resolve().parents[2] / "scripts")
if SCRIPTS not in sys.path:
    sys.path.insert(0, SCRIPTS)

from benchlib.buckets import CREDENTIALS, Bucket, bucket  # noqa: E402


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], Bucket]]:
    """started(kind) -> the session's emulator of that kind."""
    running: dict[str, Bucket] = {}
    with ExitStack() as stack:

        def start(kind: str) -> Bucket:
            if kind not in running:
                running[kind] = stack.enter_context(bucket(kind))
            return running[kind]

        yield start


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that only an emulator takes; nothing of the user's own cloud is ever used."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for name in (
        "STORAGE_EMULATOR_HOST",
        "AWS_ENDPOINT_URL",
        "AWS_PROFILE",
        "GOOGLE_APPLICATION_CREDENTIALS",
    ):
        monkeypatch.delenv(name, raising=False)
