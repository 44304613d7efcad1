"""Peer programs from this side: start one in its own virtual environment, ask it for rates."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from benchlib.record import ROOT


def peers_dir() -> Path:
    """Where ``scripts/bench peers-install`` puts its virtual environments."""
    return Path(os.environ.get("BLUEPRINT_TUNE_PEERS", ROOT / "build" / "peers"))


def simulators_python() -> Path | None:
    """Python of the venv with mjlab and gymnasium-robotics; None if it is not installed."""
    python = peers_dir() / "simulators" / "bin" / "python"
    return python if python.exists() else None


class Peer:
    """One running peer program (a module of ``benchlib.peers``); idle until it is asked.

    Attributes:
        facts: what the program says about itself. output: what else it printed.
    """

    def __init__(self, python: Path, module: str, settings: Mapping[str, Any]) -> None:
        self.module = module
        self.output = peers_dir() / f"{module}.log"
        self._log = self.output.open("w")
        self._process = subprocess.Popen(
            [str(python), "-m", f"benchlib.peers.{module}", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        )
        self.facts = self._read()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End of input ends the program; one that does not end is terminated."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    @property
    def versions(self) -> dict[str, str]:
        """Of the peer's libraries."""
        return dict(self.facts["versions"])

    def rate(self, seconds: float) -> float:
        """Env steps a second, measured now over ``seconds``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return float(self._read()["env_steps_per_s"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise SystemExit(f"The peer {self.module} stopped; what it said is in {self.output}.")
        answer: dict[str, Any] = json.loads(line)
        return answer
