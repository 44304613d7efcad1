"""``blueprint-tune plan``: what a command would run, before it runs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from blueprint_tune.errors import BlueprintTuneError, ConfigError

HELP = """\
blueprint-tune plan OVERRIDES… [--no-probe] [--json]

Say what the same overrides would run: the experiment and whether it has a result already, trials and the
values they sample, environments, updates, rungs of the scheduler, trials at once. Then a 5-second probe
trains in as many processes as trials would run at once, and tells minutes, memory and disk.
Everything that cannot work is refused, all of it at once, with exit status 2.

  --no-probe     start no simulator: the time is a first guess, memory and disk stay unknown
  --json         one JSON object on standard output
  --config-dir DIR   look for configuration files in DIR too"""

_FLAGS = {"--no-probe", "--json"}


def run(words: Sequence[str]) -> None:
    """Print the plan, then what it would take. Raises ConfigError naming everything that cannot work."""
    from blueprint_tune.config.compose import compose
    from blueprint_tune.planning import text
    from blueprint_tune.planning.estimate import estimate
    from blueprint_tune.planning.plan import make_plan
    from blueprint_tune.planning.probe import probe
    from blueprint_tune.tuning.session import available_cpus

    flags = {word for word in words if word.startswith("--")}
    if unknown := sorted(flags - _FLAGS):
        raise ConfigError(f"plan has no option {unknown[0]}. blueprint-tune plan --help lists them.")
    overrides = [word for word in words if word not in flags]
    plan = make_plan(compose(overrides), overrides)
    as_json = "--json" in flags
    if not as_json:
        print(text.plan_text(plan), flush=True)
    processes = min(plan.at_once, max(1, int(available_cpus() / plan.fit.cpus_per_trial)))
    measured = () if "--no-probe" in flags else probe(plan.cfg, processes, plan.fit.threads)
    found = estimate(plan, measured)
    if as_json:
        print(json.dumps(text.as_json(plan, found), indent=2, default=str))
    else:
        print(text.estimate_text(found), end="")
    if found.problems:
        raise BlueprintTuneError("\n".join(found.problems))
