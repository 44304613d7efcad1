"""docs/policies.md: every policy type with its roles, success, rewards and what was measured."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from benchlib import policies
from benchlib.readme import policy_types
from benchlib.table import Cell, write_cells

from blueprint_tune.errors import SimulatorError

TYPE = "panel_interaction"


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setattr(policies, "policy_types", lambda: [TYPE])
    return SimpleNamespace(results=tmp_path, document=tmp_path / "policies.md", films=tmp_path / "policies")


def drawn(options):
    try:
        policies.run(options, ["scripts/bench", "policies"])
    except SimulatorError as error:
        pytest.skip(str(error).splitlines()[0])
    return options.document.read_text()


def test_what_nobody_measured_is_said(options):
    text = drawn(options)
    assert "Not measured yet." in text
    assert f"### {TYPE}\n" in text and "| `button` |" in text
    assert "`sequence_completed`" in text
    assert (options.films / f"{TYPE}.png").stat().st_size > 3000
    assert ".svg" not in text and ".gif" not in text


def test_what_was_measured_is_shown(options):
    curve = ((1000.0, 0.1), (2000.0, 0.9))
    cells = {1: Cell(1, 95, 100, 0.0, 0.01, 2_000_000, 120.0, "abc", "f00", 1, curve)}
    write_cells(options.results / "learning.json", {TYPE: cells})
    options.films.mkdir()
    (options.films / f"{TYPE}.gif").write_bytes(b"GIF89a")
    text = drawn(options)
    assert "**95%** success (89% to 98%) over 100 episodes of 1 training of 2.0 M env steps, " in text
    assert " 2.0 minutes on 1 CPU; " in text
    assert f"policies/{TYPE}.gif" in text and f"policies/{TYPE}.svg" in text
    assert "seed 1: from 0.1 to 0.9" in (options.films / f"{TYPE}.svg").read_text()


def test_conditions_within_terms_are_spelt_out():
    entry = {
        "term": "condition_met",
        "weight": 4.0,
        "condition": {"term": "all_of", "conditions": {"up": {"term": "upright", "tilt_rad": 0.25}}},
    }
    assert policies._said(entry) == "`condition_met` (where `upright` (tilt_rad 0.25))"


def test_the_shipped_document_has_every_policy_type():
    document = Path(policies.ROOT) / "docs" / "policies.md"
    text = document.read_text()
    assert [name for name in policy_types() if f"### {name}\n" not in text] == []
