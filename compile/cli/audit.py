"""``phiz audit``: the gate for CI. Imports no torch, no coremltools, no onnxsim; of its own parts what is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.publish import TOP, By, Format, publish, require_outputs
from compile.errors import GateFailed, UserError
from compile.units import counted

if TYPE_CHECKING:
    from compile.audit.library import Library
    from compile.audit.scope import Scope

_CAPPED = ("footprint", "file")


def audit(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Build folders and artefacts (.tflite, .onnx, .mlpackage …); left out, what the budgets name.",
            show_default=False,
        ),
    ] = None,
    cap: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Most that footprint and file may be, such as 3.4MB; needs no configuration."
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Budgets. Default: phiz.toml, else pyproject.toml with [tool.phiz]."),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this [budget.NAME], whatever files it names; may repeat."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC", help="What growth is over: git:REV, a build folder, a manifest.json or an artefact."
        ),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Also run each artefact in fresh processes and measure its memory; a C source runs with your rights.",
        ),
    ] = False,
    runtime_library: Annotated[
        str | None,
        typer.Option(metavar="PATH|SIZE", help="The runtime that an app ships with the model, to be told beside it."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    by: Annotated[By, typer.Option(help="What to add up bytes by.")] = By.SECTION,
    top: Annotated[int, typer.Option(metavar="COUNT", min=1, help="Rows of that; the others are one more.")] = TOP,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the report there instead.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with a map of the bytes.")
    ] = None,
) -> None:
    """Check artefacts against memory budgets, reading nothing but their bytes.

    Exit codes: 0 everything holds, 1 a limit does not hold or is unknown, 2 bad input.
    """
    from compile.audit.auditor import Auditor

    require_outputs(output, html)
    auditor = Auditor(_scope(config, budget or [], cap, bool(paths)), baseline or "", measure)
    library = _library(runtime_library)
    report = replace(auditor.audit(paths) if paths else auditor.audit_named(), library=library)
    publish(report, Format.JSON if json else form, output=output, page=html, by=by.value, top=top)
    if report.exit_code:
        raise GateFailed(f"{report.name}: {counted(len(report.failures), 'failure')}; see {output or 'above'}")


def _scope(config: Path | None, names: list[str], cap: str | None, named: bool) -> Scope:
    """What to hold artefacts to: the budgets of the configuration, where --cap takes the place of what it limits.

    Args:
        config: the file, where it was given.
        names: of the budgets to take; empty for all.
        cap: where it was given.
        named: artefacts were named: then budgets chosen by name are about those, whatever else they name.
    """
    from compile.audit.budget import caps
    from compile.audit.scope import Scope
    from compile.config import NAME, discover, load
    from compile.tables import choose
    from compile.units import parse_size

    place = config or discover(Path())
    if place is None and names:
        raise UserError("there is no configuration here", where="--budget", fix=f"write a {NAME}, or name it: --config")
    settings = load(place) if place else None
    budgets = settings.budgets if settings else ()
    known = [budget.name for budget in budgets]
    for name in names:
        if name not in known:
            raise UserError(f"there is no [budget.{name}] in {place}", where="--budget", fix=choose(name, known))
    if names:
        budgets = tuple(budget for budget in budgets if budget.name in names)
        budgets = tuple(replace(budget, files=()) for budget in budgets) if named else budgets
    if cap is not None:
        limit = parse_size(cap, "--cap")
        own = caps(dict.fromkeys(_CAPPED, limit), "--cap")
        budgets = (own, *(budget.without(_CAPPED) for budget in budgets))
    return Scope(budgets, settings.folder if settings else Path())


def _library(text: str | None) -> Library | None:
    from compile.audit.library import library

    return None if text is None else library(text)
