"""Starting an experiment's process, and what can be said of one that ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LAST_LINES = 4096
"""Bytes of a log in which the reason of a crash is looked for."""
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass
class Process:
    """A process that runs one job and writes to ``log``; ``reason_file`` says why it failed, if it could."""

    popen: subprocess.Popen[bytes]
    log: Path
    reason_file: Path

    def ended(self) -> int | None:
        """Its status once it has ended, negative for a signal; None before."""
        status = self.popen.poll()
        if status is not None and self.popen.stdin is not None:
            self.popen.stdin.close()
        return status

    def kill(self) -> None:
        """End it and what it has started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    def reason(self, status: int) -> str:
        """What the process wrote down, or what can be said of a process that could not."""
        if self.reason_file.exists():
            return self.reason_file.read_text().strip()
        if status < 0:
            name = signal.Signals(-status).name
            return f"its process was ended by {name} (a crash in native code, out of memory, or from outside)"
        with contextlib.suppress(OSError):
            tail = self.log.read_bytes()[-_LAST_LINES:].decode(errors="replace")
            if lines := [line.strip() for line in tail.splitlines() if line.strip()]:
                return f"its process ended with status {status}: {lines[-1]}"
        return f"its process ended with status {status}"


def start_process(module: str, job: Mapping[str, Any], log: Path) -> Process:
    """Run ``python -m module`` with ``job`` as a line of JSON on standard input, which stays open.

    The job is told its ``log`` and ``reason_file``.
    """
    reason_file = log.with_suffix(".reason")
    reason_file.unlink(missing_ok=True)
    path = [_PACKAGE_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            start_new_session=True,  # a terminal's Ctrl-C comes to us, and we pass it on
        )
    line = json.dumps({**job, "log": str(log), "reason_file": str(reason_file)})
    assert popen.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died already; its status says so
        popen.stdin.write(line.encode() + b"\n")
        popen.stdin.flush()
    return Process(popen, log, reason_file)
