"""The page in Chromium, which has no network: what it draws, at which widths, and what JavaScript adds."""

from __future__ import annotations

import base64
import re
import zlib
from pathlib import Path
from typing import Any, Protocol

import pytest

from compile.audit.render.page.html import render
from compile.audit.report import Report

WIDTHS = (400, 1280)


class Tab(Protocol):
    """As in conftest.py."""

    complaints: list[object]
    events: list[dict[str, Any]]
    requests: list[str]

    def open(self, page: Path, width: int = 1280, dark: bool = False, script: bool = True) -> None: ...
    def ask(self, expression: str) -> object: ...
    def press(self, key: str) -> None: ...
    def call(self, method: str, **params: object) -> Any: ...


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "audit.html"
    path.write_bytes(render(report))
    return path


def quiet(tab: Tab, page: Path) -> None:
    tab.ask("document.title")  # whatever was said arrives before its answer
    assert tab.complaints == []
    assert tab.requests == [page.as_uri()]


# Elements whose content sticks out of them where it may not, or out of the window.
CUT = """[...document.querySelectorAll("h1, h2, h3, p, li, dt, dd, th, td, label, summary, .head *, .tick, .line span")]
  .filter((one) => one.offsetParent && !one.closest(".scroll, details, .unseen, .name, .cell"))
  .filter((one) => { const box = one.getBoundingClientRect();
    return one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline"
      || box.right > innerWidth + 1 || box.left < -1; })
  .map((one) => one.outerHTML.slice(0, 90))"""
# Labels that lie on each other.
CLASHES = """(() => {
  const labels = ".tick, .line span, .axis > span, .head > *, figcaption, .name, .cell > span";
  const boxes = [...document.querySelectorAll(labels)]
    .filter((one) => one.checkVisibility() && one.offsetWidth).map((one) => [one, one.getBoundingClientRect()]);
  const found = [];
  for (const [i, [one, a]] of boxes.entries()) for (const [other, b] of boxes.slice(0, i))
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1.5
      && !(one.closest(".places") && other.closest(".places")))
      found.push(one.textContent + " | " + other.textContent);
  return found; })()"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_draws_without_a_word_or_a_request(tab: Tab, page: Path, width: int, dark: bool) -> None:
    tab.open(page, width, dark)
    ground = tab.ask("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(16, 20, 24)" if dark else "rgb(251, 251, 249)")
    assert tab.ask("document.documentElement.scrollWidth") == width  # nothing scrolls sideways
    assert tab.ask(CUT) == []
    assert tab.ask(CLASHES) == []
    assert tab.ask("[...document.querySelectorAll('.map')].filter((map) => map.offsetHeight > 250).length") == 2
    quiet(tab, page)


def test_areas_on_the_screen_are_shares(tab: Tab, page: Path) -> None:
    """Within a group cells are as large as their bytes: to a pixel's rounding and two digits of a percentage."""
    tab.open(page)
    cells = tab.ask("""[...document.querySelector(".map .group .cells").children].map((cell) => {
      const box = cell.getBoundingClientRect();
      return [box.width * box.height, +cell.dataset.tip.match(/([\\d,]+) bytes/)[1].replaceAll(",", "")]; })""")
    assert isinstance(cells, list)
    assert len(cells) > 5
    area, size = (sum(column) for column in zip(*cells, strict=True))
    for one, of in cells:
        assert one / area == pytest.approx(of / size, rel=0.02)


def test_without_javascript_all_is_there_but_tips(tab: Tab, page: Path) -> None:
    tab.open(page, script=False)
    assert tab.ask("document.querySelectorAll('.crumb, .guide').length") == 0
    shown = "[...document.querySelectorAll('.switch')].map((one) => [...one.querySelectorAll(':scope > .view')]"
    shown += ".map((view) => view.offsetHeight > 0))"
    assert tab.ask(shown) == [[True, False], [True, False, False, False], [True, False, False, False]]
    tab.ask("document.querySelectorAll('.switch')[1].querySelectorAll(':scope > label')[2].click()")
    assert tab.ask(f"{shown}[1]") == [False, False, True, False]
    assert tab.ask("document.querySelectorAll('.cell[title]').length") != 0
    tab.ask("window.rows = [...document.querySelectorAll('details')].find((one) => one.checkVisibility()); 0")
    tab.ask("rows.querySelector('summary').click()")
    assert tab.ask("rows.querySelector('table').offsetHeight > 50")


def test_the_map_zooms_by_mouse_and_keyboard(tab: Tab, page: Path) -> None:
    tab.open(page)
    tab.ask("window.map = document.querySelector('.map'); window.first = map.querySelector('.group'); 0")
    seen = "[...map.querySelectorAll('.group')].filter((group) => group.offsetWidth).length"
    groups = tab.ask(seen)
    assert groups == 4  # weights, graph, metadata, quantisation parameters
    tab.ask("first.querySelector('.cell').click()")
    assert tab.ask(seen) == 1
    assert tab.ask(
        "Math.abs(first.offsetWidth - map.offsetWidth) < 2 && Math.abs(first.offsetHeight - map.offsetHeight) < 2"
    )
    assert str(tab.ask("map.previousElementSibling.textContent")).startswith(
        "All 43,225 bytes \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} weights"
    )
    tab.ask("map.previousElementSibling.querySelector('button').click()")
    assert tab.ask(seen) == groups
    assert tab.ask("map.contains(document.activeElement)")
    before = tab.ask("document.activeElement.ariaLabel")
    tab.press("ArrowRight")
    after = tab.ask("document.activeElement.ariaLabel")
    assert after != before
    assert tab.ask("map.querySelectorAll('.cell[tabindex=\"0\"]').length") == 1
    assert tab.ask("document.getElementById('tip').textContent.replaceAll('\\n', ', ')") == after
    tab.press("Enter")
    assert tab.ask(seen) == 1
    assert tab.ask("document.activeElement.ariaLabel") == after
    tab.press("Escape")
    assert tab.ask(seen) == groups
    quiet(tab, page)


def test_the_time_line_tells_of_the_step_below_the_pointer(tab: Tab, page: Path, report: Report) -> None:
    tab.open(page)
    at = "document.querySelector('.plot.live').getBoundingClientRect()"
    tab.ask("document.querySelector('.plot.live').scrollIntoView({ block: 'center', behavior: 'instant' })")
    x, y = (
        float(str(tab.ask(f"{at}.{side} + {at}.{length} * {share}")))
        for side, length, share in (("left", "width", 2.5 / 13), ("top", "height", 0.5))
    )
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    dissection = report.rows[0].dissection
    assert dissection is not None
    live = sum(tensor.size for tensor in dissection.lifetimes if tensor.first <= 2 <= tensor.last)
    lines = str(tab.ask("document.getElementById('tip').textContent")).split("\n")
    assert lines[:2] == [f"Step 2 {dissection.steps[2]}", f"{live:,} bytes alive"]
    assert tab.ask("document.querySelector('.guide').style.left") == f"{100 * 2 / 13:.4f}%"
    tab.ask("document.querySelector('.plot.live').focus()")
    tab.press("ArrowRight")
    assert str(tab.ask("document.getElementById('tip').textContent")).startswith("Step 3 ")
    tab.press("Escape")
    assert tab.ask("document.getElementById('tip').hidden")
    quiet(tab, page)


def test_hostile_names_do_nothing(tab: Tab, hostile: Report, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_bytes(render(hostile))
    tab.open(path, 400)
    assert tab.ask("document.scripts.length") == 1
    assert tab.ask("document.querySelectorAll('img, iframe, [onmouseover], [onfocus]').length") == 0
    assert tab.ask("document.documentElement.scrollWidth") == 400
    assert tab.ask(CUT) == []
    tab.ask("for (const cell of document.querySelectorAll('.cell')) cell.focus()")
    quiet(tab, path)


def test_the_policy_stops_what_is_not_the_pages_own(tab: Tab, page: Path, tmp_path: Path) -> None:
    """If a name did become markup some day, it still could not run or call home."""
    path = tmp_path / "evil.html"
    evil = b"<script>window.evil = 1</script><img src='https://example.com/x.png' onerror='window.evil = 2'><main>"
    path.write_bytes(page.read_bytes().replace(b"<main>", evil))
    tab.open(path)
    assert tab.ask("window.evil ?? 0") == 0
    assert tab.ask("document.querySelectorAll('.crumb').length") == 8  # its own script did run
    own, *others = tab.requests
    assert own == path.as_uri()
    blocked = [event for event in tab.events if event.get("method") == "Network.loadingFailed"]
    assert [event["params"]["blockedReason"] for event in blocked] == ["csp"] * len(others)
    assert tab.complaints  # which is how the other tests would know


def test_print_shows_no_controls(tab: Tab, page: Path) -> None:
    tab.open(page)
    tab.call("Emulation.setEmulatedMedia", media="print")
    controls = "document.querySelectorAll('.crumb, .switch > label:not(input:checked + label)')"
    assert tab.ask(f"[...{controls}].filter((one) => one.offsetWidth).length") == 0
    tab.call("Emulation.setEmulatedMedia", media="")


def test_the_map_is_printed(tab: Tab, page: Path) -> None:
    """The colour of weights is set once for each of the 12 and 3 cells of weights in the two maps shown."""
    tab.open(page)
    tab.ask("for (const other of document.querySelectorAll('.time, .legend')) other.remove()")
    colour = tab.ask("getComputedStyle(document.querySelector('.map .c0')).backgroundColor.match(/\\d+/g).map(Number)")
    assert isinstance(colour, list)
    data = base64.b64decode(tab.call("Page.printToPDF", printBackground=True)["data"])
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    drawn = b"".join(zlib.decompressobj().decompress(stream) for stream in streams if stream[:1] == b"x")
    fills = re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) rg", drawn)
    alike = [fill for fill in fills if [round(255 * float(part)) for part in fill] == colour]
    assert len(alike) == 12 + 3
