"""Processes and their memory, read from Linux's /proc."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process. ``memory_mib``: resident, without shared memory (where Ray keeps its object store)."""

    pid: int
    parent: int
    command: str
    memory_mib: float


def family(pid: int) -> list[Process]:
    """A process and everything it started, directly or not."""
    everything = {process.pid: process for process in _all()}
    found = [everything[pid]] if pid in everything else []
    for process in found:
        found += [child for child in everything.values() if child.parent == process.pid]
    return found


def _all() -> Iterator[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it has ended meanwhile
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if "VmRSS" in fields:
            kib = _kib(fields["VmRSS"]) - _kib(fields["RssShmem"])
            yield Process(int(fields["Pid"]), int(fields["PPid"]), command, kib / 1024)


def _kib(text: str) -> int:
    return int(text.split()[0])
