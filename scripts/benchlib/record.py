"""What a result file holds: figures of several repeats, and the machine and versions they come from."""

from __future__ import annotations

import datetime
import os
import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blueprint_tune.config.identity import provenance
from blueprint_tune.tuning.session import available_cpus

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "scripts" / "benchmarks"


@dataclass(frozen=True)
class Repeats:
    """One quantity, measured several times."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Repeats:
        """From any sequence of numbers."""
        return cls(tuple(float(v) for v in values))

    @property
    def median(self) -> float:
        """What is stated and compared."""
        return statistics.median(self.values)

    def __truediv__(self, other: Repeats) -> Repeats:
        """Ratios of measurements taken side by side."""
        return Repeats(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def cells(self, digits: int = 3) -> list[str]:
        """Minimum, median and maximum as text."""
        return [number(v, digits) for v in (min(self.values), self.median, max(self.values))]


def number(value: float, digits: int = 3) -> str:
    """``value`` to ``digits`` significant digits, thousands separated, no exponent."""
    if value == 0:
        return "0"
    text = f"{float(f'{value:.{digits}g}'):,.10f}".rstrip("0").rstrip(".")
    places = len(text.partition(".")[2])
    wanted = digits - len(f"{abs(value):.0f}") if abs(value) >= 1 else places
    return (
        text
        if places >= wanted or wanted <= 0
        else text + ("." if not places else "") + "0" * (wanted - places)
    )


def verdict(value: float, target: float, at_least: bool) -> str:
    """Whether a figure reaches its target, in words."""
    reached = value >= target if at_least else value <= target
    return f"target {'≥' if at_least else '≤'} {target:g}: {'reached' if reached else 'NOT reached'}"


@dataclass
class Document:
    """A result file in the making; ``command`` is what the reader types to measure it again."""

    name: str
    title: str
    command: Sequence[str]
    lines: list[str] = field(default_factory=list)
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])

    def text(self, *paragraphs: str) -> None:
        """Add paragraphs."""
        for paragraph in paragraphs:
            self.lines += [paragraph, ""]

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table, numbers to the right."""
        self.lines.append(f"| {' | '.join(header)} |")
        self.lines.append("|---|" + "---:|" * (len(header) - 1))
        self.lines += [f"| {' | '.join(row)} |" for row in rows]
        self.lines.append("")

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.lines += [f"## {text}", ""]

    def write(self, folder: Path, versions: Mapping[str, str] | None = None) -> Path:
        """Write ``{folder}/{name}.md``; ``versions`` are those of peers."""
        path = folder / f"{self.name}.md"
        folder.mkdir(parents=True, exist_ok=True)
        facts = machine_lines(versions or {}, self.load_before)
        head = [f"# {self.title}", "", f"`{shlex.join(self.command)}`", ""]
        path.write_text("\n".join([*head, *self.lines, "## Machine", "", *facts]) + "\n")
        print(f"\nwritten: {path}")
        return path


def machine_lines(peers: Mapping[str, str], load_before: float) -> list[str]:
    """A list of what the figures depend on."""
    known = provenance()
    libraries = {**known["libraries"], **peers}
    dirty = ", with uncommitted changes" if known["git_dirty"] else ""
    return [
        f"- {cpu_model()}, {available_cpus()} CPUs used, {memory_gib():.0f} GiB, {known['platform']}",
        f"- load average {load_before:.1f} before, {os.getloadavg()[0]:.1f} after (1 min)",
        f"- commit {known['git_commit'] or 'unknown'}{dirty}",
        f"- {datetime.date.today().isoformat()}, Python {known['python']}, "
        + ", ".join(f"{name} {version}" for name, version in libraries.items()),
    ]


def cpu_model() -> str:
    """The processor's name, as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def memory_gib() -> float:
    """Memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def progress(text: str, **values: Any) -> None:
    """One line on the terminal."""
    shown = "  ".join(f"{key} {value}" for key, value in values.items())
    print(f"  {text:<34} {shown}", flush=True)
