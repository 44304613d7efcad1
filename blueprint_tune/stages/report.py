"""``blueprint-tune report``: the HTML report again, from what is in an experiment's folder."""

from __future__ import annotations

from collections.abc import Sequence

from blueprint_tune.stages.experiment import COMMON_HELP, evaluated, parse

HELP = f"""\
blueprint-tune report EXPERIMENT [--open]

Write report.html in the experiment's folder again, from its trials' reports, its evaluation and its bundle.
Nothing is trained or measured.

{COMMON_HELP}
  --open             print nothing but the path:  xdg-open "$(blueprint-tune report NAME --open)\""""


def run(words: Sequence[str]) -> None:
    """Write the report and say where it is. Raises ConfigError for an experiment that is not far enough."""
    from blueprint_tune.export.loading import load_bundle
    from blueprint_tune.pipeline import report

    request = parse("report", words, ["--open"])
    with evaluated(request, "report", quiet="--open" in request.flags) as found:
        load_bundle(found.dossier.folder.bundle)
        report(found.dossier, found.outcome, found.progress)
    path = found.dossier.folder.report
    print(path if "--open" in request.flags else f"\n  report    {path}")
