"""Leaderboards from folders, and what is said about earlier batches."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint_tune.batches.board import batch_board, folder_board, write_board
from blueprint_tune.batches.record import BatchFolder, BatchRecord, Item, Refused, open_batch
from blueprint_tune.batches.standing import place, read_config, read_standing
from blueprint_tune.errors import ConfigError

REFUSED = Refused(["policy=fly"], {"policy": "fly"}, "no role 'wing' & no <b>air</b>", True)


def item(path: Path, **axes: str) -> Item:
    standing = read_standing(path)
    assert standing is not None
    return Item(
        path.name, [], axes, place(read_config(path)), f"../../{path.name}", standing.input_hash, "finished"
    )


def batch(tmp_path: Path, created: str, *items: Item, refused: tuple[Refused, ...] = ()) -> BatchFolder:
    record = BatchRecord("", [], list(items), list(refused), created, ended=created)
    folder, record = open_batch(tmp_path / "out", f"batch{created[:4]}", record)
    folder.write(record)
    write_board(batch_board(folder, record), folder.path)
    return folder


def changes(folder: BatchFolder) -> dict[str, tuple[str, str]]:
    rows = json.loads(folder.board.read_text())["rows"]
    return {row["name"]: (row["change"]["kind"], row["change"]["text"]) for row in rows}


def test_each_experiment_against_the_last_batch_that_had_it(
    experiment: Callable[..., Path], tmp_path: Path
) -> None:
    drawer, door, knob = (f"policy={name}_manipulation" for name in ("drawer", "door", "knob"))
    first = [
        item(experiment("drawer1", drawer, successes=50)),
        item(experiment("door1", door, successes=50)),
        item(experiment("pick1", successes=50)),
    ]
    assert set(changes(batch(tmp_path, "2030", *first)).values()) == {("new", "no earlier batch has it")}
    second = [
        item(experiment("drawer2", drawer, "agent.learning_rate=1e-4", successes=80, input_hash="b" * 12)),
        item(experiment("door2", door, successes=55, input_hash="b" * 12)),
        first[2],
        item(experiment("knob2", knob, successes=1)),
    ]
    folder = batch(tmp_path, "2031", *second)
    assert changes(folder) == {
        "drawer2": ("better", "50% → 80%; 1 setting changed"),
        "door2": ("same", "50% → 55%, no difference beyond chance; settings or scene changed"),
        "pick1": ("offered", "same input, so the same result"),
        "knob2": ("new", "no earlier batch has it"),
    }
    best = json.loads(folder.board.read_text())["rows"][0]
    assert best["name"] == "drawer2" and best["change"]["batch"] == "batch2030"
    assert best["change"]["settings"] == {"agent.learning_rate": [4.5e-4, 1e-4]}


def test_axes_keep_experiments_apart(experiment: Callable[..., Path], tmp_path: Path) -> None:
    rates = {rate: experiment(f"rate{rate}", successes=90, input_hash=rate * 12) for rate in "12"}
    batch(tmp_path, "2030", *(item(path, rate=rate) for rate, path in rates.items()))
    worse = experiment("again", successes=10, input_hash="3" * 12)
    assert changes(batch(tmp_path, "2031", item(worse, rate="2"))) == {
        "again": ("worse", "90% → 10%; settings or scene changed")
    }
    assert changes(batch(tmp_path, "2032", item(worse, rate="3")))["again"][0] == "new"


def test_a_folders_board_has_every_experiment_the_best_first(
    experiment: Callable[..., Path], tmp_path: Path
) -> None:
    experiment("low", successes=10)
    experiment("aborted")
    experiment("high", successes=95)
    experiment("old.replaced-20300101", successes=100)
    board = folder_board([tmp_path / "out"])
    assert [(row["name"], row["state"]) for row in board["rows"]] == [
        ("high", "finished"),
        ("low", "finished"),
        ("aborted", "interrupted"),
    ]
    assert folder_board([tmp_path / "out/low", tmp_path / "out/high"])["rows"][0]["name"] == "high"
    with pytest.raises(ConfigError, match="no experiment here"):
        folder_board([tmp_path / "out/low/trials"])


def test_the_page_needs_no_network_and_escapes_what_it_shows(
    experiment: Callable[..., Path], tmp_path: Path
) -> None:
    path = experiment("one", successes=90)
    html = batch(tmp_path, "2030", item(path), refused=(REFUSED,)).page.read_text()
    script = html.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "addEventListener" in script and f"script-src 'sha256-{digest}'" in html
    assert not re.search(r"(src|href)=\"(https?:)?//", html)
    assert "no role &#39;wing&#39; &amp; no &lt;b&gt;air&lt;/b&gt;" in html and "refused" in html
    assert "90% (83–94%)" in html and "left: 82.6%; width: 11.9%" in html
    assert "agent.learning_rate = 0.001" in html


def test_a_batch_goes_on_where_its_like_was_not_ended(tmp_path: Path) -> None:
    def record(name: str) -> BatchRecord:
        return BatchRecord("", [], [Item(name, [], {}, {}, f"../../{name}", "")], [])

    folder, first = open_batch(tmp_path, None, record("one"))
    folder.write(first)
    again, second = open_batch(tmp_path, None, record("one"))
    assert (again, second.name, second.created) == (folder, first.name, first.created)
    second.ended = "2030"
    folder.write(second)
    other, third = open_batch(tmp_path, "mine", record("one"))
    assert other != folder and third.name == "mine"
    other.write(third)
    with pytest.raises(ConfigError, match="'mine' is taken"):
        open_batch(tmp_path, "mine", record("two"))
