"""What the registry's verbs say in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blueprint_tune.registry.champions import Champion
from blueprint_tune.registry.promote import Outcome

_FILE_WIDTH = 240
MISSING = "–"


def wide_console() -> Console:
    """One that cuts nothing short where the output is no terminal, whose width is nobody's."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_FILE_WIDTH)


def rate(value: float, interval: Sequence[float]) -> str:
    """ "0.92 (0.85 to 0.96)"."""
    return f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def say(console: Console, text: str, style: str = "") -> None:
    """A line that is broken by the terminal alone, so that it can be copied."""
    console.print(text, style=style, markup=False, soft_wrap=True)


def show_outcome(outcome: Outcome, console: Console) -> None:
    """A promotion: the gates as a table, the verdict, where it is recorded."""
    policy, decision = outcome.policy, outcome.decision
    say(console, f"\n{policy.name}", "bold")
    say(console, f"{policy.policy} in {policy.scene} with {policy.robot}; {_standing(outcome.champion)}")
    if decision is None:
        say(console, "\nIt is the champion already; there was nothing to decide.", "green")
        return
    show_gates(decision, console)
    _show_verdict(decision, console)
    if outcome.recorded is None:
        say(console, "dry run: nothing was recorded", "dim")
    else:
        say(console, f"decision {decision['decision']}: {outcome.recorded}", "dim")


def _standing(champion: Champion | None) -> str:
    if champion is None:
        return "no champion so far"
    return f"champion: {champion.name} since decision {champion.decision}"


def show_gates(decision: Mapping[str, Any], console: Console) -> None:
    """Every gate, and the comparison, as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("gate", "wanted", "found", ""):
        table.add_column(name, no_wrap=name != "found")
    candidate = decision["candidate"]
    for gate in decision["gates"]:
        found = _found(gate)
        if gate["name"] == "min_success_rate":
            low, high = candidate["success_rate_95ci"]
            found += f" ({low:.2f} to {high:.2f})"
        table.add_row(gate["name"], gate["wanted"], found, _mark(gate["passed"]))
    if comparison := decision["comparison"]:
        low, high = comparison["difference_95ci"]
        found = f"{comparison['difference']:+.2f} ({low:+.2f} to {high:+.2f})"
        table.add_row("difference", "lower bound above 0", found, _mark(low > 0.0))
    console.print()
    console.print(table)
    if comparison := decision["comparison"]:
        say(console, "")
        for line in _starts(comparison):
            say(console, line)


def _starts(c: Mapping[str, Any]) -> list[str]:
    """What the difference is made of, and what would have been enough."""
    lines = [
        f"On the same {c['starts']} starts it succeeded in {c['successes']}, {c['against']} in "
        f"{c['other_successes']};",
        f"it alone in {c['only_candidate']}, the other alone in {c['only_other']}.",
    ]
    if c["difference_95ci"][0] <= 0.0:
        fails = c["starts"] - c["other_successes"]
        lines.append(
            f"It alone in {c['enough']} would have been beyond chance."
            if c["enough"] is not None
            else f"The other fails in {fails} only: no policy can be better than it beyond chance on these"
            " starts. Evaluate both on more starts, or on harder ones."
        )
    return lines


def _found(gate: Mapping[str, Any]) -> str:
    """In digits that tell a rate just below its limit from one at it."""
    return MISSING if gate["found"] is None else f"{gate['found']:.4g}"


def _mark(passed: bool) -> Text:
    return Text("pass", style="green") if passed else Text("fail", style="red")


def _show_verdict(decision: Mapping[str, Any], console: Console) -> None:
    word, style = ("promoted", "bold green") if decision["promoted"] else ("not promoted", "bold yellow")
    say(console, f"\n{word}", style)
    for reason in decision["reasons"]:
        say(console, f"  {reason}")


def show_list(rows: Sequence[Mapping[str, Any]], root: str, console: Console) -> None:
    """Published policies, by scene, policy type and robot; the champion of each."""
    say(console, f"\n{root}", "bold")
    for place, policies in groupby(rows, key=lambda r: (r["scene"], r["policy_type"], r["robot"])):
        say(console, "\n" + "  ".join(place))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column("name", overflow="fold")
        for name in ("success", "champion"):
            table.add_column(name, no_wrap=True)
        for row in policies:
            interval = row["success_rate_95ci"]
            table.add_row(
                f"  {row['name']}",
                rate(row["success_rate"], interval),
                Text("champion", style="green") if row["champion"] else "",
            )
        console.print(table)


def show_policy(facts: Mapping[str, Any], console: Console) -> None:
    """One policy: figures, gates, where its files are, how it was made, what was decided about it."""
    say(console, f"\n{facts['name']}", "bold")
    say(console, f"{facts['policy_type']} in {facts['scene']} with {facts['robot']}")
    _show_pairs(
        {
            "success": f"{rate(facts['success_rate'], facts['success_rate_95ci'])}, "
            f"{facts['episodes']} episodes",
            **{f"{name} actions": f"{value:.2f}" for name, value in facts["baselines"].items()},
            "champion": facts["standing"],
            "published": facts["published"],
        },
        console,
    )
    if facts["gates"]:
        say(console, "\ngates", "bold")
        for gate in facts["gates"]:
            line = f"  {gate['name']:<18}{gate['wanted']:<16}{_found(gate):<10}"
            console.print(Text(line).append_text(_mark(gate["passed"])))
    say(console, "\nfiles", "bold")
    _show_pairs(facts["files"], console)
    say(console, "\nhow to make it again", "bold")
    for line in facts["reproduce"]:
        say(console, f"  {line}")
    _show_history(facts["decisions"], console)


def _show_pairs(pairs: Mapping[str, str], console: Console) -> None:
    for name, value in pairs.items():
        say(console, f"  {name:<16}{value}")


def _show_history(decisions: Iterable[Mapping[str, Any]], console: Console) -> None:
    decisions = list(decisions)
    if not decisions:
        return
    say(console, "\ndecisions", "bold")
    for decision in decisions:
        word = "promoted" if decision["promoted"] else "not promoted"
        say(console, f"  {decision['decision']}  {decision['timestamp']}  {word}")
        for reason in decision["reasons"]:
            say(console, f"       {reason}")
