"""``phiz init``: a first configuration, with budgets for what is there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.errors import UserError

if TYPE_CHECKING:
    from compile.audit.proposal import Proposal


def init(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Build folders, artefacts, or folders to look for them in. Default: the whole folder.",
            show_default=False,
        ),
    ] = None,
    headroom: Annotated[
        str, typer.Option(metavar="SHARE", help="How much more than today the budgets allow.")
    ] = "10 %",
) -> None:
    """Write a first phiz.toml: a budget for every build and artefact, at today's size and some headroom."""
    from compile.audit import proposal
    from compile.config import NAME, configuration_of
    from compile.files import write_atomically
    from compile.units import counted, parse_share

    share = parse_share(headroom, "--headroom")
    if present := configuration_of(Path()):
        raise UserError(
            "it is there already", where=str(present), fix="phiz init writes no file a second time: mend it"
        )
    console = screen()
    found = list(_proposals(paths or [Path()]))
    text = proposal.write(found, share)
    write_atomically(Path(NAME), text.encode())
    rows = sum(len(entry.report.rows) for entry in found)
    console.print(f"wrote {NAME}: {counted(len(found), 'budget')} for {counted(rows, 'artefact')}", markup=False)
    for entry in found:
        for failure in entry.report.failures:
            console.print(f"! {entry.path} fails whatever its budget: {failure}", markup=False, style="yellow")
    console.print("next: read it, then run `phiz audit` here and in CI; exit code 1 when a limit does not hold")


def _proposals(tops: Sequence[Path]) -> Iterator[Proposal]:
    """What is at or beneath ``tops``; what cannot be read is said and left out."""
    from compile.audit.auditor import audit
    from compile.audit.proposal import Proposal, find
    from compile.cli.console import complain

    none = True
    for path in find(tops):
        try:
            report = audit(path)
        except UserError as error:
            complain(f"left out: {error}")
            continue
        none = False
        yield Proposal(Path(os.path.relpath(path)).as_posix(), report)
    if none:
        where = ", ".join(str(top) for top in tops)
        fix = "build one first with `phiz compile`, or name where they are"
        raise UserError("there is no build folder and no artefact that can be read", where=where, fix=fix)
