"""The text of ``--help``, with the files that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

from blueprint_tune.config import paths

_WIDTH = 100
_TEMPLATE = """\
Train a robot-manipulation policy, prove it on fixed seeds, ship it as ONNX.

  python -m blueprint_tune +scene=kitchen_001 preset=quick               one training, minutes
  python -m blueprint_tune +scene=kitchen_001 sweep=asha                 a sweep, bad trials stop early
  python -m blueprint_tune +scene=kitchen_001 policy=drawer_manipulation agent.learning_rate=1e-3
  python -m blueprint_tune +scene=manifest scene.manifest=<path to a manifest>   any scene
  python -m blueprint_tune +scene=package scene.package=<path to a task package>
  blueprint-tune resume outputs/<experiment>                             continue what was interrupted

Verbs (the first word; run when there is none)
{verbs}

Choose a file of a group with group=name (a scene is added: +scene=name)
{groups}
{searchspaces}

Set a value with dotted.key=value, for example backend.num_envs=512, seed=2, storage.root=/data/policies.
--cfg job shows all of them.

Options
  --cfg job          show the composed experiment instead of running it
  --info defaults    show which files it is made of
  -m                 one experiment for each of several values: -m seed=1,2,3
  --config-dir DIR   look for configuration files in DIR too; BLUEPRINT_TUNE_CONF does it for good
  --version          the version of this program
  -sc install=bash   tab completion: eval "$(blueprint-tune -sc install=bash)"
  --hydra-help       the flags of Hydra, which composes the experiment
BLUEPRINT_TUNE_DEBUG=1 shows the traceback of an error."""


def run_help(verbs: Mapping[str, tuple[str, str]]) -> str:
    """The program's help; ``verbs`` maps each name to its usage and summary."""
    spaces = sorted({path.stem for folder in paths.searchspace_dirs() for path in folder.glob("*.yaml")})
    return _TEMPLATE.format(
        verbs="\n".join(f"  {usage:<22} {summary}" for usage, summary in verbs.values()),
        groups="\n".join(_options(group, paths.group_options(group)) for group in paths.GROUPS),
        searchspaces=_options("searchspace", spaces),
    )


def _options(group: str, names: Sequence[str]) -> str:
    """A group and the names of its files, as many lines as they take."""
    lead, indent = f"  {group:<13} ", " " * 16
    return fill(", ".join(names), _WIDTH, initial_indent=lead, subsequent_indent=indent)
