"""A whole run, published into buckets as a user would: storage=gcs, then the same result into storage=s3."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import blueprint_tune
from blueprint_tune.errors import StorageError
from blueprint_tune.storage.path import open_path

TRAINING = "scenes/kitchen_001/rl_training"


def overrides(folder: Path, *storage: str) -> list[str]:
    sizes = [
        "backend=pointmass",
        "backend.num_envs=16",
        "agent.rollouts=16",
        "evaluation.selection.episodes=2",
    ]
    budget = ["budget.env_steps=512", "budget.report_env_steps=256", "name=published"]
    task = [
        "+scene=kitchen_001",
        "policy=dexterous_pick_place",
        "preset=smoke",
        f"output_dir={folder / 'out'}",
    ]
    return [*task, *sizes, *budget, *storage]


class Wire:
    """What goes over the wire; may break some of it."""

    def __init__(self, *faults: str) -> None:
        self.faults = list(faults)
        self.written: list[str] = []

    def __call__(self, method: str, path: str, size: int) -> str | None:
        if method not in ("PUT", "POST"):
            return None
        self.written.append(unquote(urlsplit(path).path))
        return self.faults.pop(0) if self.faults and len(self.written) % 5 == 0 else None


@pytest.fixture(scope="module")
def finished(
    local_ray: None, tmp_path_factory: pytest.TempPathFactory, started: Callable[[str], Any]
) -> tuple[Path, Any]:
    """The one run, into gs://."""
    folder = tmp_path_factory.mktemp("published")
    server = started("gcs")
    server.proxy.plan = Wire("503", "reset after", "truncated", "reset before")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.proxy.url)
        result = blueprint_tune.run(overrides(folder, "storage=gcs", "storage.root=gs://bkt/e2e"))
    assert not server.proxy.plan.faults
    server.proxy.plan = lambda *request: None
    return folder, result


def test_a_run_publishes_into_gcs_whole(finished: tuple[Path, Any], started: Callable[[str], Any]) -> None:
    result = finished[1]
    assert result.published.root == f"gs://bkt/e2e/{TRAINING}"
    root = started("gcs").root(f"e2e/{TRAINING}")
    names = root.walk()
    for name in (
        ".rl_training_complete",
        "jobs/published/.complete",
        "jobs/published/checkpoints/checkpoint_final.pt",
        "policies/published/policy.onnx",
        "evaluations/eval_published/report.html",
    ):
        assert name in names
    bundle = result.path / "bundle"
    for file in bundle.iterdir():
        assert (root / f"policies/published/{file.name}").read_bytes() == file.read_bytes()
    marker = json.loads((root / ".rl_training_complete").read_text())
    assert marker["status"] == "completed" and list(marker["policies"]) == ["published"]


def test_the_same_run_again_finds_it_there(
    finished: tuple[Path, Any], started: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = started("gcs")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.proxy.url)
    server.proxy.plan = wire = Wire()
    again = blueprint_tune.run(overrides(finished[0], "storage=gcs", "storage.root=gs://bkt/e2e"))
    assert wire.written == [] and again.published == finished[1].published


def test_the_same_result_into_s3_with_its_markers_last(
    finished: tuple[Path, Any], started: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = started("s3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.proxy.url)
    server.proxy.plan = wire = Wire("503", "reset after", "truncated", "reset before")
    result = blueprint_tune.run(overrides(finished[0], "storage=s3", "storage.root=s3://bkt/e2e"))
    server.proxy.plan = lambda *request: None
    assert not wire.faults and result.published.root == f"s3://bkt/e2e/{TRAINING}"
    assert wire.written[-1].endswith("/.rl_training_complete")
    assert wire.written[-2].endswith("/jobs/published/.complete")
    root = server.root(f"e2e/{TRAINING}")
    assert root.walk() == started("gcs").root(f"e2e/{TRAINING}").walk()


def test_a_bucket_that_is_missing_is_said_before_anything_runs(
    tmp_path: Path, started: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", started("s3").proxy.url)
    with pytest.raises(StorageError, match="s3://nowhere: .*there is no such bucket"):
        blueprint_tune.run(overrides(tmp_path, "storage=s3", "storage.root=s3://nowhere/x"))
    assert not list(tmp_path.glob("out/*/trials/*/"))


def test_a_published_bundle_comes_down_whole(
    finished: tuple[Path, Any], started: Callable[[str], Any], tmp_path: Path
) -> None:
    server = started("gcs")
    bundle = open_path(f"{finished[1].published.policy}", server.requests())
    files = bundle.download_folder(tmp_path / "bundle")
    assert sorted(f.name for f in files) == sorted(f.name for f in (finished[1].path / "bundle").iterdir())
