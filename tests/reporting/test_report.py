from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from blueprint_tune.reporting.curves import TrialCurves
from blueprint_tune.reporting.page import render
from blueprint_tune.reporting.report import ReportData, write_report

VOID = {"source", "meta", "img", "link", "br", "wbr", "hr", "input"}


class Page(HTMLParser):
    """Collects elements and checks that they close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.elements if tag in tags]


@pytest.fixture(scope="module")
def text(full_report: ReportData, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(full_report, path)
    return path.read_text(encoding="utf-8")


def test_the_page_is_one_accessible_file(text: str) -> None:
    page = Page(text)
    for element in page.all("img", "source"):
        assert str(element.get("src", element.get("srcset"))).startswith("data:image/")
    assert page.all("script", "link", "iframe", "object", "form") == []
    assert "://" not in re.sub(r'xmlns(:\w+)?="http://www\.w3\.org/[^"]+"', "", text)
    assert "@import" not in text
    assert all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("aria-labelledby") for svg in page.all("svg"))
    assert all(cell.get("scope") for cell in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ids_are_unique_and_links_lead_somewhere(text: str) -> None:
    page = Page(text)
    ids = Counter(attrs["id"] for _, attrs in page.elements if attrs.get("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    for link in page.all("a"):
        assert str(link["href"]).removeprefix("#") in ids
    for _, attrs in page.elements:
        for name in (attrs.get("aria-labelledby") or "").split():
            assert name in ids


def test_tables_that_scroll_can_be_reached_by_keyboard(text: str) -> None:
    for region in [a for a in Page(text).all("div") if a.get("class") == "scroll"]:
        assert region["tabindex"] == "0"
        assert region.get("aria-labelledby") or region.get("aria-label")


def test_what_others_wrote_is_escaped(text: str) -> None:
    assert "<script>" not in text
    assert "&lt;script&gt;alert" in text


def test_it_says_what_matters_first(text: str) -> None:
    body = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    parts = (
        'class="rate">92%', "6 of 10 gates passed, 3 missed, 1 not decided", 'id="learning"', "By seed",
        ">Robustness<", 'id="sim2real"', 'id="trials"', "Who copied whom", "0.35 kg assumed", 'id="settings"',
        "python -m blueprint_tune",
    )  # fmt: skip
    places = [body.index(part) for part in parts]
    assert places == sorted(places)


def test_every_failure_is_told_with_its_reason(text: str) -> None:
    assert "trial 3: restarted at 0 env steps: out of memory" in text
    assert "trial 3: gave up at 0 env steps: its process died" in text
    assert "trial 3: not comparable: half the environments" in text


def test_a_film_gives_way_to_a_picture_where_motion_or_paper_forbids_it(text: str) -> None:
    page = Page(text)
    (source,) = page.all("source")
    assert source["media"] == "(prefers-reduced-motion: reduce), print"
    assert str(source["srcset"]).startswith("data:image/png")
    assert str(page.all("img")[0]["src"]).startswith("data:image/gif")


def test_what_was_not_measured_is_said(full_report: ReportData, report: ReportData) -> None:
    assert ">Robustness<" not in render(report) and "How sure the choice is" not in render(report)
    unmeasured = {**full_report.benchmark, "robustness": [], "selection": None}
    html = render(replace(full_report, benchmark=unmeasured))
    assert "Not measured in this run." in html and "How sure the choice is" not in html


def luminance(colour: str) -> float:
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_can_be_read_in_both_schemes(text: str, scheme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    pairs = [("ink", "page"), ("muted", "page"), ("muted", "panel"), ("accent", "page"), ("page", "accent")]
    pairs += [("good", "good-soft"), ("bad", "bad-soft"), ("ink", "accent-soft"), ("muted", "accent-soft")]
    for front, back in pairs:
        one, other = sorted((luminance(colours[front]), luminance(colours[back])))
        assert (other + 0.05) / (one + 0.05) >= 4.5, (front, back)


def test_both_colour_schemes_and_print_are_provided(text: str) -> None:
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    light, dark = (
        set(re.findall(r"(--[\w-]+):", block))
        for block in re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    )
    assert dark == light
    assert {f"--{name}" for name in re.findall(r"var\(--([\w-]+)\)", text)} <= light


def test_a_run_with_little_to_show(report: ReportData, trials: tuple[TrialCurves, ...]) -> None:
    bare = TrialCurves("b", "completed", {}, ({"env_steps": 10.0, "eval/success_rate": 0.0},))
    policy = {**report.policy, "joint_targets": None}
    small = replace(
        report,
        trials=(bare,),
        best_trial="b",
        notes=(),
        changes={},
        picture_png=None,
        timings_s={},
        policy=policy,
    )
    text = render(small)
    Page(text)
    assert "<img" not in text
    assert "All settings are the defaults." in text
    assert "No reward terms were reported." in text
