"""Two nodes on this machine, an experiment on both, one of them dies: two_nodes.py FOLDER OVERRIDE…

Prints one JSON document at the end. A process of its own, because Ray keeps one cluster a process.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMEOUT_S = 280.0
QUICK_DETECTION = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 5,
}


def trials(raylet: int) -> int:
    """Trials that the processes of a node train; Ray names them by the class, or by the method they run."""
    found = 0
    for process in Path("/proc").iterdir():
        try:
            name = (process / "cmdline").read_bytes() if process.name.isdigit() else b""
            if name.startswith((b"ray::Trial", b"ray::ResourceTrainable")):
                found += int((process / "stat").read_text().rpartition(")")[2].split()[1]) == raylet
        except OSError:
            continue
    return found


def reports(folder: Path) -> dict[str, int]:
    """Trial -> reports it has made."""
    files = folder.glob("outputs/*/trials/*/result.json")
    return {file.parent.name: len(file.read_text().splitlines()) for file in files}


def wait_until(condition: Callable[[], bool], run: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if run.poll() is not None or time.monotonic() > deadline:
            run.kill()
            raise SystemExit(f"the run ended too early or took too long:\n{run.communicate()[0]}")
        time.sleep(0.1)


def main(folder: Path, overrides: list[str]) -> dict[str, Any]:
    from ray.cluster_utils import Cluster

    size: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "_system_config": QUICK_DETECTION})
    try:
        other = cluster.add_node(**size)
        raylets = [node.all_processes["raylet"][0].process.pid for node in (cluster.head_node, other)]
        words = [sys.executable, "-m", "blueprint_tune", *overrides, f"cluster.address={cluster.address}"]
        run = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: len(reports(folder)) == 4 and min(reports(folder).values()) >= 1, run)
        spread = [trials(raylet) for raylet in raylets]
        at_death = reports(folder)
        cluster.remove_node(other, allow_graceful=False)
        said, _ = run.communicate(timeout=TIMEOUT_S)
        return {"code": run.returncode, "said": said, "spread": spread, "at_death": at_death}
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bt2-", dir="/tmp", ignore_cleanup_errors=True) as temp:
        os.environ |= {
            "RAY_TMPDIR": temp,  # Ray's sockets need short paths, and nobody else is to find this cluster
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        }
        print(json.dumps(main(Path(sys.argv[1]), sys.argv[2:])))
