"""``phiz audit`` with a clock in it: ``python -m bench.stages BUILD`` prints as JSON what each stage takes.

That is in seconds of processor time. Each stage's time is its own: what it imports counts as import, what it reads as
reading. A clock costs some of what it measures, about a tenth here; ``bench.audit`` has the whole without it.
"""

from __future__ import annotations

import builtins
import importlib
import io
import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from threading import current_thread, main_thread
from typing import Any

# Stage: the functions whose time it is, as module, attribute or class and method.
FUNCTIONS = {
    "read": (("compile.audit.folder", "Folder._bytes"), ("compile.audit.claims", "read")),
    "dissect": (("compile.audit.formats", "Format.dissect"),),
    "plan": (("compile.audit.sizes", "plan"), ("compile.audit.sizes", "check")),
    "compress, meanwhile": (("compile.audit.download", "Download._compress"),),
    "findings": (("compile.audit.auditor", "search"),),
    "render": (("compile.cli.publish", "publish"),),
}
REST = "arguments, and the rest"


class Clock:
    """Adds processor time of the main thread to the innermost stage that runs; other threads are one stage each."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(("import", *FUNCTIONS, REST), 0.0)
        self._stages = [REST]
        self._since = time.thread_time()

    def within(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, on the time of ``stage``."""

        def timed(*arguments: Any, **named: Any) -> Any:
            if current_thread() is not main_thread():
                begun = time.thread_time()
                result = function(*arguments, **named)
                self.spent[stage] += time.thread_time() - begun
                return result
            self._turn()
            self._stages.append(stage)
            try:
                return function(*arguments, **named)
            finally:
                self._turn()
                self._stages.pop()

        return timed

    def stop(self) -> dict[str, float]:
        """Seconds by stage."""
        self._turn()
        return self.spent

    def _turn(self) -> None:
        now = time.thread_time()
        self.spent[self._stages[-1]] += now - self._since
        self._since = now


def main(build: str) -> None:
    """Audit ``build`` with its output thrown away; then print the stages."""
    clock = Clock()
    builtins.__import__ = clock.within("import", builtins.__import__)
    importlib.import_module = clock.within("import", importlib.import_module)
    for stage, functions in FUNCTIONS.items():
        for module, name in functions:
            *owner, method = name.split(".")
            place = importlib.import_module(module)
            place = getattr(place, owner[0]) if owner else place
            setattr(place, method, clock.within(stage, getattr(place, method)))
    from compile.cli import main as phiz

    sys.argv = ["phiz", "audit", build]
    code: object = 0
    with redirect_stdout(io.StringIO()):
        try:
            phiz()
        except SystemExit as stop:
            code = stop.code
    print(json.dumps({"code": code, "stages": clock.stop()}))


if __name__ == "__main__":
    main(sys.argv[1])
