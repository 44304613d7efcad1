from __future__ import annotations

import functools
import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from blueprint_tune.reporting.plots import (
    Line,
    Range,
    interval_plot,
    lines_plot,
    small_plot,
    success_plot,
)
from blueprint_tune.reporting.svg import standalone

SVG = "{http://www.w3.org/2000/svg}"


def line(label: str, *values: float) -> Line:
    return Line(label, np.arange(1.0, len(values) + 1) * 1000, np.array(values))


EMPTY = line("empty")
RANGE = Range("benchmark", 0.9, 0.8, 0.95)
DRAW: dict[str, Callable[[], str]] = {
    "intervals": lambda: interval_plot([RANGE, Range("zero", 0.0, 0.0, 0.04)]),
    "success": lambda: success_plot(
        line("best", 0.1, 0.9), line("default", 0.0, 0.2), [line("x", 0.3)], RANGE, 2000.0
    ),
    "one trial": lambda: success_plot(EMPTY, None, [], RANGE, 0.0),
    "lines": lambda: lines_plot("weighted", "Weighted", [line(f"term {k}", 0.1, k) for k in range(10)]),
    "small": lambda: small_plot("a1", line("loss", 3.0, 2.0)),
    "log": lambda: small_plot("a2", line("learning rate", 1e-3, 1e-5), log=True),
    "constant": lambda: small_plot("a3", line("learning rate", 1e-3, 1e-3), log=True),
    "percent": lambda: small_plot("a4", line("success", 0.1, 0.92), percent=True),
    "nothing": lambda: small_plot("a5", EMPTY),
}


@functools.cache
def plot(name: str) -> str:
    return DRAW[name]()


@pytest.mark.parametrize("name", DRAW)
def test_plots_are_self_contained_accessible_svg(name: str) -> None:
    text = plot(name)
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    named = {element.get("id"): element.text for element in root.iter() if element.get("id")}
    for label in str(root.get("aria-labelledby")).split():
        assert named[label]
    for link in re.findall(r'(?:url\(#|href="#)([^)"]+)', text):
        assert link in named
    assert "http" not in text.replace("http://www.w3.org/", "")
    assert root.get("width") is None


@pytest.mark.parametrize("name", DRAW)
def test_colours_are_the_pages(name: str) -> None:
    assert not re.search(r"#[0-9a-f]{6}", plot(name))
    assert "var(--" in plot(name)
    assert "DejaVu" not in plot(name)


def test_ids_do_not_meet() -> None:
    ids = [i for text in map(plot, DRAW) for i in re.findall(r'\bid="([^"]+)"', text) if "success" not in i]
    assert len(ids) == len(set(ids))


def test_descriptions_say_what_the_picture_shows() -> None:
    assert "zero 0%, interval 0% to 4%" in plot("intervals")
    assert "loss: from 3 to 2, between 2 and 3, over 2k env steps" in plot("small")
    assert "nothing was reported" in plot("nothing")


def test_a_file_of_its_own_brings_every_colour_it_uses() -> None:
    text = standalone(lines_plot("curve", "success", [line("seed 1", 0.0, 1.0)]))
    ET.fromstring(text)
    used = set(re.findall(r"var\((--[\w-]+)\)", text))
    assert "--series-0" in used
    assert used <= set(re.findall(r"(--[\w-]+):", text))


def test_the_same_numbers_give_the_same_picture() -> None:
    assert small_plot("a1", line("loss", 3.0, 2.0)) == plot("small")


def test_labels_are_escaped() -> None:
    ET.fromstring(small_plot("a", line('<b> & "c"', 1.0, 2.0)))


@pytest.mark.parametrize("name", ["cost_$_per_$^", "$x_$", r"\frac$a$"])
def test_a_name_with_dollars_is_a_name_like_any_other(name: str) -> None:
    curve = line(name, 1.0, 2.0)
    plots = [
        small_plot("a", curve),
        lines_plot("b", name, [curve]),
        interval_plot([Range(name, 0.9, 0.8, 0.95)]),
        success_plot(curve, line(name, 0.5), [], RANGE, 1000.0),
    ]
    for text in plots:
        texts = [element.text for element in ET.fromstring(text).iter(f"{SVG}text")]
        assert any(name in (found or "") for found in texts)


def test_global_settings_of_matplotlib_are_left_alone() -> None:
    before = dict(mpl.rcParams)
    small_plot("a", line("x", 1.0, 2.0))
    assert dict(mpl.rcParams) == before
