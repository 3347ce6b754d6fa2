"""A page that speaks by itself: `python -m examples.wasm build/c -o face.html`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from compile.errors import PhizError
from compile.files import write_atomically
from distill.animation.head import load
from examples.wasm.module import build
from examples.wasm.page import render

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    student: Annotated[Path, typer.Argument(help="Folder of phiz compile … --target c --stream.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Page to write.")] = Path("face.html"),
    module: Annotated[Path | None, typer.Option(help="Also write the WebAssembly module here.")] = None,
) -> None:
    """Write a page whose head speaks what the microphone or a file says."""
    wasm = build(student)
    page = render(wasm, load())
    if module is not None:
        write_atomically(module, wasm)
    write_atomically(out, page)
    print(f"wrote {out}: {len(page):,} bytes, {len(wasm):,} of them the face in WebAssembly before base64")


if __name__ == "__main__":
    try:
        app()
    except PhizError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
