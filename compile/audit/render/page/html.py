"""A report as one page that needs nothing else: no network, no fonts, and of JavaScript only what it can do without."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files

from compile.audit.render.page.artefact import artefact
from compile.audit.render.page.markup import Markup, glossary, page, tag
from compile.audit.render.page.overview import overview
from compile.audit.render.words import brief
from compile.audit.report import Report

_STYLE, _SCRIPT = (("compile.audit.render.page", name) for name in ("page.css", "page.js"))


def render(
    report: Report,
    *,
    brand: str = "phiz audit",
    before: Iterable[Markup] = (),
    after: Iterable[Markup] = (),
    styles: Iterable[tuple[str, str]] = (),
    terms: Iterable[tuple[str, str]] = (),
) -> bytes:
    """UTF-8; the same report, the same bytes.

    What the page may do is in itself: its policy admits no request, and no script but the one that it was made with.

    Args:
        report: of the auditor.
        brand: the command that made it.
        before: sections between the overview and the artefacts.
        after: sections behind them.
        styles: of these sections: package and file.
        terms: that they use, and what they mean.
    """
    script = _own(*_SCRIPT)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    body = tag(
        "body",
        overview(report, brand),
        tag(
            "main",
            *before,
            *(artefact(row, f"a{number}", len(report.rows) == 1) for number, row in enumerate(report.rows, 1)),
            *after,
        ),
        glossary("What the numbers mean", (*_TERMS, *terms)),
        tag("div", id="tip", role="status", hidden=True),
        tag("script", Markup(script)),
    )
    title = f"{brief(report.name, 96)}: {_word(report)}, {brand}"
    return page(title, (_own(*style) for style in (_STYLE, *styles)), body, f"'sha256-{digest}'")


def _own(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


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
