"""The `phiz` command: parse, call, print; nothing else. Importing it imports nothing heavy."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys
import traceback
from importlib import import_module
from types import FrameType
from typing import NoReturn

from compile.errors import PhizError, UserError

# What the machine refuses is no bug of ours, wherever it shows.
_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.EIO}
    | {errno.ENAMETOOLONG, errno.ELOOP}
)


# Name, its function and module, and what the help says; only those that are typed are imported.
COMMANDS = (
    ("demo", "demo", "The whole road on synthetic speech."),
    ("label", "label", "A teacher labels speech."),
    ("distill", "distill", "A student learns the labels."),
    ("evaluate", "evaluate", "How well faces speak."),
    ("compile", "build", "A network becomes audited artefacts."),
    ("audit", "audit", "Check artefacts against a budget."),
    ("diff", "diff", "What grew between two artefacts."),
    ("init", "init", "Write a first phiz.toml with budgets."),
    ("bake", "bake", "Audio becomes curves."),
    ("view", "view", "A page on which heads speak, side by side."),
    ("live", "live", "What is heard now drives a face in an engine."),
    ("doctor", "doctor", "What this machine has, and what it lacks."),
)


_LEFT = 141  # as of what SIGPIPE ends, also on systems without it


class Stopped(BaseException):
    """A signal asked us to stop. Not a KeyboardInterrupt, which typer would swallow without a word."""

    def __init__(self, number: int) -> None:
        self.number = number


def main() -> None:
    """Run the command line; exits with the codes of ``compile.errors``, or 128 + the signal that stopped it."""
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is default:  # whoever ignores a signal, as nohup does, keeps ignoring it
            signal.signal(number, _stop)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without our signs gets others, not a traceback
    # numpy's products here are small: threads that wait for each other cost ten times what they save.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is allocated in numbers, modules and graphs, lives to the end: looking for garbage in it takes seconds.
    gc.set_threshold(100_000, 50, 50)
    atexit.register(_leave)
    try:
        _run()
    except (PhizError, OSError, MemoryError, Stopped) as error:
        _end(error)
    except SystemExit as end:  # typer and rich take a reader who left for a failure; 1 would say that a gate failed
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(_LEFT)
        raise
    except Exception as error:  # whatever reaches this line is ours to mend
        _report(error)


def _leave() -> None:
    """Spare the last look for garbage, which takes as long as auditing a megabyte.

    Not where onnx is in the process: nanobind then reports everything of its as leaked.
    """
    if not sys.modules.keys() & {"onnx", "onnxsim"}:
        gc.freeze()


def _run() -> None:
    """Parse and call; the imports are here so that a signal during them ends as any other does."""
    import typer

    from compile.cli.version import options

    app = typer.Typer(
        name="phiz",
        epilog="Exit codes: 0 good, 1 a gate failed, 2 bad input, 3 a bug in phiz.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, function, summary in COMMANDS:
        module = import_module(f"compile.cli.{function}") if name in sys.argv[1:] else None
        app.command(name, short_help=summary)(getattr(module, function, _not_asked_for))
    app.callback()(options)
    app()


def _not_asked_for() -> None:
    """Stands for a command of which only the name and what the help says are needed."""


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise Stopped(number)


def _end(error: PhizError | OSError | MemoryError | Stopped) -> NoReturn:
    from compile.cli.console import complain

    if isinstance(error, Stopped):
        complain("interrupted; nothing is half-written, and the same command begins again or goes on")
        sys.exit(128 + error.number)
    if isinstance(error, MemoryError):
        error = UserError("there is not enough memory", fix="give less at a time, or a smaller network")
    if isinstance(error, OSError):
        if error.errno not in _MACHINE:
            _report(error)
        error = UserError(f"the machine refuses: {error.strerror}", where=str(error.filename or ""))
    complain(str(error))
    sys.exit(error.exit_code)


def _report(error: Exception) -> NoReturn:
    from compile.cli.console import complain

    traceback.print_exception(error)
    complain(f"this is a bug in phiz ({type(error).__name__}); please report it with the lines above")
    sys.exit(3)
