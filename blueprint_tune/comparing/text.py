"""Comparisons as people read them: plain text, Markdown for a pull request, and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from blueprint_tune.comparing.commands import Command
from blueprint_tune.comparing.pull_request import Block, Comparison
from blueprint_tune.config.flat import ABSENT, shown

MARKER = "<!-- blueprint-tune diff -->"
"""By which a bot finds its own comment again."""
_COMMENT_LIMIT = 60_000
"""Characters; GitHub takes 65 536."""


def as_json(found: Comparison) -> dict[str, Any]:
    """Plain data; what one side lacks is left out of a change."""
    return {
        "base": found.base,
        "head": found.head,
        "files": list(found.files),
        "compared": found.compared,
        "blocks": [
            {
                "commands": [_command(c) for c in block.commands],
                "changes": [
                    {
                        "key": change.key,
                        **({} if change.before is ABSENT else {"before": change.before}),
                        **({} if change.after is ABSENT else {"after": change.after}),
                        "file": file or None,
                    }
                    for change, file in block.changes
                ],
            }
            for block in found.blocks
        ],
        "refusals": [
            {"problem": r.problem, "solved": r.solved, "commands": [_command(c) for c in r.commands]}
            for r in found.refusals
        ],
        "added": [_command(c) for c in found.added],
        "removed": [_command(c) for c in found.removed],
    }


def _command(command: Command) -> dict[str, Any]:
    return {"name": command.label, "overrides": list(command.overrides)}


def as_text(found: Comparison) -> str:
    """For a terminal."""
    lines = [f"{found.base} -> {found.head}: {_summary(found)}"]
    for refusal in found.refusals:
        verb = "No longer refused" if refusal.solved else "REFUSED"
        lines += ["", f"{verb}: {refusal.problem}", f"  {_named(refusal.commands, found)}"]
    for name, commands in (("Added", found.added), ("Removed", found.removed)):
        lines += ["", f"{name}: {_named(commands, found)}"] if commands else []
    for block in found.blocks:
        lines += ["", _named(block.commands, found)]
        rows = [(c.key, shown(c.before, 40), shown(c.after, 40), file) for c, file in block.changes]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines += [
            f"  {key:<{widths[0]}}  {before:>{widths[1]}} -> {after:<{widths[2]}}  {file}".rstrip()
            for key, before, after, file in rows
        ]
    return "\n".join(lines) + "\n"


def as_markdown(found: Comparison) -> str:
    """For a pull request, short enough for a comment."""
    lines = [MARKER, "### What this changes in resolved settings", "", _cell(_summary(found)) + "."]
    for refusal in found.refusals:
        head = "**No longer refused**" if refusal.solved else ":x: **Refused**"
        lines += ["", f"{head}: {_named(refusal.commands, found)}", "", *_quoted(refusal.problem)]
    for name, commands in (("Added", found.added), ("Removed", found.removed)):
        lines += ["", f"**{name}**: {_named(commands, found)}"] if commands else []
    for block in found.blocks:
        lines += ["", f"**{_count(block.commands)}**: {_named(block.commands, found)}", "", *_table(block)]
    return _cut("\n".join(lines) + "\n")


def _table(block: Block) -> list[str]:
    rows = [
        f"| `{_cell(c.key)}` | {_code(c.before)} | {_code(c.after)} | {_cell(file)} |"
        for c, file in block.changes
    ]
    return ["| setting | before | after | file |", "|---|---|---|---|", *rows]


def _quoted(text: str) -> list[str]:
    return ["```text", *text.replace("```", "'''").splitlines(), "```"]


def _code(value: Any) -> str:
    return "" if value is ABSENT else f"`{_cell(shown(value))}`"


def _cell(text: str) -> str:
    """Text that ends no cell, starts no code and calls nobody."""
    flat = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
    return flat.replace("<", "&lt;").replace("@", "@\u200b")


def _cut(text: str) -> str:
    if len(text) <= _COMMENT_LIMIT:
        return text
    kept = text[:_COMMENT_LIMIT].rpartition("\n")[0]
    return f"{kept}\n\n… and more: `blueprint-tune diff --git` on your machine shows all of it.\n"


def _summary(found: Comparison) -> str:
    if not found.files:
        return "no configuration file differs"
    many = len(found.files) != 1
    files = f"{len(found.files)} configuration {'files differ' if many else 'file differs'}"
    changed = {command for block in found.blocks for command in block.commands}
    pairs = sum(bool(command.policy) for command in changed)
    parts = [f"{pairs} of {len(found.pairs)} combinations of scene and policy type change"] if pairs else []
    if others := len(changed) - pairs:
        parts.append(f"{others} other choice{'s' * (others != 1)} change{'s' * (others == 1)}")
    if not (changed or found.added or found.removed or found.refusals):
        parts = ["no resolved setting changes"]
    for name, commands in (("added", found.added), ("removed", found.removed)):
        if commands:
            parts.append(f"{len(commands)} {name}")
    if bad := {command for r in found.refusals if not r.solved for command in r.commands}:
        parts.append(f"{len(bad)} refused")
    return f"{files}; {', '.join(parts)}"


def _count(commands: Sequence[Command]) -> str:
    return f"{len(commands)} combination{'s' * (len(commands) != 1)}"


def _named(commands: Sequence[Command], found: Comparison) -> str:
    """Commands, briefly: a policy type that changes in all its scenes is named once."""
    parts = []
    pairs = {command for command in commands if command.policy}
    if pairs and pairs == set(found.pairs):
        parts.append(f"all {len(pairs)} combinations of scene and policy type")
    else:
        parts += _by_policy(pairs, found.pairs)
    return ", ".join([*parts, *(command.label for command in commands if not command.policy)])


def _by_policy(pairs: Iterable[Command], every: Sequence[Command]) -> list[str]:
    scenes: dict[str, list[str]] = {}
    for pair in sorted(pairs, key=lambda pair: (pair.policy, pair.scene)):
        scenes.setdefault(pair.policy, []).append(pair.scene)
    every_scene = {policy: {p.scene for p in every if p.policy == policy} for policy in scenes}
    return [
        f"{policy} in all its {len(names)} scenes"
        if len(names) > 2 and set(names) == every_scene[policy]
        else f"{policy} in {' and '.join(names) if len(names) < 3 else ', '.join(names)}"
        for policy, names in scenes.items()
    ]
