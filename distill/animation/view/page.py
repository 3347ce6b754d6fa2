"""A view as one page that needs nothing else: no network, no fonts, no library; and its policy says so."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from compile.audit.render.page.markup import Markup, glossary, page, tag
from compile.audit.render.words import brief
from distill.animation.view import parts
from distill.animation.view.lines import lines
from distill.animation.view.packed import Packed, pack_head, pack_sound, pack_take
from distill.animation.view.takes import View, require_showable
from distill.corpus.espeak import PAUSE
from distill.evaluate.phones import BILABIALS
from distill.teachers.visemes import letters

if TYPE_CHECKING:
    from distill.animation.head import Head

# In the order in which they build on each other; together they are one module.
_SCRIPTS = ("data.js", "clock.js", "shaders.js", "refine.js", "stage.js", "plot.js", "page.js")


def render(view: View, head: Head) -> bytes:
    """UTF-8; the same view, the same bytes.

    Raises:
        UserError: a page cannot hold it, see :func:`distill.animation.view.takes.require_showable`.
    """
    require_showable(view)
    drawn = lines(view.takes)
    mesh, takes = pack_head(head), [pack_take(take) for take in view.takes]
    sound = None if view.audio is None else pack_sound(_to_the_end(view))
    facts = {
        "begin": view.begin,
        "seconds": view.seconds,
        "head": mesh.facts,
        "takes": [take.facts for take in takes],
        "sound": None if sound is None else sound.facts,
        "lines": [{key: value for key, value in asdict(line).items() if key in ("terms", "shown")} for line in drawn],
        "phones": [
            [brief(phone.symbol, 12), phone.start, phone.end, bool(BILABIALS & set(letters(phone.symbol)))]
            for phone in view.phones
            if phone.symbol != PAUSE
        ],
    }
    script = "\n".join(_own(name) for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    blobs = {"mesh": mesh, **{f"take-{index}": take for index, take in enumerate(takes)}}
    body = tag(
        "body",
        parts.header(view),
        tag(
            "main",
            tag("div", parts.stage(view), parts.score(view, drawn), class_="bench"),
            parts.transport(view),
            parts.controls(view, drawn),
            parts.comparison(view),
            parts.remarks(view, head),
        ),
        glossary("Keys", parts.KEYS),
        tag("noscript", tag("p", "This page needs JavaScript to move the head; it loads nothing.", class_="nothing")),
        *(_blob(name, packed) for name, packed in blobs.items()),
        *([] if sound is None else [_blob("sound", sound)]),
        tag("script", Markup(_json(facts)), type="application/json", id="facts"),
        tag("script", Markup(script), type="module"),
    )
    styles = (files("compile.audit.render.page").joinpath("page.css").read_text("utf-8"), _own("view.css"))
    return page(f"{brief(view.title, 96)}: phiz view", styles, body, f"'sha256-{digest}'", media_source="blob:")


def _to_the_end(view: View) -> Any:
    """The audio, followed by silence where a face goes on: the page has one clock, and that is its sound."""
    import numpy as np

    from distill.audio import SAMPLE_RATE

    assert view.audio is not None
    return np.pad(view.audio, (0, max(0, round(view.seconds * SAMPLE_RATE) - len(view.audio))))


def _own(name: str) -> str:
    return files("distill.animation.view").joinpath(name).read_text(encoding="utf-8")


def _json(facts: dict[str, Any]) -> str:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(facts, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _blob(name: str, packed: Packed) -> Markup:
    return tag("script", Markup(packed.text), type="text/plain", id=name)
