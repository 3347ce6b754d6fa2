"""A report as one page that needs nothing else: no network, no fonts, and of JavaScript only what it can do without."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from compile.audit.render.page.artefact import artefact
from compile.audit.render.page.markup import Markup, glossary, page, tag
from compile.audit.render.page.overview import overview
from compile.audit.render.words import brief
from compile.audit.report import Report


def render(report: Report) -> bytes:
    """UTF-8; the same report, the same bytes.

    What the page may do is in itself: its policy admits no request, and no script but the one that it was made with.
    """
    style, script = _own("page.css"), _own("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    body = tag(
        "body",
        overview(report),
        tag("main", *(artefact(row, f"a{number}", len(report.rows) == 1) for number, row in enumerate(report.rows, 1))),
        glossary("What the numbers mean", _TERMS),
        tag("div", id="tip", role="status", hidden=True),
        tag("script", Markup(script)),
    )
    title = f"{brief(report.name, 96)}: {_word(report)}, phiz audit"
    return page(title, [style], body, f"'sha256-{digest}'")


def _own(name: str) -> str:
    return files("compile.audit.render.page").joinpath(name).read_text(encoding="utf-8")


def _word(report: Report) -> str:
    return "fail" if report.exit_code else "pass" if any(row.checks for row in report.rows) else "sizes"


_TERMS = (
    ("File", "bytes on disk, every file of the artefact."),
    ("Download", "compressed with deflate, file by file, as app stores and web servers do at least."),
    ("Resident weights", "constants and quantisation parameters as they lie in memory once loaded."),
    ("Peak activations", "an arena in which every activation finds room while it lives, planned from real lifetimes."),
    ("Lower bound", "the most that is alive in one step: no arena can be smaller."),
    ("Footprint", "resident weights and peak activations: the memory that the model takes while it runs."),
    ("kB, MB", "10³ and 10⁶ bytes; exact bytes stand beside."),
)
