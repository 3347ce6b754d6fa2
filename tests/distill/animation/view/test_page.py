"""The page as a file: one, whole, its own, and nothing in it that a name could have made."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from distill.animation.head import Head
from distill.animation.view.page import render
from distill.animation.view.takes import Take, View
from distill.corpus.espeak import Phone

VOID = {"meta", "input", "path"}
HOSTILE = (
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "<!--",
    "url(https://example.com/x.png)",
    "\x00\x1b[31m\u202egnp.exe\ud800",
    "a" * 5_000,
)


class Page(HTMLParser):
    """Checks that tags nest, and gathers what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: dict[str, str] = {}
        self.said = ""
        self._within: dict[str, str | None] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self._within = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.texts[self._within.get("id") or "module"] = data
        elif self.open[-1:] != ["style"]:
            self.said += f"{data}\n"


@pytest.fixture(scope="module")
def parsed(page: bytes) -> Page:
    return Page(page.decode())


def test_it_loads_nothing(page: bytes, parsed: Page) -> None:
    assert not {"link", "img", "iframe", "audio", "video", "object", "base", "form"} & set(parsed.tags)
    assert not [one for one in parsed.attributes if one[1] in ("src", "srcset", "action") or one[1].startswith("on")]
    assert {one[2] for one in parsed.attributes if one[1] == "href"} == {"#t=0.98"}  # just before the jaw falls
    assert b"http://" not in page
    assert b"https://" not in page
    assert b"import(" not in page
    assert b"fetch(" not in page


def test_its_policy_admits_its_own_script_only(parsed: Page) -> None:
    (policy,) = (value for tag, name, value in parsed.attributes if name == "content" and "default-src" in str(value))
    digest = base64.b64encode(hashlib.sha256(parsed.texts["module"].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; media-src blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_what_it_carries(parsed: Page, speaking: View) -> None:
    facts = json.loads(parsed.texts["facts"])
    assert facts["seconds"] == 2.0
    assert [take["name"] for take in facts["takes"]] == ["first", "rig"]
    assert facts["phones"] == [["b", 0.1, 0.3, True], ["a", 1.0, 1.8, False]]  # a pause is none
    first, other = facts["takes"]
    counted = np.frombuffer(base64.b64decode(parsed.texts["take-0"]), "<u2")
    at = first["controls"].index("jawOpen")
    np.testing.assert_array_equal(first["low"][at] + first["step"][at] * counted, speaking.takes[0].curves[:, at])
    assert len(base64.b64decode(parsed.texts["take-1"])) == 2 * 2 * 48
    assert other["rate"] == 24.0
    assert base64.b64decode(parsed.texts["sound"])[:4] in (b"fLaC", b"RIFF")


def test_what_the_head_lacks_is_said(parsed: Page) -> None:
    assert "rig: the head has no shape for flare; the curves show them." in parsed.said
    assert "“ba”" in parsed.said


def test_the_same_view_is_the_same_page(page: bytes) -> None:
    """In another process as well, whatever the seed of its hashes."""
    code = (
        "import hashlib, numpy as np\nfrom distill.animation.head import load\n"
        "from distill.animation.view.page import render\nfrom distill.animation.view.takes import Take, View\n"
        "takes = tuple(Take(n, np.outer([0, 1], [1, 2]).astype('f4'), ('jawOpen', 'b'), 30.) for n in 'xy')\n"
        "print(hashlib.sha256(render(View('x', takes, np.arange(9, dtype='i2')), load())).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_hostile_names_are_text(head: Head) -> None:
    names = "\n".join(HOSTILE)
    controls = ("jawOpen", *HOSTILE)
    curves = np.linspace(0, 1, 2 * len(controls), dtype=np.float32).reshape(2, -1)
    takes = tuple(Take(f"{names}{index}", curves, controls, 30.0) for index in range(2))
    phones = tuple(Phone(name, 0.0, 0.1) for name in HOSTILE)
    text = render(View(names, takes, np.zeros(99, np.int16), phones, names, text=names), head).decode()
    page = Page(text)
    assert page.tags.count("script") == 6  # mesh, two takes, sound, facts, module
    assert "img" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert json.loads(page.texts["facts"])["takes"][0]["controls"] == [*controls[:-2], HOSTILE[5], HOSTILE[6]]
    shown = re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.DOTALL)
    assert "https://example.com" in page.said  # as text
    assert not re.search("[\x00\x1b\u202e]", shown)
    assert "a" * 600 not in shown


def test_a_page_without_sound_and_with_one_face(made, head: Head) -> None:
    page = Page(render(View("x", (made(jawOpen=0.5),)), head).decode())
    assert "sound" not in page.texts
    assert json.loads(page.texts["facts"])["sound"] is None
    assert "no sound" in page.said
    assert "Differences" not in page.said
    assert ("button", "id", "mute") not in page.attributes


def test_sound_is_as_long_as_the_faces(made, head: Head) -> None:
    """The page has one clock, and that is its sound."""
    av = pytest.importorskip("av")
    import io

    view = View("x", (made(frames=100),), np.ones(16_000, np.int16))
    page = Page(render(view, head).decode())
    with av.open(io.BytesIO(base64.b64decode(page.texts["sound"]))) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(heard) == 32_000
    assert heard[:16_000].all()
    assert not heard[16_000:].any()


def test_times_are_those_of_the_file(made, head: Head) -> None:
    one, other = made("a"), made("b", jawOpen=(np.arange(100) == 50) / 2)
    page = Page(render(replace(View("x", (one, other)), begin=12.5), head).decode())
    assert "2.0 s from 12.5 s on" in page.said
    assert ("a", "href", "#t=13.50") in page.attributes
