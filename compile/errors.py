"""What can go wrong, in two families: what the user can mend, and what only we can.

Every error that reaches the command line carries an exit code:

====  ==============================================================
code  meaning
====  ==============================================================
0     good
1     a gate failed: budget, parity or quality (:class:`GateFailed`)
2     bad input or configuration (:class:`UserError`)
3     our bug (:class:`Bug`, and anything that is not a PhizError)
====  ==============================================================

This module imports nothing and may be imported from everywhere.
"""

from __future__ import annotations

_LONGEST = 4_000  # characters of a message


class PhizError(Exception):
    """Base of all errors that phiz raises on purpose."""

    exit_code = 3


class UserError(PhizError):
    """Bad input or configuration.

    Args:
        what: what is wrong, as one sentence without a full stop.
        where: the file, node, tensor, flag or key concerned; empty when ``what`` names it.
        fix: what to do about it, as an imperative sentence without a full stop.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        place = f"{where}: " if where else ""
        remedy = f"; {fix}" if fix else ""
        super().__init__(_line(f"{place}{what}{remedy}"))


class MissingExtra(UserError):
    """An optional dependency is absent; names the line that installs it."""

    def __init__(self, need: str, extra: str, module: str) -> None:
        self.extra = extra
        super().__init__(
            f"{need} needs the Python package that provides `{module}`, which is not installed",
            fix=f"run: pip install 'phiz[{extra}]'",
        )


class MissingTool(UserError):
    """A program that this machine lacks, such as a C compiler."""


class UnsupportedNode(UserError):
    """A node that a stage or a target cannot honour: operator, node, source module, reason."""

    def __init__(self, operator: str, node: str, reason: str, *, source: str = "", stage: str = "") -> None:
        self.operator, self.node, self.reason, self.source, self.stage = operator, node, reason, source, stage
        origin = f" (from {source})" if source else ""
        by = f" by {stage}" if stage else ""
        super().__init__(f"operator {operator} at node '{node}'{origin} is not supported{by}: {reason}")


class GateFailed(PhizError):
    """A gate that the user asked for did not hold: budget, parity or quality."""

    exit_code = 1


class Bug(PhizError):
    """A broken promise between our own stages; please report it."""

    exit_code = 3


def _line(text: str) -> str:
    """``text`` as one line: names in files may hold line breaks, what would steer a terminal, or a megabyte."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
