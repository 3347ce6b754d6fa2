"""The page in one file: the face in WebAssembly, the head, and what hears and draws; it requests nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path

from compile.audit.render.page.markup import Markup, page, tag
from distill.animation.head import Head
from distill.animation.view.packed import pack_head
from distill.curves import CLOSED, LINES
from distill.evaluate.face import CLOSURE

HERE = Path(__file__).parent
# In the order in which they build on each other; together they are one module. The first four are those of `phiz view`.
_VIEW, _OWN = ("data.js", "shaders.js", "refine.js", "stage.js"), ("face.js", "voices.js", "page.js")
# Label, share by control, colour: the lines that `phiz view` and `phiz bake --plot` draw.
_LINES = (
    (CLOSED[0], dict(CLOSURE), CLOSED[1]),
    *((label, dict.fromkeys(names, 1 / len(names)), colour) for label, names, colour in LINES),
)
_FIGURES = (
    ("ahead", "Look-ahead", "what a frame waits for: the student's future, the ensemble, the resampler"),
    ("behind", "Behind the voice", "from the sample that arrived to the face that is shown"),
    ("cost", "A hop takes", "resampling and student, in one thread"),
    ("pictures", "Pictures a second", ""),
)


def render(wasm: bytes, head: Head) -> bytes:
    """UTF-8; the same module, the same bytes."""
    mesh = pack_head(head)
    facts = {"head": mesh.facts, "lines": [terms for _, terms, _ in _LINES]}
    view = files("distill.animation.view")
    sources = [*map(view.joinpath, _VIEW), *(HERE / name for name in _OWN)]
    script = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    body = tag(
        "body",
        tag("header", tag("p", "phiz", class_="brand"), tag("h1", "A face that hears you")),
        tag("main", _stage(), tag("section", _buttons(), _figures(), _bars(), aria_label="Sound and figures")),
        tag(
            "footer",
            tag("p", "Nothing leaves this page: it has no network. Drop an audio file on it, or speak.", class_="note"),
        ),
        tag("noscript", tag("p", "This page needs JavaScript and WebAssembly; it loads nothing.")),
        _data("mesh", mesh.text),
        _data("wasm", base64.b64encode(wasm).decode()),
        _data("worklet", (HERE / "worklet.js").read_text("utf-8")),
        tag("script", Markup(json.dumps(facts, separators=(",", ":"))), type="application/json", id="facts"),
        tag("script", Markup(script), type="module"),
    )
    styles = (
        files("compile.audit.render.page").joinpath("page.css").read_text("utf-8"),
        (HERE / "page.css").read_text(),
    )
    # A worklet is a script with an address; those of data: are in the page itself.
    return page("A face that hears you", styles, body, f"'sha256-{digest}' 'wasm-unsafe-eval' data:")


def _stage() -> Markup:
    lacking = "The head needs WebGL 2, which this browser does not give; the bars do without."
    canvas = tag("canvas", id="head", role="img", aria_label="a head, moved by what is heard")
    return tag("section", canvas, tag("p", lacking, hidden=True, id="unseen"), class_="head")


def _buttons() -> Markup:
    return tag(
        "div",
        tag(
            "div",
            tag("button", "Microphone", type="button", id="microphone"),
            tag("label", "File…", tag("input", type="file", accept="audio/*,video/*", id="file", class_="unseen")),
            tag("button", "Stop", type="button", id="stop", disabled=True),
            class_="buttons",
        ),
        tag("meter", id="level", min="0", max="1", high="0.95", aria_label="Level"),
        tag("p", "", id="said", class_="said", role="status"),
    )


def _figures() -> Markup:
    def cell(name: str) -> Markup:
        value = tag("output", "–", id=name, aria_live="off")  # noqa: RUF001  (the sign for "not known" is an en dash)
        return tag("td", value, tag("small", "", id="share") if name == "cost" else "")

    rows = (
        tag("tr", tag("th", label, tag("small", f" {meaning}" if meaning else ""), scope="row"), cell(name))
        for name, label, meaning in _FIGURES
    )
    return tag("table", tag("tbody", *rows))


def _bars() -> Markup:
    return tag(
        "ul",
        *(
            tag("li", label, tag("i", style=f"--hue:{colour}", data_line=str(index)))
            for index, (label, _, colour) in enumerate(_LINES)
        ),
        class_="bars",
    )


def _data(name: str, text: str) -> Markup:
    return tag("script", Markup(text), type="text/plain", id=name)
