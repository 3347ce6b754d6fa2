"""``phiz --version``."""

from __future__ import annotations

from typing import Annotated

import typer


def show(wanted: bool) -> None:
    """Print the version and exit when it is wanted."""
    if wanted:
        from importlib.metadata import version as installed  # slow, and seldom asked for

        print(f"phiz {installed('phiz')}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Small faces, everywhere: distil a speech-to-face model and compile it to int8 TFLite, ONNX and Core ML."""
    del version  # its callback has seen it
