"""Everything that can be said of a package without running it."""

from __future__ import annotations

from dataclasses import dataclass

from blueprint_tune.packages.check_files import file_findings
from blueprint_tune.packages.check_hooks import hook_findings
from blueprint_tune.packages.check_isaac import isaac_findings
from blueprint_tune.packages.check_terms import Reward, rewards, term_findings
from blueprint_tune.packages.files import never_a_traceback
from blueprint_tune.packages.findings import EXIT, Finding
from blueprint_tune.packages.interpret import Steps
from blueprint_tune.packages.model import Package

_ORDER = {"fatal": 0, "adapted": 1, "unchecked": 2, "note": 3}


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        findings: the gravest first, then by file and line. rewards: each component and what it is worth.
    """

    package: Package
    findings: tuple[Finding, ...]
    rewards: tuple[Reward, ...]

    @property
    def status(self) -> int:
        """0 usable, 1 usable with adaptations, 2 not usable."""
        return max((EXIT[finding.level] for finding in self.findings), default=0)


def examine(package: Package) -> Report:
    """Every finding about a package that has been read. Raises TaskPackageError for what nobody foresaw."""
    with never_a_traceback(package.path):
        return _examine(package)


def _examine(package: Package) -> Report:
    steps = Steps()
    components = rewards(package, steps)
    found = [
        *file_findings(package),
        *isaac_findings(package),
        *term_findings(package, components, steps),
        *hook_findings(package),
    ]
    found.sort(key=lambda finding: (_ORDER[finding.level], finding.place.file, finding.place.line))
    return Report(package, tuple(found), tuple(components))
