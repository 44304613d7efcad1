"""The page in a real browser, where there is one: no overflow, no network, no errors."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from blueprint_tune.reporting.report import ReportData, write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")

_MEASURE = """
<body style="margin:0"><script>
const sizes = WIDTHS, found = [];
for (const width of sizes) {
  const frame = document.createElement("iframe");
  frame.style = `border:0;width:${width}px;height:900px`;
  frame.src = "report.html";
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    const wide = [...page.querySelectorAll("main *")].filter(element =>
      !element.closest(".scroll, figure.wide, svg, pre, .range") &&
      element.getBoundingClientRect().right > width + 1);
    found.push({width, page: root.scrollWidth, wide: wide.map(element => element.outerHTML.slice(0, 80)),
      loaded: frame.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name),
      dark: getComputedStyle(page.body).backgroundColor});
    if (found.length == sizes.length) document.title = "FOUND" + JSON.stringify(found);
  };
  document.body.append(frame);
}
</script>"""


def browse(folder: Path, page: str, *flags: str) -> tuple[str, str]:
    """(the page's DOM, what the browser logged)."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--no-first-run", "--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr", "--virtual-time-budget=20000", *flags,
            "--dump-dom", f"file://{folder / page}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(full_report: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser")
    write_report(full_report, path / "report.html")
    (path / "measure.html").write_text(_MEASURE.replace("WIDTHS", "[390, 768, 1200]"))
    return path


def test_nothing_overflows_and_nothing_is_loaded(folder: Path) -> None:
    dom, _ = browse(folder, "measure.html")
    found = re.search(r"<title>FOUND(.*?)</title>", dom)
    assert found is not None, dom
    sizes = json.loads(found[1])
    assert {size["width"] for size in sizes} == {390, 768, 1200}
    for size in sizes:
        assert size["page"] <= size["width"], size
        assert size["wide"] == []
        assert [name for name in size["loaded"] if not name.startswith("data:")] == []


def test_the_console_stays_empty(folder: Path) -> None:
    _, log = browse(folder, "report.html")
    assert [line for line in log.splitlines() if "CONSOLE" in line] == []


def test_dark_is_dark(folder: Path) -> None:
    dom, _ = browse(folder, "measure.html", "--blink-settings=preferredColorScheme=0")
    assert "rgb(18, 21, 26)" in dom
