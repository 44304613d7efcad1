"""The command line: a verb, or overrides of an experiment to run.

``run``, the default, is a Hydra application, so ``--cfg job``, ``--info``, ``-m`` and tab completion work.
torch, ray and mujoco are imported only once an experiment starts.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from blueprint_tune.errors import BlueprintTuneError, ConfigError, nearest
from blueprint_tune.simulators.isaaclab.launch import leave

if TYPE_CHECKING:
    from argparse import Namespace

PROGRAM = "blueprint-tune"
USER_ERROR, INTERRUPTED, PIPE_CLOSED = 2, 130, 141


@dataclass(frozen=True)
class Verb:
    """One subcommand."""

    usage: str
    summary: str
    run: Callable[[list[str]], None]
    help: Callable[[], str]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with ``argv`` (default: the process's arguments); returns the exit status."""
    status = _status(list(sys.argv[1:] if argv is None else argv))
    if argv is None:
        leave(status)
    return status


def _status(words: list[str]) -> int:
    """What the words come to."""
    try:
        _dispatch(words)
    except BlueprintTuneError as error:
        return report_error(error)
    except KeyboardInterrupt:  # the pipeline has said how to go on
        return INTERRUPTED
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return PIPE_CLOSED
    return 0


def _nobody_reads() -> bool:
    """Whether standard output is a closed pipe, as under ``| head``; the rest then goes nowhere."""
    try:
        print(" ", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def report_error(error: BlueprintTuneError) -> int:
    """Print a user's error, with its traceback under BLUEPRINT_TUNE_DEBUG=1; returns the exit status."""
    if os.environ.get("BLUEPRINT_TUNE_DEBUG") == "1":
        traceback.print_exception(error)
    print(error, file=sys.stderr)
    return USER_ERROR


def _dispatch(words: list[str]) -> None:
    name = words.pop(0) if words and re.fullmatch(r"[A-Za-z][\w-]*", words[0]) else "run"
    if name not in VERBS:
        raise ConfigError(
            f"'{name}' is neither a verb of {PROGRAM} nor an override (key=value). {nearest(name, VERBS)}"
            f" {PROGRAM} --help shows how to start."
        )
    if name == "run" and "--version" in words:
        print(f"{PROGRAM} {_version()}")
    elif not {"-h", "--help"}.isdisjoint(words):
        print(VERBS[name].help())
    else:
        VERBS[name].run(_with_config_dir(words))


def _with_config_dir(words: list[str]) -> list[str]:
    """``words`` without ``--config-dir``, whose folder is searched from here on."""
    words, config_dir = _take_option(words, "--config-dir", "-cd")
    if config_dir is not None:
        from blueprint_tune.config import paths

        paths.add_user_conf_dir(config_dir)
    return words


def _run(words: list[str]) -> None:
    """Compose an experiment and run it, or show what Hydra's flags ask for."""
    import hydra

    from blueprint_tune.config import paths
    from blueprint_tune.config.tree import register_resolvers, searchpath_overrides

    arguments = _parse_flags(words)
    flags = [word for word in words if word not in arguments.overrides]
    shows = arguments.info or arguments.shell_completion or arguments.hydra_help
    if not (shows or arguments.config_path or arguments.config_name):
        _check(arguments)
    register_resolvers()
    hydra_main = hydra.main(version_base="1.3", config_path=str(paths.conf_dir()), config_name="config")
    searchpath = searchpath_overrides([folder for folder in paths.user_conf_dirs() if folder.is_dir()])
    spelled, failed = arguments.overrides, list[str]()
    if arguments.multirun:
        from blueprint_tune.config.axes import without_globs

        spelled = without_globs(spelled)
    else:
        from blueprint_tune.config.tree import with_package

        spelled = with_package(spelled)

    def task(tree: Any) -> None:
        typed = None if arguments.multirun else arguments.overrides
        _experiment(tree, typed, failed if arguments.multirun else None)

    program, sys.argv = sys.argv, [sys.argv[0], *spelled, *searchpath, *flags]
    try:
        hydra_main(task)()
    finally:
        sys.argv = program
    if failed:
        raise BlueprintTuneError("\n".join(["These experiments failed, for the reasons above:", *failed]))


def _parse_flags(words: list[str]) -> Namespace:
    """Hydra's flags and the overrides, in any order (Hydra alone wants the overrides in one piece)."""
    from hydra._internal.utils import get_args_parser

    def refuse(message: str) -> NoReturn:
        raise ConfigError(f"{message[0].upper()}{message[1:]}. {PROGRAM} --help lists the options.")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_intermixed_args(words)


def _check(arguments: Namespace) -> None:
    """Report every mistake of the command at once, before Hydra would report the first."""
    if arguments.cfg:  # shows what composes, without the schema
        from blueprint_tune.config.tree import load

        problems = load(arguments.overrides, complete=False).problems
    elif arguments.multirun:
        problems = _mistakes_of_all(arguments.overrides)
    else:
        from blueprint_tune.config.compose import inspect

        problems = inspect(arguments.overrides)[1]
    if problems:
        from blueprint_tune.config.suggest import join_problems

        raise ConfigError(join_problems(problems))


def _mistakes_of_all(overrides: list[str]) -> list[str]:
    """What is wrong with the experiments of a ``-m`` command.

    A file that was not named but found by ``glob(…)`` may not fit the others (a policy type that this robot
    cannot do): as long as another one does, its experiment fails when its turn comes.
    """
    from blueprint_tune.config.axes import combinations
    from blueprint_tune.config.compose import inspect
    from blueprint_tune.config.tree import load

    jobs = combinations(overrides)
    found = [(job, inspect(job.overrides)[1]) for job in jobs]
    excusable = any(not problems for _, problems in found)
    return [
        problem
        for job, problems in found
        for problem in problems
        if not (excusable and job.broad) or load(job.overrides, complete=False).problems
    ]


def _experiment(tree: Any, typed: list[str] | None, failed: list[str] | None) -> None:
    """Hydra's task: one composed experiment, from typed configuration to published policy.

    ``typed``: its overrides where they are not Hydra's. Where it is one of several, a failure is added to
    ``failed`` and the next one's turn comes.
    """
    from hydra.core.hydra_config import HydraConfig

    overrides = list(HydraConfig.get().overrides.task) if typed is None else typed
    try:
        from blueprint_tune.config.compose import complete, compose
        from blueprint_tune.config.tree import plain

        of_package = any(word.startswith("scene.package=") for word in overrides)
        config = compose(overrides) if of_package else complete(plain(tree), overrides)
        from blueprint_tune.pipeline import run_experiment

        run_experiment(config, overrides)
    except BlueprintTuneError as error:  # Hydra would print a traceback and exit 1
        status = report_error(error)
        if failed is None:
            raise SystemExit(status) from error
        failed.append(f"  {' '.join(overrides)}")


def _resume(words: list[str]) -> None:
    if len(words) != 1:
        raise ConfigError(f"resume takes one experiment: {PROGRAM} {VERBS['resume'].usage}")
    from blueprint_tune.pipeline import resume_experiment

    resume_experiment(Path(words[0]))


def _take_option(words: list[str], *names: str) -> tuple[list[str], str | None]:
    """``words`` without an option and its value, and the value."""
    rest, value, pending = [], None, False
    for word in words:
        flag, equals, given = word.partition("=")
        if pending:
            value, pending = word, False
        elif flag in names and equals:
            value = given
        elif word in names:
            pending = True
        else:
            rest.append(word)
    if pending:
        raise ConfigError(f"{names[0]} needs a folder.")
    return rest, value


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version(PROGRAM)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _run_help() -> str:
    from blueprint_tune.config.help import run_help

    return run_help({name: (verb.usage, verb.summary) for name, verb in VERBS.items()})


def _resume_help() -> str:
    return (
        f"{PROGRAM} {VERBS['resume'].usage}\n\n"
        "Continue an interrupted experiment: finished trials stay, running ones go on from their\n"
        "checkpoints, then the best is evaluated, exported, reported and published.\n\n"
        "  EXPERIMENT   its folder, for example outputs/kitchen_001-dexterous_pick_place-asha-1a2b3c4d5e6f"
    )


def _verb(usage: str, summary: str, module: str, function: str = "run", text: str = "HELP") -> Verb:
    """A verb that is a function of a module, which is imported once it is asked for; ``text`` is its help."""

    def named(name: str) -> Any:
        return getattr(importlib.import_module(f"blueprint_tune.{module}"), name)

    return Verb(usage, summary, lambda words: named(function)(words), lambda: str(named(text)))


_BATCHES, _REGISTRY = "batches.commands", "registry.commands"
VERBS = {
    "run": Verb("run OVERRIDES…", "train, evaluate the best, export, report, publish", _run, _run_help),
    "resume": Verb("resume EXPERIMENT", "continue an interrupted experiment", _resume, _resume_help),
    "plan": _verb("plan OVERRIDES…", "say what would run, how long and how large it is", "planning.command"),
    "batch": _verb(
        "batch OVERRIDES…", "one experiment per policy type (or any axis)", _BATCHES, "batch", "BATCH_HELP"
    ),
    "leaderboard": _verb(
        "leaderboard [FOLDER…]",
        "all experiments in one table and page",
        _BATCHES,
        "leaderboard",
        "LEADERBOARD_HELP",
    ),
    "diff": _verb("diff A B", "how two experiments, or git revisions of conf/, differ", "comparing.command"),
    "validate": _verb("validate PACKAGE", "what is wrong with a task package or scene", "validating.command"),
    "watch": _verb("watch OVERRIDES…", "train whenever a task package is complete", "service.command"),
    "evaluate": _verb(
        "evaluate POLICY",
        "play the benchmark with an experiment, checkpoint or bundle",
        "evaluating.command",
    ),
    "export": _verb(
        "export EXPERIMENT", "write the bundle again from the best checkpoint, and prove it", "stages.export"
    ),
    "report": _verb("report EXPERIMENT", "write the HTML report again", "stages.report"),
    "publish": _verb(
        "publish EXPERIMENT", "copy a finished experiment to storage, again or elsewhere", "stages.publish"
    ),
    "promote": _verb(
        "promote POLICY",
        "make a published policy its scene's champion",
        _REGISTRY,
        "promote",
        "PROMOTE_HELP",
    ),
    "list": _verb(
        "list [ROOT]", "the published policies and champions", _REGISTRY, "list_published", "LIST_HELP"
    ),
    "show": _verb("show POLICY", "one published policy", _REGISTRY, "show", "SHOW_HELP"),
}
"""Subcommands by name; a new one is an entry here."""
