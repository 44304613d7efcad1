"""A storage root with task packages in it, and watchers over it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.schemas import load_schema
from blueprint_tune.service.marker import marker_key
from blueprint_tune.storage.path import StoragePath, open_root

ROOT = Path(__file__).parents[2]
if str(ROOT / "scripts") not in sys.path:
    sys.path.insert(0, str(ROOT / "scripts"))

from benchlib.buckets import Bucket, bucket  # noqa: E402

_packages = importlib.util.spec_from_file_location("packages_conftest", ROOT / "tests/packages/conftest.py")
assert _packages is not None
assert _packages.loader is not None
_module = importlib.util.module_from_spec(_packages)
_packages.loader.exec_module(_module)
package = _module.package
"""package(policy, …) -> the folder of a task package as upstream writes it."""

FAST = ("watch.poll_s=0.3", "watch.heartbeat_s=0.2", "watch.lease_s=3", "watch.stop_s=20")


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], Bucket]]:
    """started(kind) -> the session's emulator of that kind, found through the environment."""
    running: dict[str, Bucket] = {}
    with ExitStack() as stack, pytest.MonkeyPatch.context() as environment:

        def start(kind: str) -> Bucket:
            if kind not in running:
                running[kind] = stack.enter_context(bucket(kind))
                for name, value in running[kind].environment().items():
                    environment.setenv(name, value)
            return running[kind]

        yield start


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> StoragePath:
    """The root of a store that holds nothing: a folder, or what an indirect parameter names."""
    kind = getattr(request, "param", "local")
    if kind == "local":
        return open_root(StorageConfig(kind="local", root=str(tmp_path / "store")))
    found: StoragePath = request.getfixturevalue("started")(kind).root(uuid.uuid4().hex)
    return found


@pytest.fixture
def put(root: StoragePath) -> Callable[..., None]:
    """put(scene, **fields): the scene's marker, of the shape that the pipeline really writes."""

    def write(scene_id: str, **fields: Any) -> None:
        (root / marker_key(scene_id)).write_text(json.dumps({"status": "complete", **fields}))

    return write


@pytest.fixture
def statuses(root: StoragePath) -> Callable[[str], dict[str, dict[str, Any]]]:
    """statuses(scene) -> every job_status.json of a scene, valid, by job."""
    valid = Draft202012Validator(load_schema("job_status"))

    def read(scene_id: str) -> dict[str, dict[str, Any]]:
        jobs, found = root / "scenes" / scene_id / "rl_training/jobs", {}
        for name in jobs.walk():
            job_id, _, file = name.partition("/")
            if file == "job_status.json":
                found[job_id] = json.loads((jobs / name).read_bytes())
                valid.validate(found[job_id])
                assert found[job_id]["job_id"] == job_id
        return found

    return read


@pytest.fixture
def watcher(tmp_path: Path, root: StoragePath) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """watcher(*words) -> a watcher's process over ``root``; it is killed after the test if it still runs."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "blueprint_tune", "watch", f"storage.root={root}", *FAST, *words]
        started.append(
            subprocess.Popen(
                command,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
