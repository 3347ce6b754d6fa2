"""``package.module:factory``: how the command line names a function of the user's own.

May be imported from everywhere: a factory makes a network for the compiler, or a teacher for the distiller.
"""

from __future__ import annotations

import importlib
import re
import sys

from compile.errors import PhizError, UserError

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_reference(text: str) -> bool:
    """Whether ``text`` has the form ``package.module:factory``."""
    return _REFERENCE.fullmatch(text) is not None


def call(reference: str) -> object:
    """Call ``package.module:factory``, a function without arguments, and return what it makes.

    The module is looked up on ``sys.path`` and in the current folder. This runs the user's own code.

    Raises:
        UserError: it is not there, or fails.
    """
    package, _, name = reference.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package and not package.startswith(f"{error.name}."):
            raise UserError(f"importing it fails: {error}", where=reference, fix="install what it needs") from error
        raise UserError(
            f"there is no Python module '{error.name}'", where=reference, fix="run phiz where it can be imported"
        ) from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything while it is imported
        raise UserError(f"importing it fails: {first_line(error)}", where=reference) from error
    factory = getattr(module, name, None)
    if factory is None:
        raise UserError(f"module '{package}' has no '{name}'", where=reference)
    try:
        return factory()
    except PhizError:
        raise
    except (Exception, SystemExit) as error:  # the user's factory may raise anything
        raise UserError(f"the factory raises {type(error).__name__}: {first_line(error)}", where=reference) from error


def first_line(error: BaseException) -> str:
    """What an error says first, without colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return next((line.strip() for line in plain.splitlines() if line.strip()), type(error).__name__)
