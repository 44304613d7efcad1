"""Champions in buckets: real servers on loopback, as the tests of storage have them."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from blueprint_tune import cli
from blueprint_tune.config import paths
from blueprint_tune.config.evaluation_schema import GatesConfig
from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.registry.champions import log
from blueprint_tune.registry.promote import promote
from blueprint_tune.registry.published import Published, find
from blueprint_tune.storage.path import StoragePath

SCRIPTS = str(Path(__file__).resolve().parents[2] / "scripts")
if SCRIPTS not in sys.path:
    sys.path.insert(0, SCRIPTS)

from benchlib.buckets import CREDENTIALS, KINDS, Bucket, bucket  # noqa: E402

Publish = Callable[..., Published]
PLACE = ("kitchen_001", "dexterous_pick_place", "franka")
NAMES = ("weak", "good", "best")


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    with bucket(request.param) as running:
        yield running


@pytest.fixture
def in_bucket(server: Bucket, store: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> StoragePath:
    """Three policies in the bucket, which a process finds by its environment."""
    for name, value in {**CREDENTIALS, **server.environment(), paths.CONF_ENV: ""}.items():
        monkeypatch.setenv(name, value)
    for number, name in enumerate(NAMES):
        publish(name, 60 + 15 * number)
    root = server.root(uuid.uuid4().hex)
    files = [file for file in sorted(store.rglob("*")) if file.is_file() and "/jobs/first/" not in str(file)]
    root.put_all([(file.relative_to(store).as_posix(), file) for file in files])
    return root


def test_racing_promotions_in_a_bucket_leave_one_champion(in_bucket: StoragePath) -> None:
    start = Barrier(len(NAMES))

    def race(name: str) -> int:
        policy = find(name, StorageConfig(None, str(in_bucket)))
        start.wait()
        decision = promote(policy, GatesConfig()).decision
        assert decision is not None
        return int(decision["decision"])

    with ThreadPoolExecutor(len(NAMES)) as racers:
        assert sorted(racers.map(race, NAMES)) == [1, 2, 3]
    found = log(in_bucket, *PLACE)
    _, champion = found.state()
    assert champion is not None and champion.name == "best"
    document = json.loads((found.folder / "champion.json").read_text())
    assert (document["policy_name"], document["decision"]) == ("best", champion.decision)


def test_the_verbs_read_a_bucket(
    in_bucket: StoragePath,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["promote", "good", f"storage.root={in_bucket}"]) == 0
    assert cli.main(["show", f"{in_bucket}/scenes/kitchen_001/rl_training/policies/good"]) == 0
    assert "this one, since decision 1" in capsys.readouterr().out
    assert cli.main(["list", str(in_bucket), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows if row["champion"]] == ["good"]
    with pytest.raises(SystemExit) as left:
        cli.main(["promote", "weak", f"storage.root={in_bucket}"])
    assert left.value.code == 1


def test_a_bucket_is_asked_as_the_settings_say(
    in_bucket: StoragePath,
    server: Bucket,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL"):  # the environment leads nowhere
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    endpoint = f"storage.endpoint={server.requests().endpoint}"
    address = f"{in_bucket}/scenes/kitchen_001/rl_training/policies/good"
    assert cli.main(["list", str(in_bucket), endpoint]) == 0
    assert cli.main(["promote", address, endpoint]) == 0
    made = tmp_path / "made"
    made.mkdir()
    (made / "result.json").write_text(json.dumps({"published": {"policy": address}}))
    storage = {"root": "elsewhere", "endpoint": server.requests().endpoint, "retry_s": 1.5}
    (made / "experiment.yaml").write_text(json.dumps({"config": {"storage": storage}}))
    assert cli.main(["show", str(made)]) == 0
    assert "this one, since decision 1" in capsys.readouterr().out
    began = time.monotonic()
    assert cli.main(["show", str(made), "storage.endpoint=http://127.0.0.1:9", "storage.retry_s=0.2"]) == 2
    assert "Is the endpoint right?" in " ".join(capsys.readouterr().err.split())
    assert time.monotonic() - began < 20
