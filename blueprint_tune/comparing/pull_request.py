"""What a change of configuration files changes: the commands whose resolved settings differ, and how."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blueprint_tune.comparing.commands import Command
from blueprint_tune.comparing.revisions import CONF, Repository
from blueprint_tune.comparing.sides import Side
from blueprint_tune.config.flat import ABSENT, Change, changes
from blueprint_tune.config.suggest import join_problems
from blueprint_tune.errors import ConfigError


@dataclass(frozen=True)
class Block:
    """Settings that change alike in the same commands, each with the file that sets it."""

    commands: tuple[Command, ...]
    changes: tuple[tuple[Change, str], ...]


@dataclass(frozen=True)
class Refusal:
    """What the program says about some commands before or after the change, and not at the other time."""

    problem: str
    commands: tuple[Command, ...]
    solved: bool


@dataclass(frozen=True)
class Comparison:
    """Two revisions of the configuration files.

    Attributes:
        base, head: how they are called. files: that differ. compared: how many commands both have.
        pairs: those of them that are a scene and a policy type. added, removed: what only one of them has.
    """

    base: str
    head: str
    files: tuple[str, ...]
    compared: int = 0
    pairs: tuple[Command, ...] = ()
    blocks: tuple[Block, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    added: tuple[Command, ...] = ()
    removed: tuple[Command, ...] = ()


def compare(repository: Repository, base: str, head: str) -> Comparison:
    """Every command whose settings ``head`` changes since it left ``base``, resolved by this program.

    As ``git diff base...head`` does; where the history that is here does not tell, ``base`` itself counts.
    Raises ConfigError for revisions that do not exist or hold no configuration files.
    """
    old, new = repository.commit(base), repository.commit(head)
    with _taken_out(repository, (base, repository.fork_point(old, new) or old), (head, new)) as sides:
        return _compare(*sides, None)


def compare_command(repository: Repository, base: str, head: str, overrides: Sequence[str]) -> Comparison:
    """How one command resolves in two revisions.

    Raises ConfigError as :func:`compare` does, and for a command that neither can run.
    """
    command = Command(" ".join(overrides), tuple(overrides))
    with _taken_out(repository, (base, repository.commit(base)), (head, repository.commit(head))) as sides:
        problems = [side.problems(command) for side in sides]
        if all(problems):
            raise ConfigError(join_problems([*problems[0], *problems[1]]))
        return _compare(*sides, command)


@contextmanager
def _taken_out(
    repository: Repository, base: tuple[str, str], head: tuple[str, str]
) -> Iterator[tuple[Side, Side]]:
    """Two (name, commit), each in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="blueprint-tune-diff-") as folder:
        yield (
            Side(repository.take_out(*base, Path(folder) / "base")),
            Side(repository.take_out(*head, Path(folder) / "head")),
        )


def _compare(before: Side, after: Side, only: Command | None) -> Comparison:
    """``only``: that command, instead of all."""
    old, new = before.revision.contents, after.revision.contents
    files = tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))
    result = Comparison(before.revision.label, after.revision.label, files)
    if not files:
        return result
    theirs, ours = (side.commands() if only is None else {only.label: only} for side in (before, after))
    shared = [command for label, command in ours.items() if label in theirs]
    found = {command: _difference(theirs[command.label], command, before, after, files) for command in shared}
    pairs = tuple(command for command in shared if command.policy)
    added = [command for label, command in ours.items() if label not in theirs]
    return Comparison(
        result.base,
        result.head,
        files,
        len(shared),
        pairs,
        _blocks(_own(found, pairs)),
        _refusals(found, {command: after.problems(command) for command in added}),
        tuple(added),
        tuple(command for label, command in theirs.items() if label not in ours),
    )


@dataclass(frozen=True)
class _Difference:
    changes: dict[tuple[str, str, str], tuple[Change, str]]
    appeared: tuple[str, ...]
    solved: tuple[str, ...]


def _difference(
    theirs: Command, ours: Command, before: Side, after: Side, files: Sequence[str]
) -> _Difference:
    """How one command changed; what reads no changed file cannot have."""
    if theirs == ours and _concerns_other_policies(ours, before, after, files):
        return _Difference({}, (), ())
    now = after.compose(ours)
    if theirs == ours and now.files.isdisjoint(files):
        return _Difference({}, (), ())
    then = before.compose(theirs)
    found = {}
    both = then.composed.tree and now.composed.tree  # one that cannot be composed has a problem, not settings
    for change in changes(then.settings, now.settings) if both else ():
        side, command = (before, theirs) if change.after is ABSENT else (after, ours)
        found[change.identity] = (change, "" if ours.files_only else side.origin(command, change))
    return _Difference(
        found,
        tuple(p for p in after.problems(ours) if p not in before.problems(theirs)),
        tuple(p for p in before.problems(theirs) if p not in after.problems(ours)),
    )


def _concerns_other_policies(command: Command, before: Side, after: Side, files: Sequence[str]) -> bool:
    """Whether only policy files differ, and none that the command's policy type is made of.

    Most changes are of this kind, and nothing need be composed to see it.
    """
    if not all(file.startswith(f"{CONF}/policy/") for file in files):
        return False
    name = next((word.partition("=")[2] for word in command.overrides if word.startswith("policy=")), None)
    if name is None:
        return command.files_only
    made_of = [side.policy_files(name) for side in (before, after)]
    return all(found is not None and found.isdisjoint(files) for found in made_of)


def _own(found: Mapping[Command, _Difference], pairs: Sequence[Command]) -> dict[Command, _Difference]:
    """Without what commands that try another file only share with the pair they are tried in."""
    shared = found[pairs[0]].changes if pairs and pairs[0] in found else {}
    return {
        command: difference
        if command.policy
        else _Difference(
            {key: value for key, value in difference.changes.items() if key not in shared},
            difference.appeared,
            difference.solved,
        )
        for command, difference in found.items()
    }


def _blocks(found: Mapping[Command, _Difference]) -> tuple[Block, ...]:
    """Changes that happen in the same commands together, what concerns most first."""
    where: dict[tuple[str, str, str], list[Command]] = {}
    what: dict[tuple[str, str, str], tuple[Change, str]] = {}
    for command, difference in found.items():
        for identity, change in difference.changes.items():
            where.setdefault(identity, []).append(command)
            what.setdefault(identity, change)
    together: dict[tuple[Command, ...], list[tuple[Change, str]]] = {}
    for identity, places in where.items():
        together.setdefault(tuple(places), []).append(what[identity])
    return tuple(Block(c, tuple(together[c])) for c in sorted(together, key=len, reverse=True))


def _refusals(
    found: Mapping[Command, _Difference], added: Mapping[Command, Iterable[str]]
) -> tuple[Refusal, ...]:
    """Problems that came or went, each with the commands it concerns."""
    where: dict[tuple[str, bool], list[Command]] = {}
    for command, difference in found.items():
        for solved, problems in ((False, difference.appeared), (True, difference.solved)):
            for problem in problems:
                where.setdefault((problem, solved), []).append(command)
    for command, refused in added.items():
        for problem in refused:
            where.setdefault((problem, False), []).append(command)
    return tuple(Refusal(problem, tuple(c), solved) for (problem, solved), c in where.items())
