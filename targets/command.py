"""Other programs, such as compilers, run within a limit of time: none that they start outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any


def finished(command: Sequence[str], seconds: float, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, without input.

    Args:
        command: a program and its words.
        seconds: that it may take.
        more: for ``subprocess.Popen``.

    Raises:
        subprocess.TimeoutExpired: it takes longer; with what it has said so far.
        OSError: it cannot be executed.
    """
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **more) as process:
        try:
            said, complained = process.communicate(timeout=seconds)
        except BaseException:  # interruptions as well
            _end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, complained)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and all that it started; a compiler is several."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
