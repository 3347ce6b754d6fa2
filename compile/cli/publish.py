"""Where a report goes: to the screen, to a file, to a page, to the summary of a CI job."""

from __future__ import annotations

import os
import sys
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from compile.audit.folder import resolve
from compile.audit.formats import FORMATS
from compile.cli.console import screen
from compile.errors import UserError

if TYPE_CHECKING:
    from compile.audit.report import Report

TOP = 10
_SUMMARY = "GITHUB_STEP_SUMMARY"


class By(str, Enum):
    """What bytes are added up by."""

    SECTION = "section"
    LAYER = "layer"
    OPERATOR = "operator"
    DTYPE = "dtype"


class Format(str, Enum):
    """Of a report."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    SARIF = "sarif"
    GITHUB = "github"


_MODULES = {Format.JSON: "as_json"} | {form: form.value for form in Format if form != Format.JSON}


def require_outputs(*paths: Path | None) -> None:
    """Make sure that what is to be written destroys no model, and not each other.

    An option whose value was forgotten takes the next word of the line, which is a model.

    Raises:
        UserError: a path is that of an artefact or inside of one, or is given twice.
    """
    given = [path for path in paths if path is not None]
    models = {known.suffix for known in FORMATS}
    for path in given:
        if models & {part.suffix for part in (path, *path.parents)}:
            raise UserError("it would be a model, not a report", where=str(path), fix="name another file to write")
    if len({resolve(path) for path in given}) < len(given):
        raise UserError("it is to be written twice", where=str(given[0]), fix="name two files")


def publish(
    report: Report, form: Format, *, output: Path | None, page: Path | None, by: str = "section", top: int = TOP
) -> None:
    """Print ``report``, or write it to ``output``; and a page where one is asked for. Files appear whole.

    Args:
        report: to be shown.
        form: of what is printed.
        output: to write that to instead; None for the screen.
        page: to write the HTML page to; None for none.
        by: what text adds up bytes by, one of ``breakdown.BY``.
        top: rows of that.

    Raises:
        UserError: a file cannot be written.
    """
    files = {page: _render("page.html", report)} if page else {}
    if output:
        files[output] = _text(report, by, top) if form == Format.TEXT else _render(_MODULES[form], report)
    for path, data in files.items():
        from compile.files import write_atomically

        write_atomically(path, data)
    if form == Format.GITHUB:
        _summarise(report)
    if output is None and form == Format.TEXT:
        from compile.audit.render.terminal import show

        show(report, screen(), by, top)
    elif output is None:
        sys.stdout.write(_render(_MODULES[form], report).decode())


def _render(module: str, report: Report) -> bytes:
    data: bytes = import_module(f"compile.audit.render.{module}").render(report)
    return data


def _text(report: Report, by: str, top: int) -> bytes:
    """What the screen would show, without its colours."""
    from io import StringIO

    from rich.console import Console

    from compile.audit.render.terminal import show

    text = StringIO()
    show(report, Console(file=text, width=120, highlight=False, emoji=False), by, top)
    return text.getvalue().encode("utf-8", "replace")


def _summarise(report: Report) -> None:
    """Append the report to the job's summary, where GitHub Actions says that there is one."""
    place = os.environ.get(_SUMMARY)
    if not place:
        return
    try:
        with Path(place).open("ab") as file:
            file.write(_render("markdown", report))
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", where=f"{_SUMMARY}, {place}") from error
