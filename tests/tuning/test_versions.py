"""Going on with what another version began."""

from __future__ import annotations

from pathlib import Path

import pytest

from blueprint_tune.config.identity import provenance
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.versions import check_versions


def test_the_same_versions_go_on_and_changed_code_is_said(tmp_path: Path) -> None:
    saved = provenance()
    assert check_versions(saved, tmp_path) is None
    told = check_versions({**saved, "code_digest": "0" * 12}, tmp_path)
    assert told is not None and "code has changed" in told


def test_other_versions_are_refused_naming_them_all(tmp_path: Path) -> None:
    saved = provenance()
    saved |= {"blueprint_tune": "0.0.1", "libraries": {**saved["libraries"], "torch": "1.13"}}
    with pytest.raises(
        ConfigError, match=r"blueprint-tune 0\.0\.1, now .*; torch 1\.13, now .*name="
    ) as error:
        check_versions(saved, tmp_path)
    assert "mujoco" not in str(error.value) and str(tmp_path) in str(error.value)
