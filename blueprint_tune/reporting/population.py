"""Pictures of sweeps that are more than a list of trials: who copied whom, and what no trial beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from blueprint_tune.reporting.svg import ACCENT, INK, MUTED, style, to_svg
from blueprint_tune.reporting.views import setting, short


@dataclass(frozen=True)
class Copy:
    """Member ``member`` went on from member ``donor``'s checkpoint; both are numbers of trials.

    Attributes:
        env_steps: at which the checkpoint was saved. changed: key -> (the donor's value, the copy's).
    """

    member: int
    donor: int
    env_steps: float
    changed: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Front:
    """Trials by two objectives.

    Attributes:
        metrics: their names. modes: ``max`` or ``min`` each.
        points: trial number -> its value by each, for trials that have both. chosen: the trial that goes on.
    """

    metrics: tuple[str, str]
    modes: tuple[str, str]
    points: Mapping[int, tuple[float, float]]
    chosen: int

    @property
    def best(self) -> list[int]:
        """Trials that no other beats in one objective without being worse in the other, by the first."""
        signs = [1.0 if mode == "max" else -1.0 for mode in self.modes]
        signed = {k: (signs[0] * a, signs[1] * b) for k, (a, b) in self.points.items()}
        left = [k for k, point in signed.items() if not any(_beats(q, point) for q in signed.values())]
        return sorted(left, key=lambda k: signed[k])


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] >= other[1]


def ancestry(copies: Sequence[Copy], member: int, env_steps: float) -> list[tuple[int, float, float]]:
    """Where the policy of ``member`` at ``env_steps`` learned: (member, from, to), the last first."""
    spans: list[tuple[int, float, float]] = []
    while True:
        before = [c for c in copies if c.member == member and c.env_steps < env_steps]
        last = max(before, key=lambda c: c.env_steps, default=None)
        spans.append((member, last.env_steps if last else 0.0, env_steps))
        if last is None:
            return spans
        # the donor's checkpoint is older than the copy that it may itself have made at these env steps
        member, env_steps = last.donor, last.env_steps


def lineage_plot(ends: Sequence[float], copies: Sequence[Copy], chosen: int, checkpoint: float) -> str:
    """A line a member over env steps, an arrow from the copied to the copy; the chosen policy's way in front.

    ``ends``: each member's last env steps. ``checkpoint``: env steps of the policy of member ``chosen``.
    """
    way = ancestry(copies, chosen, checkpoint)
    steps = {(member, start) for member, start, _ in way}
    with style():
        figure = Figure(figsize=(9.2, 1.0 + 0.42 * len(ends)), layout="constrained")
        axes = figure.add_subplot()
        for row, end in enumerate(ends):
            axes.plot([0.0, end], [row, row], color=MUTED, linewidth=1.6, alpha=0.45)
        for copy in copies:
            _arrow(axes, copy, ACCENT if (copy.member, copy.env_steps) in steps else MUTED)
        for member, start, end in way:
            axes.plot([start, end], [member, member], color=ACCENT, linewidth=3.2)
        axes.plot([checkpoint], [chosen], "D", color=ACCENT, markersize=7)
        axes.set(xlabel="env steps", ylim=(len(ends) - 0.5, -0.5))
        axes.set_xlim(left=0)
        axes.set_yticks(range(len(ends)), [f"trial {row}" for row in range(len(ends))], color=INK)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(visible=False, axis="y")
        axes.spines[["left"]].set_visible(False)
    said = "; ".join(
        f"at {short(c.env_steps)} env steps trial {c.member} copied trial {c.donor}" for c in copies
    )
    return to_svg(figure, "lineage", "Who copied whom", said or "No trial copied another one")


def _arrow(axes: Axes, copy: Copy, color: str) -> None:
    axes.annotate(
        "",
        xy=(copy.env_steps, copy.member),
        xytext=(copy.env_steps, copy.donor),
        arrowprops={
            "arrowstyle": "-|>",
            "connectionstyle": "arc3,rad=0.18",  # arrows of several copies at the same env steps part
            "color": color,
            "linewidth": 1.4,
            "shrinkA": 0,
            "shrinkB": 2,
        },
        zorder=4 if color == ACCENT else 3,
    )
    axes.plot([copy.env_steps], [copy.donor], "o", color=color, markersize=4)


def copy_rows(copies: Sequence[Copy]) -> list[tuple[str, str, str, str]]:
    """(env steps, member, donor, what was changed), in order of env steps."""
    return [
        (short(c.env_steps), str(c.member), str(c.donor), _changes(c.changed))
        for c in sorted(copies, key=lambda c: (c.env_steps, c.member))
    ]


def _changes(changed: Mapping[str, tuple[Any, Any]]) -> str:
    each = [f"{key} {setting(before, 3)} → {setting(now, 3)}" for key, (before, now) in changed.items()]
    return ", ".join(each) or "nothing"


def front_plot(front: Front) -> str:
    """Every trial by both objectives; those that none beats are joined, the chosen one is a diamond."""
    best = front.best
    with style():
        figure = Figure(figsize=(5.6, 3.6), layout="constrained")
        axes = figure.add_subplot()
        line = np.array([front.points[k] for k in best]).reshape(-1, 2)
        axes.plot(line[:, 1], line[:, 0], color=ACCENT, linewidth=1.2, alpha=0.6)
        for number, (first, second) in front.points.items():
            color = ACCENT if number in best else MUTED
            shape = "D" if number == front.chosen else "o"
            axes.plot([second], [first], shape, color=color, markersize=8 if number == front.chosen else 5.5)
            axes.annotate(
                str(number), (second, first), xytext=(6, 4), textcoords="offset points", color=INK, size=8.5
            )
        axes.set(xlabel=_called(front.metrics[1]), ylabel=_called(front.metrics[0]))
        axes.margins(0.12)
    said = "; ".join(
        f"trial {k}: {short(a)}, {short(b)}" + (", beaten by none" if k in best else "")
        for k, (a, b) in front.points.items()
    )
    return to_svg(figure, "front", f"{_called(front.metrics[0])} and {_called(front.metrics[1])}", said)


def _called(metric: str) -> str:
    return metric.removeprefix("eval/").replace("_", " ")
