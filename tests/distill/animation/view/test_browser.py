"""The page in Chromium, which has no network: the head is there, it moves, and so do the curves."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from distill.animation.head import Head
from distill.animation.view.page import render
from distill.animation.view.takes import Take, View

pytest.importorskip("PIL")

PATIENCE = 60  # seconds for what takes a moment


class Tab(Protocol):
    """As in tests/conftest.py."""

    complaints: list[dict[str, Any]]
    requests: list[str]

    def open(
        self, page: Path, width: int = 1280, dark: bool = False, script: bool = True, height: int = 900
    ) -> None: ...
    def ask(self, expression: str) -> Any: ...
    def call(self, method: str, **params: object) -> Any: ...


pytestmark = pytest.mark.usefixtures("webgl")


@pytest.fixture(scope="module")
def file(page: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("view") / "view.html"
    path.write_bytes(page)
    return path


def seek(tab: Tab, moment: str) -> None:
    tab.ask(f"location.hash = 't={moment}'; 0")
    wait(tab, f"document.documentElement.dataset.time === '{float(moment):.3f}'")


def wait(tab: Tab, condition: str) -> None:
    end = time.monotonic() + PATIENCE
    while not tab.ask(condition):
        assert time.monotonic() < end, f"it never came true: {condition}"
        time.sleep(0.02)


def seen(tab: Tab, selector: str, number: int = 0) -> np.ndarray:
    """``[height, width, 3]``: an element as it is on the screen."""
    from PIL import Image

    box = tab.ask(f"""(() => {{ const box = document.querySelectorAll('{selector}')[{number}].getBoundingClientRect();
      return {{ x: box.x, y: box.y, width: box.width, height: box.height, scale: 1 }}; }})()""")
    data = base64.b64decode(tab.call("Page.captureScreenshot", format="png", clip=box)["data"])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)


def part(picture: np.ndarray, top: float, bottom: float, left: float = 0.4, right: float = 0.6) -> np.ndarray:
    height, width, _ = picture.shape
    return picture[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]


def quiet(tab: Tab, file: Path) -> None:
    """Nothing was complained of but by the machine that draws without a graphics card; nothing was asked for."""
    tab.ask("document.title")  # whatever was said arrives before its answer
    told = [one for one in tab.complaints if one["params"].get("entry", {}).get("source") != "rendering"]
    assert told == []
    own = {file.as_uri(), *(f"{file.as_uri()}#t={moment}" for moment in ("0.5", "1.5"))}
    assert {one for one in tab.requests if not one.startswith("blob:")} <= own


def test_the_head_is_drawn_and_its_mouth_opens(tab: Tab, file: Path) -> None:
    tab.open(file, 640, height=480)
    assert tab.ask("document.documentElement.dataset.state + document.documentElement.dataset.webgl") == "readytrue"
    seek(tab, "0.5")
    shut = seen(tab, ".stage canvas")
    seek(tab, "1.5")
    wide = seen(tab, ".stage canvas")
    red, green, blue = np.moveaxis(shut, -1, 0)
    skin = (red > green + 8) & (green > blue + 4)
    assert 0.2 < skin.mean() < 0.7  # the rest is ground, and the eyes
    middle = part(shut, 0.3, 0.6, 0.45, 0.55)
    assert middle.std() > 5  # it has a nose
    moved = np.abs(wide - shut).mean(axis=2)[:, :, None]
    assert part(moved, 0.1, 0.3).max() < 12  # the forehead stays, to a ripple of how light falls
    assert part(moved, 0.65, 0.9).mean() > 15  # the mouth does not
    dark = part(wide, 0.6, 0.9, 0.3, 0.7).mean(axis=2) < 60
    assert dark.mean() > 0.02  # and one looks into it
    assert (part(shut, 0.6, 0.9, 0.3, 0.7).mean(axis=2) < 60).mean() < 0.2 * dark.mean()
    quiet(tab, file)


def test_each_face_has_its_own_curves(tab: Tab, file: Path) -> None:
    tab.open(file, 640, height=480)
    seek(tab, "0.5")
    values = (
        "[...document.querySelectorAll('.score .lines li')].map((row) => row.innerText.split(/\\s*\\n\\s*/).join(' '))"
    )
    shown = [line.split() for line in tab.ask(values)]
    assert ["jaw", "open", "0.00", "0.26"] in shown  # a ramp of 48 frames at 24 a second: 12 of 47
    assert ["lips", "closed", "0.00", "\N{EN DASH}"] in shown  # the rig has no lips
    tab.ask("document.querySelector('details').open = true; 0")
    row = "[...document.querySelectorAll('.groups li')].find((row) => row.innerText.includes('flare'))"
    tab.ask(f"{row}.querySelector('input').click()")
    wait(tab, f"{row}.innerText.includes('-0.77')")  # three times as far, and down
    quiet(tab, file)


def test_curves_are_drawn_where_they_are(tab: Tab, made: Any, head: Head, tmp_path: Path) -> None:
    """Only the jaw is drawn: high in the second half, on the floor in the first."""
    path = tmp_path / "view.html"
    path.write_bytes(render(View("x", (made(jawOpen=np.repeat([0.0, 0.9], 50)),)), head))
    tab.open(path, 1000, height=800)
    tab.ask(
        "for (const box of document.querySelectorAll('.score input:checked')) if (box.dataset.line !== '1') box.click()"
    )
    seek(tab, "1.5")
    picture = seen(tab, "#score")
    blue = (picture[:, :, 2] > picture[:, :, 0] + 90).nonzero()  # #0072b2, and nothing else here
    rows, columns = (place / size for place, size in zip(blue, picture.shape, strict=False))
    assert rows[columns < 0.45].min() > 0.8
    assert 0.05 < np.median(rows[columns > 0.6]) < 0.2


def test_lips_are_drawn_as_they_are_given(tab: Tab, made: Any, head: Head, tmp_path: Path) -> None:
    """mouthClose undoes what jawOpen does; and a recording that has it over a shut jaw is not mended in secret."""
    path = tmp_path / "view.html"
    shapes = {"jawOpen": [0, 0, 0.4, 0.4], "mouthClose": [0, 0.8, 0, 0.4]}
    path.write_bytes(render(View("x", (made(rate=1.0, frames=4, **shapes),)), head))
    tab.open(path, 640, height=480)
    mouths = []
    for moment in "0123":
        seek(tab, moment)
        mouths.append(part(seen(tab, ".stage canvas"), 0.6, 0.85, 0.4, 0.6))
    rest, closed, opened, met = mouths
    assert np.abs(closed - rest).max() > 20
    assert (opened.mean(axis=2) < 60).mean() > 0.02
    assert (met.mean(axis=2) < 60).mean() < 0.005


def test_it_plays_its_sound_to_the_end(tab: Tab, made: Any, head: Head, tmp_path: Path) -> None:
    path = tmp_path / "view.html"
    path.write_bytes(render(View("x", (made(frames=20),), np.zeros(6_400, np.int16)), head))
    tab.open(path, 400, height=500)
    tab.ask("document.getElementById('speed').value = '0.5'; 0")
    tab.ask("document.getElementById('speed').dispatchEvent(new Event('change')); 0")
    box = tab.ask(
        "(() => { const box = document.getElementById('play').getBoundingClientRect(); return [box.x, box.y]; })()"
    )
    for kind in ("mousePressed", "mouseReleased"):  # a click that a person could have done, or no sound may play
        tab.call("Input.dispatchMouseEvent", type=kind, x=box[0] + 9, y=box[1] + 9, button="left", clickCount=1)
    data = "document.documentElement.dataset"
    wait(tab, f"{data}.playing === 'true'")
    wait(tab, f"{data}.time === '0.400' && {data}.playing === 'false'")
    quiet(tab, path)


def test_it_fits_a_phone_in_the_dark(tab: Tab, file: Path) -> None:
    tab.open(file, 390, dark=True, height=844)
    assert tab.ask("document.documentElement.scrollWidth") == 390
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 24)"
    assert tab.ask("[...document.querySelectorAll('.stage canvas')].every((one) => one.offsetHeight > 150)")
    quiet(tab, file)


def test_it_plays_by_its_own_clock_to_the_end(tab: Tab, made: Any, head: Head, tmp_path: Path) -> None:
    path = tmp_path / "view.html"
    path.write_bytes(render(View("x", (made(frames=10, jawOpen=0.5),), begin=3.0), head))
    tab.open(path, 400, height=500)
    for kind in ("keyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, key=" ", code="Space", windowsVirtualKeyCode=32, text=" ")
    data = "document.documentElement.dataset"
    wait(tab, f"{data}.time === '3.200' && {data}.playing === 'false'")
    assert tab.ask("document.getElementById('play').ariaLabel") == "Play"
    tab.ask("dispatchEvent(new KeyboardEvent('keydown', { key: 'Home' })); 0")
    wait(tab, f"{data}.time === '3.000'")
    tab.ask("dispatchEvent(new KeyboardEvent('keydown', { key: '.' })); 0")
    wait(tab, f"{data}.time === '3.020'")  # a frame
    quiet(tab, path)


def test_without_webgl_the_curves_remain(tab: Tab, file: Path) -> None:
    source = """const given = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        return kind === "webgl2" ? null : given.call(this, kind, ...rest); };"""
    script = tab.call("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]
    tab.open(file, 640, height=480)
    tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    assert tab.ask("document.documentElement.dataset.state + document.documentElement.dataset.webgl") == "readyfalse"
    assert tab.ask("[...document.querySelectorAll('.stage p')].every((one) => one.offsetHeight > 20)")
    assert tab.ask("[...document.querySelectorAll('.stage canvas')].every((one) => one.offsetHeight === 0)")
    assert seen(tab, "#score").std() > 5
    quiet(tab, file)


def test_hostile_names_do_nothing(tab: Tab, head: Head, tmp_path: Path) -> None:
    name = "</script><img src='https://example.com/x.png' onerror='window.evil = 1'>"
    curves = np.linspace(0, 1, 20, dtype=np.float32).reshape(10, 2)
    path = tmp_path / "view.html"
    path.write_bytes(render(View(name, (Take(name, curves, (name, "__proto__"), 30.0),) * 2, text=name), head))
    tab.open(path, 400, height=600)
    assert tab.ask("document.documentElement.dataset.state") == "ready"
    assert tab.ask("window.evil ?? document.images.length") == 0
    assert tab.ask("document.documentElement.scrollWidth") == 400
    tab.ask("for (const box of document.querySelectorAll('input[type=checkbox]')) if (!box.checked) box.click()")
    quiet(tab, path)
