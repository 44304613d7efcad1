"""A small race; ``scripts/bench storage`` runs 20 processes for 200 keys."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchlib.storage_claims import race

from blueprint_tune.storage.base import Requests


@pytest.mark.parametrize("kind", ["local", "gcs", "s3"])
def test_every_key_has_one_winner(kind: str, started: Callable[[str], Any], tmp_path: Path) -> None:
    if kind == "local":
        uri, requests = str(tmp_path / "store"), Requests()
    else:
        server = started(kind)
        uri, requests = str(server.root(uuid.uuid4().hex)), server.requests()
    ended = race(uri, requests, processes=4, keys=12)
    assert len(ended.winners) == 12 and set(ended.winners.values()) == {1}
    assert ended.wrong == []
