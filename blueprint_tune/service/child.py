"""The process of one watched job; as in a batch, it ends with the watcher, however that ends.

The overrides are composed here and not in the watcher, so that a package that breaks the reader of its files
breaks one job. What it has found out about the job it writes to ``facts_file``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blueprint_tune.batches.child import main
from blueprint_tune.errors import BlueprintTuneError


def run(job: Mapping[str, Any]) -> None:
    """Train the job, or run the program that does. Raises BlueprintTuneError with the reason it failed."""
    if job["command"]:
        _program([*job["command"], *job["overrides"]])
    else:
        _train(job)


def _program(command: list[str]) -> None:
    """Run a program to its end; its group gets Ctrl-C, as from a terminal, when the job is to stop."""
    try:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise BlueprintTuneError(f"watch.command: {command[0]} cannot be run: {error.strerror}.") from error
    try:
        status = program.wait()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.killpg(0, signal.SIGINT)
        program.wait()
        raise
    if status:
        raise BlueprintTuneError(f"{command[0]} ended with status {status}.")


def _train(job: Mapping[str, Any]) -> None:
    from blueprint_tune.batches.check import check
    from blueprint_tune.config.axes import Combination
    from blueprint_tune.pipeline import run_experiment
    from blueprint_tune.service import status
    from blueprint_tune.storage.path import open_root
    from blueprint_tune.tuning.records import write_json

    overrides: list[str] = job["overrides"]
    checked = check([Combination(tuple(overrides), {}, False)])
    if checked.refused:
        raise BlueprintTuneError(checked.refused[0].reason)
    entry = checked.entries[0]
    root, scene_id, job_id = open_root(entry.cfg.storage), entry.cfg.scene.id, entry.folder.name
    earlier = status.job_with(root, scene_id, entry.input_hash)
    facts = {"job_id": earlier or job_id, "input_hash": entry.input_hash, "earlier": earlier is not None}
    write_json(Path(job["facts_file"]), facts)
    status.settle_others(root, scene_id, job_id)
    if earlier is not None:
        print(f"The same input was trained before, as {earlier}.", flush=True)
        return
    begun = status.new_status(job_id, scene_id, entry.cfg.policy.name, entry.trials)
    status.tell(root, begun, "running")
    run_experiment(entry.cfg, overrides)


if __name__ == "__main__":
    sys.exit(main(run))
