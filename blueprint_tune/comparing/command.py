"""``blueprint-tune diff``: what two experiments, or two revisions of the configuration files, differ in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint_tune.errors import ConfigError, nearest

FORMATS = ("text", "markdown", "json")
HELP = """\
blueprint-tune diff A B                        two experiments: settings and results
blueprint-tune diff REV1 REV2 [OVERRIDES…]     one command in two git revisions of conf/ and searchspaces/
blueprint-tune diff --git BASE [HEAD]          every command whose settings HEAD changes since it left BASE

A and B are folders, or names of experiments under output_dir. Results come with 95 % intervals and whether
their difference is more than chance.

Revisions are composed by this program in temporary folders; your checkout stays as it is. A conf/ of your
own without a config.yaml is added to the program's, as --config-dir does. Without overrides every scene is
composed with the policy types it is meant for (conf/environments.yaml), and every other file once.

  --git                 compare revisions, even if an experiment is called like one
  --format FORMAT       text (default), markdown (for a pull request), json
  output_dir=FOLDER     where names of experiments are looked for (default: outputs)"""


@dataclass(frozen=True)
class _Request:
    """What was typed."""

    names: tuple[str, ...]
    overrides: tuple[str, ...]
    git: bool
    format: str
    output_dir: Path


def run(words: Sequence[str]) -> None:
    """Print the comparison. Raises ConfigError for what cannot be compared."""
    request = _parse(words)
    if not request.git and not request.overrides:
        from blueprint_tune.comparing.experiments import find_experiment

        found = [find_experiment(name, request.output_dir) for name in request.names]
        if len(found) == 2 and found[0] is not None and found[1] is not None:
            return _print_experiments(found[0], found[1], request.format)
        if any(found) or not _all_revisions(request.names):
            raise ConfigError(_unknown(request, [name for name, f in zip(request.names, found) if f is None]))
    _print_revisions(request)


def _parse(words: Sequence[str]) -> _Request:
    names, overrides, git, form, output_dir = [], [], False, "text", "outputs"
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if flag == "--format":
            form = value if equals else rest.pop(0) if rest else ""
        elif word == "--git":
            git = True
        elif word.startswith("--"):
            raise ConfigError(f"diff has no option {word}. blueprint-tune diff --help lists them.")
        elif flag == "output_dir" and equals:
            output_dir = value
        elif equals or word.startswith("~"):
            overrides.append(word)
        else:
            names.append(word)
    if form not in FORMATS:
        raise ConfigError(f"--format {form or '(nothing)'}: {nearest(form, FORMATS)}")
    names += ["HEAD"] if git and len(names) == 1 else []
    if len(names) != 2:
        raise ConfigError(f"diff takes two experiments or two revisions, not {len(names)}. See diff --help.")
    return _Request(tuple(names), tuple(overrides), git, form, Path(output_dir).expanduser())


def _all_revisions(names: Sequence[str]) -> bool:
    from blueprint_tune.comparing.revisions import Repository

    try:
        repository = Repository()
    except ConfigError:
        return False
    return all(repository.find(name) for name in names)


def _unknown(request: _Request, names: Sequence[str]) -> str:
    folders = request.output_dir.glob("*/experiment.yaml") if request.output_dir.is_dir() else ()
    known = [folder.parent.name for folder in folders]
    return "\n".join(
        f"'{name}' is neither an experiment (a folder, or a name under {request.output_dir})"
        f" nor a revision of a git repository here. {nearest(name, known)}"
        for name in names
    )


def _print_experiments(a: Any, b: Any, form: str) -> None:
    from blueprint_tune.comparing import results_text
    from blueprint_tune.comparing.experiments import compare_experiments

    found = compare_experiments(a, b)
    if form == "json":
        print(json.dumps(results_text.as_json(found), indent=2))
    else:
        text = results_text.as_text(found)
        print(f"```text\n{text}```" if form == "markdown" else text, end="" if form == "text" else "\n")


def _print_revisions(request: _Request) -> None:
    from blueprint_tune.comparing import text
    from blueprint_tune.comparing.pull_request import compare, compare_command
    from blueprint_tune.comparing.revisions import Repository

    repository = Repository()
    base, head = request.names
    if request.overrides:
        found = compare_command(repository, base, head, request.overrides)
    else:
        found = compare(repository, base, head)
    if request.format == "json":
        print(json.dumps(text.as_json(found), indent=2))
    else:
        print(text.as_markdown(found) if request.format == "markdown" else text.as_text(found), end="")
