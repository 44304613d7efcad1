"""Matplotlib figures as SVG that lives in a page: its fonts, its colours in light and dark, unique ids.

Figures are drawn with stand-in colours (:data:`INK` and so on) that become CSS variables.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

INK, MUTED, GRID, ACCENT = "#010101", "#010102", "#010103", "#010104"
SERIES = tuple(f"#0102{k:02x}" for k in range(8))
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", ACCENT: "accent"} | {
    color: f"series-{k}" for k, color in enumerate(SERIES)
}

_STYLE: Mapping[str, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "blueprint-tune",
    "text.parse_math": False,  # names of rewards and metrics are anybody's, dollars and all
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "text.color": INK,
}


@contextmanager
def style() -> Iterator[None]:
    """What figures for the page are drawn under; leaves matplotlib's global settings alone."""
    with mpl.rc_context(dict(_STYLE)):
        yield


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an ``<svg>`` element with a title and a description for those who cannot see it.

    ``name`` is unique in the page and prefixes every id of the element.
    """
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"#0102[0-9a-f]{2}|#01010[1-4]", lambda m: f"var(--{_VARIABLES[m[0]]})", text)
    text = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", text)
    text = re.sub(r"font-family: [^;]*; ?", "", text)
    return _named(text, name, title, description)


def standalone(svg: str) -> str:
    """An element of :func:`to_svg` as a file of its own, with the page's colours, light and dark."""
    colours, _, _ = (Path(__file__).parent / "templates" / "report.css").read_text().partition("* {")
    rules = f"{colours}svg {{ background: var(--page); font-family: system-ui, sans-serif; }}"
    return svg.replace(">", f"><style>{rules}</style>", 1)


def _named(text: str, name: str, title: str, description: str) -> str:
    """Drop the fixed size, and give the picture a name and a description."""
    end = text.index(">")
    view = re.search(r'viewBox="[^"]+"', text[:end])
    assert view is not None
    labels = f'role="img" aria-labelledby="{name}-title {name}-desc"'
    spoken = (
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-desc">{html.escape(description)}</desc>'
    )
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<svg {namespaces} {view[0]} {labels}>{spoken}{text[end + 1 :]}"
