"""Against MLflow: its SQLite store in this process, and a real server where there is one."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from blueprint_tune.config.schema import MlflowConfig
from blueprint_tune.reporting.sinks.base import EXPERIMENT, Ledger, Told
from blueprint_tune.reporting.sinks.mlflow_sink import MlflowSink
from blueprint_tune.reporting.sinks.sinks import Sinks

from .conftest import FIRST, SECOND

mlflow = pytest.importorskip("mlflow", reason="MLflow is an extra: pip install 'blueprint-tune[mlflow]'")
_START_S = 150.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server of our own."""
    command = os.environ.get("MLFLOW_COMMAND")
    if command is None:
        pytest.skip("no mlflow server: scripts/test-mlflow brings one, in a virtual environment of its own")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder}/runs.db",
        "--artifacts-destination",
        f"{folder}/files",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [command, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *store],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address, until = f"http://127.0.0.1:{port}", time.monotonic() + _START_S
    try:
        while not _healthy(address):
            assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.3)
        yield address
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 15)
            process.wait(30)


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(params=["sqlite", "server"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # where SQLite's artifacts go
    return f"sqlite:///{tmp_path}/runs.db" if request.param == "sqlite" else request.getfixturevalue("server")


def told_sink(told: Told, uri: str) -> tuple[Sinks, list[str]]:
    notes: list[str] = []
    config = MlflowConfig(tracking_uri=uri, experiment="robots", tags={"team": "lab"})
    return Sinks({"mlflow": MlflowSink(config)}, told, notes.append), notes


def test_runs_hold_what_was_told_and_a_resume_goes_on_in_them(
    told: Told, files: list[Path], uri: str
) -> None:
    sinks, notes = told_sink(told, uri)
    sinks.report(FIRST, 512, {"eval/success_rate": 0.25, "loss/value": 2.0})
    sinks.report(SECOND, 512, {"eval/success_rate": 0.5})
    sinks.close()
    runs = Ledger.read(told.folder / "mlflow.json").runs
    client = mlflow.MlflowClient(uri)
    assert notes == [] and set(runs) == {EXPERIMENT, "a_0", "a_1"}
    assert {client.get_run(run).info.status for run in runs.values()} == {"KILLED"}

    sinks, notes = told_sink(told, uri)
    sinks.report(SECOND, 512, {"eval/success_rate": 0.5})
    sinks.report(SECOND, 1024, {"eval/success_rate": 0.75})
    sinks.end(SECOND)
    sinks.finish({"benchmark/success_rate": 0.875, "best_trial": "a_1"}, files)
    sinks.close()
    assert notes == [] and Ledger.read(told.folder / "mlflow.json").runs == runs

    history = client.get_metric_history(runs["a_1"], "eval/success_rate")
    assert [(point.step, point.value) for point in history] == [(512, 0.5), (1024, 0.75)]
    assert client.get_run(runs["a_0"]).data.metrics == {"eval/success_rate": 0.25, "loss/value": 2.0}
    second, whole = client.get_run(runs["a_1"]), client.get_run(runs[EXPERIMENT])
    assert second.data.params == {"agent.learning_rate": "0.002"}
    assert second.data.tags["mlflow.parentRunId"] == runs[EXPERIMENT]
    assert {"team": "lab", "scene": "kitchen_001", "best_trial": "a_1"}.items() <= whole.data.tags.items()
    assert whole.data.params == {
        "agent.learning_rate": "0.001",
        "agent.hidden": "[64, 64]",
        "sweep.searcher": "null",
    }
    assert whole.data.metrics == {"benchmark/success_rate": 0.875}
    assert {file.path for file in client.list_artifacts(runs[EXPERIMENT])} == {path.name for path in files}
    assert {second.info.status, whole.info.status} == {"FINISHED"}
    known = client.get_experiment_by_name("robots")
    assert known is not None and len(client.search_runs([known.experiment_id], max_results=100)) % 3 == 0


def test_a_server_that_is_not_there_is_noted_and_no_more(
    told: Told, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    sinks, notes = told_sink(told, "http://127.0.0.1:9")
    sinks.report(FIRST, 512, {"eval/success_rate": 0.25})
    sinks.finish({}, files)
    sinks.close()
    assert len(notes) == 1
    assert notes[0].startswith("mlflow: ") and "127.0.0.1:9" in notes[0]
