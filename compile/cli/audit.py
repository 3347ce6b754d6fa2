"""``phiz audit``: the gate for CI. Imports no torch, no coremltools, no onnxsim."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compile.cli.console import screen
from compile.errors import GateFailed


def audit(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="A build folder, or one .onnx, .tflite or .mlpackage.", show_default=False),
    ],
    cap: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Budget such as 3.4MB; without it, the budget the build was made with."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check artefacts against a memory budget, reading nothing but their bytes."""
    from compile.audit.auditor import audit as examine
    from compile.audit.budget import caps
    from compile.audit.render.as_json import render
    from compile.audit.render.terminal import show
    from compile.units import parse_size

    limit = parse_size(cap, "--cap") if cap is not None else None
    report = examine(path, (caps({"footprint": limit, "file": limit}, "--cap"),) if limit is not None else ())
    if json:
        print(render(report).decode(), end="")
    else:
        show(report, screen())
    if report.exit_code:
        raise GateFailed(f"{path}: over budget or not what its manifest says; see above")
