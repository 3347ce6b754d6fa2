"""``phiz diff``: what grew between two artefacts or builds. Imports as little as ``phiz audit``."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from compile.cli.publish import By, require_outputs


class Form(str, Enum):
    """Of what is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


_WHAT = "a build folder, an artefact, or git:REV:PATH"


def diff(
    new: Annotated[str, typer.Argument(metavar="NEW", help=f"What there is now: {_WHAT}.", show_default=False)],
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="What to compare with: the same, a manifest.json, an audit.json, or git:REV for NEW's own path.",
            show_default=False,
        ),
    ],
    by: Annotated[
        list[By] | None, typer.Option(help="What to add up bytes by; may repeat. Default: section and layer.")
    ] = None,
    top: Annotated[int, typer.Option(metavar="COUNT", min=1, help="Labels to show before the rest is one.")] = 12,
    form: Annotated[Form, typer.Option("--format", help="What to print; JSON is that of phiz audit.")] = Form.TEXT,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with a map of the bytes.")
    ] = None,
) -> None:
    """Show what grew and what shrank, to the byte. Exit codes: 0 compared, 2 bad input."""
    from compile.audit.comparison import compare
    from compile.audit.render import comparison

    require_outputs(html)
    report = compare(new, old, Path())
    if html:
        from compile.audit.render.page.html import render as page
        from compile.files import write_atomically

        write_atomically(html, page(report))
    labels = [entry.value for entry in by or (By.SECTION, By.LAYER)]
    if form == Form.JSON:
        from compile.audit.render.as_json import render

        sys.stdout.write(render(report).decode())
    else:
        show = comparison.markdown if form == Form.MARKDOWN else comparison.text
        sys.stdout.write(show(report, labels, top))
