"""Pictures of numbers. Each function takes what it draws and returns one ``<svg>`` element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    EngFormatter,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)
from numpy.typing import NDArray

from blueprint_tune.reporting.svg import ACCENT, INK, MUTED, SERIES, style, to_svg
from blueprint_tune.reporting.views import short

Floats = NDArray[np.float64]
_SINGLE_POINTS = 40
"""A curve of fewer points shows where they are."""
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (9, 3)))
"""Lines differ by more than their colour: for print, and for readers who see some colours alike."""


@dataclass(frozen=True)
class Line:
    """A curve: (x, y) of equal length, what it is called, and (low, high) of each y's interval."""

    label: str
    x: Floats
    y: Floats
    band: tuple[Floats, Floats] | None = None


@dataclass(frozen=True)
class Range:
    """A rate and its interval, all in [0, 1]."""

    label: str
    rate: float
    low: float
    high: float


def interval_plot(ranges: Sequence[Range]) -> str:
    """Success rates with their intervals on one axis, the first one emphasised."""
    with style():
        figure = Figure(figsize=(5.6, 0.55 + 0.3 * len(ranges)), layout="constrained")
        axes = figure.add_subplot()
        for row, r in enumerate(ranges):
            color = ACCENT if row == 0 else MUTED
            width = 5.0 if row == 0 else 3.0
            axes.plot([r.low, r.high], [row, row], color=color, linewidth=width, alpha=0.4)
            axes.plot([r.rate], [row], "o", color=color, markersize=8 if row == 0 else 5.5)
        axes.set(xlim=(-0.02, 1.02), ylim=(len(ranges) - 0.5, -0.5))
        axes.set_yticks(range(len(ranges)), [r.label for r in ranges], color=INK)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.grid(visible=False, axis="y")
        axes.spines[["left", "bottom"]].set_visible(False)
    said = "; ".join(f"{r.label} {r.rate:.0%}, interval {r.low:.0%} to {r.high:.0%}" for r in ranges)
    return to_svg(figure, "intervals", "Success with 95% intervals", said)


def success_plot(
    best: Line, default: Line | None, others: Sequence[Line], benchmark: Range, checkpoint_env_steps: float
) -> str:
    """Success over env steps: the best trial in front, the default settings dashed, the others behind.

    ``benchmark`` stands where the checkpoint was taken that it measured.
    """
    with style():
        figure = Figure(figsize=(9.2, 3.5), layout="constrained")
        axes = figure.add_subplot()
        for number, line in enumerate(others):
            label = f"{len(others)} other trial{'s' if len(others) > 1 else ''}" if number == 0 else None
            axes.plot(line.x, line.y, color=MUTED, linewidth=1.0, alpha=0.55, label=label)
        if default is not None:
            axes.plot(
                default.x, default.y, color=INK, linewidth=1.4, linestyle=(0, (4, 3)), label=default.label
            )
        marker = "o" if len(best.x) < _SINGLE_POINTS else None
        if best.band is not None:
            axes.fill_between(
                best.x, *best.band, color=ACCENT, alpha=0.16, linewidth=0, label="its 95% interval"
            )
        axes.plot(
            best.x, best.y, color=ACCENT, linewidth=2.4, marker=marker, markersize=3.5, label=best.label
        )
        _mark_benchmark(axes, checkpoint_env_steps, benchmark)
        axes.set(ylim=(-0.03, 1.05), xlabel="env steps")
        axes.set_xlim(left=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.legend(
            loc="upper left", bbox_to_anchor=(0.0, 1.12), ncols=5, handlelength=1.6, columnspacing=1.2
        )
    drawn = [best, *([] if default is None else [default]), *others]
    said = f"{_describe(drawn, 'success')}; {benchmark.label}: {benchmark.rate:.0%}, "
    where = f"of the checkpoint at {short(checkpoint_env_steps)} env steps"
    said += f"{benchmark.low:.0%} to {benchmark.high:.0%}, {where}"
    return to_svg(figure, "success", "Success during training", said)


def _mark_benchmark(axes: Axes, x: float, benchmark: Range) -> None:
    spread = [[benchmark.rate - benchmark.low], [benchmark.high - benchmark.rate]]
    marks = axes.errorbar(
        [x], [benchmark.rate], spread, fmt="D", color=INK, elinewidth=1.4, capsize=4, zorder=5
    )
    marks.set_label(benchmark.label)


def lines_plot(name: str, title: str, lines: Sequence[Line]) -> str:
    """Several curves on one pair of axes, named at the side in the order of their last values."""
    with style():
        figure = Figure(figsize=(9.2, 3.3), layout="constrained")
        axes = figure.add_subplot()
        ranked = sorted(lines, key=lambda line: -line.y[-1] if len(line.y) else 0.0)
        for number, line in enumerate(ranked):
            dash = _DASHES[number % len(_DASHES)]
            color, marker = SERIES[number % len(SERIES)], "o" if len(line.x) < _SINGLE_POINTS else None
            axes.plot(
                line.x, line.y, color=color, linestyle=dash, marker=marker, markersize=3.5, label=line.label
            )
        axes.axhline(0.0, color=MUTED, linewidth=0.8)
        axes.set(xlabel="env steps")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.8)
    return to_svg(figure, name, title, _describe(ranked, title))


def small_plot(name: str, line: Line, log: bool = False, percent: bool = False) -> str:
    """One curve in a small panel, its name above and its last value beside it."""
    with style():
        figure = Figure(figsize=(3.5, 1.75))
        axes = figure.add_axes((0.155, 0.14, 0.825, 0.71))
        axes.plot(line.x, line.y, color=ACCENT, linewidth=1.5)
        if len(line.x):
            axes.plot(line.x[-1:], line.y[-1:], "o", color=ACCENT, markersize=3.5)
            axes.set_title(f"{line.y[-1]:.0%}" if percent else short(line.y[-1]), loc="right", color=MUTED)
        axes.set_title(line.label)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        _scale(axes, log, percent)
    return to_svg(figure, name, line.label, _describe([line], line.label))


def _scale(axes: Axes, log: bool, percent: bool) -> None:
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    if percent:
        axes.set(ylim=(-0.04, 1.04))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0) if percent else FuncFormatter(lambda v, _: short(v)))


def _describe(lines: Sequence[Line], what: str) -> str:
    """What a curve shows, in words."""
    said = []
    for line in lines:
        if len(line.x) == 0:
            said.append(f"{line.label}: nothing was reported")
            continue
        said.append(
            f"{line.label}: from {short(line.y[0])} to {short(line.y[-1])}, between {short(line.y.min())} "
            f"and {short(line.y.max())}, over {short(line.x[-1])} env steps"
        )
    return f"{what}. " + "; ".join(said)
