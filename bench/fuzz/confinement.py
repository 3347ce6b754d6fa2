"""Sees what a process opens: nothing outside one folder may be read because a file says so.

Where Python imports from may be: there lie a page's style sheet and what version phiz is of.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_EVENTS = ("open", "os.listdir", "os.scandir")


class Confinement:
    """An audit hook of this process, for it cannot be taken off again; idle outside :meth:`of`."""

    def __init__(self, active: bool) -> None:
        self.folder = self.breach = ""
        self.own = tuple(os.path.realpath(entry) + os.sep for entry in sys.path)
        if active:
            sys.addaudithook(self.see)

    @contextmanager
    def of(self, folder: Path) -> Iterator[None]:
        """Within, ``breach`` becomes what was opened outside ``folder``."""
        self.folder, self.breach = os.path.realpath(folder), ""
        try:
            yield
        finally:
            self.folder = ""

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called by the interpreter before it opens or lists anything."""
        if not self.folder or event not in _EVENTS or isinstance(arguments[0], int | None):
            return
        place = os.path.realpath(os.fsdecode(arguments[0]))
        if not f"{place}{os.sep}".startswith((self.folder + os.sep, *self.own)):
            self.breach = f"{event} of {place}, outside the folder"
