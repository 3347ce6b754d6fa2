"""How much memory a model takes in its own runtime: measured in fresh processes, each with a limit of time.

The model is not trusted: its runtime may crash, hang, or ask for more memory than there is. That ends the process it
runs in, and is an answer. A C source is its own runtime: it is compiled, and whoever asks for that trusts it as any
program.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compile.audit.folder import resolve
from compile.audit.formats import Format
from compile.audit.process import FIRST, IMPORTED, LAST, LOADED, RUNTIMES, SMAPS
from compile.errors import UserError

PROCESSES, INFERENCES = 5, 100
SECONDS = 120.0  # for one process
_ROOT = Path(__file__).parents[2]
_CHILD = "compile.audit.process"
_WHILE = {IMPORTED: "while it was loaded", LOADED: "as it ran for the first time", FIRST: "as it ran again"}
_COMPILED = ("c",)
_APPLE = "Core ML runs on macOS and iOS only; measure there with Xcode's Instruments"
_WHY_NOT = {
    "coreml": _APPLE,
    "mlmodel": _APPLE,
    "safetensors": "no runtime executes a file of weights",
}
_EXTRAS = {"tflite": "install LiteRT: pip install 'phiz[tflite]'"}


@dataclass(frozen=True)
class Measured:
    """Growth of a process that loads and runs a model, over the same process with only the runtime imported.

    It is growth of resident memory: what the model and the runtime allocate, inputs and outputs, the pages of the
    model's file that are mapped, and those of the runtime's own libraries that it touched for the first time.

    Attributes:
        runtime: its name and version.
        loaded: bytes after the model was loaded; as all of these, the median of several processes.
        first: after the first inference.
        last: after the last of ``INFERENCES``.
        code: how much of ``last`` are pages of libraries: paid once, however many models an app has.
        spread: between the least and the most that any process took at last, in bytes.
        processes: how many were measured.
        machine_code: bytes that the compiler made of a C source's functions, without constants; None of what is not C.
    """

    runtime: str
    loaded: int
    first: int
    last: int
    code: int
    spread: int
    processes: int
    machine_code: int | None = None


@dataclass(frozen=True)
class _Subject:
    """What is run.

    Attributes:
        command: that runs it, in ``folder``.
        folder: to run it in.
        steps: what it said, by step.
        who: runs; for messages.
        fix: what to do where it cannot even be started.
        machine_code: as of :class:`Measured`.
    """

    command: Sequence[str]
    folder: Path
    steps: Callable[[bytes], dict[str, Any]]
    who: str = "its runtime"
    fix: str = "free some memory"
    machine_code: int | None = None


def measure(path: Path, known: Format, *, seconds: float = SECONDS) -> Measured | str:
    """Run the artefact at ``path``, of the format ``known``, in fresh processes.

    Args:
        path: of the artefact.
        known: its format.
        seconds: for each process, a compiler's too.

    Returns:
        What was measured; or why it was not, as one sentence without a full stop.
    """
    runtime = RUNTIMES.get(known.name)
    if runtime is None and known.name not in _COMPILED:
        return _WHY_NOT.get(known.name, f"nothing here executes {known.title}")
    if not Path(SMAPS).exists():
        return "memory is measured on Linux only"
    if runtime is not None and not runtime.installed:
        return f"its runtime is not installed; {_EXTRAS.get(known.name, f'install {next(iter(runtime.modules))}')}"
    with TemporaryDirectory(prefix="phiz-") as scratch:
        found = _measured(path, known.name, Path(scratch).resolve(), seconds)
        if isinstance(found, Measured):
            return found
        for folder in (Path(scratch).resolve(), resolve(path).parent, path.parent.absolute()):
            found = found.replace(f"{folder}{os.sep}", "")  # what we say is kept, and holds no path of ours
        return found


def _measured(path: Path, name: str, scratch: Path, seconds: float) -> Measured | str:
    """The same, where ``scratch`` is an empty folder; a sentence may hold paths."""
    try:
        subject = _compiled(path, scratch, seconds) if name in _COMPILED else _interpreted(path, name)
    except UserError as error:
        return str(UserError(error.what, where=Path(error.where).name, fix=error.fix))
    runs = []
    for _ in range(PROCESSES):
        steps = _run(subject, seconds)
        if isinstance(steps, str):
            return steps
        runs.append(steps)
    last = [_growth(steps, LAST) for steps in runs]
    return Measured(
        runtime=str(runs[0][IMPORTED]["runtime"]),
        loaded=_median([_growth(steps, LOADED) for steps in runs]),
        first=_median([_growth(steps, FIRST) for steps in runs]),
        last=_median(last),
        code=_median([_growth(steps, LAST, "code") for steps in runs]),
        spread=max(last) - min(last),
        processes=len(runs),
        machine_code=subject.machine_code,
    )


def _interpreted(path: Path, name: str) -> _Subject:
    """A model in its runtime."""
    command = [sys.executable, "-W", "ignore", "-m", _CHILD, name, str(resolve(path)), str(INFERENCES)]
    return _Subject(command, _ROOT, _steps)  # in our own folder: whoever audits may have a folder called `compile`, too


def _compiled(path: Path, scratch: Path, seconds: float) -> _Subject:
    """A source in a program around it."""
    from compile.audit import compiled

    command = compiled.program(resolve(path), scratch, INFERENCES, seconds)
    steps, fix = partial(compiled.steps, folder=scratch), "name this machine's C compiler in CC"
    return _Subject(command, scratch, steps, "its program", fix, compiled.machine_code(scratch))


def _run(subject: _Subject, seconds: float) -> dict[str, Any] | str:
    """What one process told, by step; or why it did not come to its end."""
    import subprocess

    from targets.command import finished

    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    try:
        done = finished(
            subject.command,
            seconds,
            cwd=subject.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as late:
        return f"the time of {seconds:g} s was over {_when(subject.steps(late.stdout or b''))}"
    except OSError as error:
        return f"{subject.who} cannot be executed here: {error.strerror}; {subject.fix}"
    steps = subject.steps(done.stdout)
    if "unfit" in steps:
        return str(steps["unfit"])
    if "error" in steps:
        return f"{subject.who} failed {_when(steps)}: {steps['error']}"
    if LAST not in steps:
        return f"{subject.who} died {_when(steps)}, {_death(done.returncode)}"
    return steps


def _steps(lines: bytes) -> dict[str, Any]:
    """Lines by step; at last why there is no more."""
    steps: dict[str, Any] = {}
    for line in lines.decode().splitlines(keepends=True):
        if line.endswith("\n"):
            told = json.loads(line)
            steps |= {told["step"]: told} if "step" in told else told
    return steps


def _when(steps: Mapping[str, Any]) -> str:
    """How far it came."""
    reached = next((step for step in (FIRST, LOADED, IMPORTED) if step in steps), "")
    return _WHILE.get(reached, "before it was loaded")


def _death(code: int) -> str:
    """Of which signal, or with which exit code."""
    names = {number.value: number.name for number in signal.Signals}
    return f"by {names.get(-code, f'signal {-code}')}" if code < 0 else f"with exit code {code}"


def _growth(steps: Mapping[str, Any], step: str, kind: str = "resident") -> int:
    return int(steps[step][kind]) - int(steps[IMPORTED][kind])


def _median(sizes: list[int]) -> int:
    return sorted(sizes)[len(sizes) // 2]
