"""The verbs ``promote``, ``list`` and ``show``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from blueprint_tune.errors import ConfigError, nearest

if TYPE_CHECKING:
    from blueprint_tune.config.schema import ExperimentConfig

NOT_PROMOTED = 1
"""Exit status of a promotion that was decided and is not one."""
_GROUPS = ("storage", "evaluation")
_ASKED = ("endpoint", "timeout_s", "retry_s", "part_mib")
"""Settings of how a storage is asked."""

PROMOTE_HELP = """\
blueprint-tune promote POLICY [storage.root=…]

Put a published policy forward as the champion of its scene, policy type and robot. It is promoted if
the gates of conf/evaluation hold (evaluation.gates: success, smoothness, jerk) and its success is above
the champion's beyond chance: the lower bound of the 95 % interval of the difference, on the same starts,
is above 0. A tie stays with the champion. The first champion has to beat zero and random actions so.
Every decision is recorded with its reasons, beside the policies, and never replaced.

  POLICY              the name of a published policy, its address (…/scenes/<scene>/rl_training/policies/
                      <policy>), or the folder of the experiment that made it
  --dry-run           say what would be decided, and record nothing
  --force "REASON"    promote whatever the gates and the comparison say; a damaged bundle never is
  storage.root=ROOT   where POLICY was published, if that is no address
  evaluation.gates.min_success_rate=0.8   other gates than those of conf/evaluation
Exits 0 if POLICY is the champion now, 1 if not, 2 after a mistake."""

LIST_HELP = """\
blueprint-tune list [ROOT]

The policies that were published, by scene, policy type and robot, with their success on the benchmark's
fixed seeds (95 % interval), and which of them are champions.

  ROOT      a folder or bucket with scenes/; storage.root if none is given
  --json    print the rows as JSON"""

SHOW_HELP = """\
blueprint-tune show POLICY [storage.root=…]

One published policy: what it achieved, whether the gates hold, where its files are, the command that
made it, and what was decided about it.

  POLICY    its name, its address, or the folder of the experiment that made it
  --json    print it as JSON"""


def promote(words: Sequence[str]) -> None:
    """The verb ``promote``; SystemExit(1) where the policy is not promoted."""
    words, force = _take_reason(list(words))
    name, settings, flags = _sort("promote", words, ("--dry-run",))
    word = _one("promote", name)
    cfg = _settings([*_own(word), *settings])
    from blueprint_tune.registry.promote import promote as decide
    from blueprint_tune.registry.published import find
    from blueprint_tune.registry.text import show_outcome, wide_console

    policy = find(word, cfg.storage)
    outcome = decide(policy, cfg.evaluation.gates, force, "--dry-run" in flags)
    show_outcome(outcome, wide_console())
    if outcome.decision is not None and not outcome.decision["promoted"]:
        raise SystemExit(NOT_PROMOTED)


def list_published(words: Sequence[str]) -> None:
    """The verb ``list``."""
    names, settings, flags = _sort("list", words, ("--json",))
    if len(names) > 1:
        raise ConfigError(f"list takes one root, not {len(names)}. See list --help.")
    storage = _settings(settings).storage
    from blueprint_tune.registry.overview import rows
    from blueprint_tune.registry.text import say, show_list, wide_console
    from blueprint_tune.storage.path import open_root

    root = open_root(replace(storage, root=names[0]) if names else storage)
    found, damaged = rows(root)
    if "--json" in flags:
        print(json.dumps(found, indent=2))
        print(*damaged, sep="\n", end="\n" if damaged else "", file=sys.stderr)
        return
    console = wide_console()
    if found:
        show_list(found, str(root), console)
    elif not damaged:
        say(console, f"Nothing has been published to {root} yet. Set storage.root=… if it is elsewhere.")
    for sentence in damaged:
        say(console, f"\n{sentence}", "yellow")


def show(words: Sequence[str]) -> None:
    """The verb ``show``."""
    names, settings, flags = _sort("show", words, ("--json",))
    word = _one("show", names)
    cfg = _settings([*_own(word), *settings])
    from blueprint_tune.registry.overview import facts
    from blueprint_tune.registry.published import find
    from blueprint_tune.registry.text import show_policy, wide_console

    found = facts(find(word, cfg.storage), cfg.evaluation.gates)
    if "--json" in flags:
        print(json.dumps(found, indent=2))
    else:
        show_policy(found, wide_console())


def _settings(words: Sequence[str]) -> ExperimentConfig:
    """Storage and evaluation as the configuration files and ``words`` have them.

    A composition needs a scene; whatever it is, it touches neither.
    """
    from blueprint_tune.config import paths
    from blueprint_tune.config.compose import compose

    for word in words:
        group = word.lstrip("+~").partition("=")[0].split(".")[0]
        if group not in _GROUPS:
            raise ConfigError(f"{word}: only settings of storage and evaluation matter here.")
    return compose([f"+scene={paths.group_options('scene')[0]}", *words])


def _own(word: str) -> list[str]:
    """How an experiment asked its storage, as settings; those that are typed come after them and win."""
    from blueprint_tune.config.package_train import quoted
    from blueprint_tune.registry.published import storage_of

    storage = storage_of(word)
    found = {key: storage.get(key) for key in _ASKED}
    return [
        f"storage.{key}={quoted(value) if isinstance(value, str) else value}"
        for key, value in found.items()
        if value is not None
    ]


def _sort(verb: str, words: Sequence[str], flags: Sequence[str]) -> tuple[list[str], list[str], set[str]]:
    """Names, settings and flags among ``words``."""
    names = [w for w in words if not w.startswith("-") and not _is_setting(w)]
    given = {w for w in words if w.startswith("-")}
    for word in given - set(flags):
        raise ConfigError(f"{verb} has no option {word}. {nearest(word, flags)}")
    return names, [w for w in words if _is_setting(w)], given


def _is_setting(word: str) -> bool:
    """Whether a word is ``key=value``; the path of a policy may hold a "=" too."""
    return "=" in word and "/" not in word.partition("=")[0]


def _one(verb: str, names: Sequence[str]) -> str:
    if len(names) != 1:
        raise ConfigError(
            f"{verb} takes one policy, not {len(names)}: its name, address or experiment. "
            "blueprint-tune list shows what there is."
        )
    return names[0]


def _take_reason(words: list[str]) -> tuple[list[str], str | None]:
    """``words`` without ``--force`` and its reason."""
    for i, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag != "--force":
            continue
        if equals:
            return [*words[:i], *words[i + 1 :]], value
        rest = words[i + 1 :]
        if not rest or rest[0].startswith("-") or (_is_setting(rest[0]) and " " not in rest[0]):
            raise ConfigError('--force needs a reason: --force "why this policy must serve now"')
        return [*words[:i], *rest[1:]], rest[0]
    return words, None
