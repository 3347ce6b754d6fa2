"""The `phiz` command: parse, call, print; nothing else. Importing it imports nothing heavy."""

from __future__ import annotations

import sys
import traceback

import typer

from compile.cli.audit import audit
from compile.cli.bake import bake
from compile.cli.build import build
from compile.cli.console import complain
from compile.cli.demo import demo
from compile.cli.distill import distill
from compile.cli.doctor import doctor
from compile.cli.label import label
from compile.errors import PhizError

_COMMANDS = (
    ("demo", demo),
    ("label", label),
    ("distill", distill),
    ("compile", build),
    ("audit", audit),
    ("bake", bake),
    ("doctor", doctor),
)
_INTERRUPTED = 130


def main() -> None:
    """Run the command line; exits with the codes of ``compile.errors``."""
    app = typer.Typer(
        name="phiz",
        help="Small faces, everywhere: distil a speech-to-face model and compile it to int8 TFLite, ONNX and Core ML.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name, command in _COMMANDS:
        app.command(name)(command)
    try:
        app()
    except PhizError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        complain("interrupted; what was finished is kept, run the same command to go on")
        sys.exit(_INTERRUPTED)
    except Exception as error:  # whatever reaches this line is ours to mend
        traceback.print_exc()
        complain(f"this is a bug in phiz ({type(error).__name__}); please report it with the lines above")
        sys.exit(3)
