"""Execute a generated source on this machine: compile it with the machine's C compiler into a library, and call that.

Compiling and running is trusting: unlike an audit, this is for sources from where one would run a program from.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingTool, UserError
from targets.c.dissect import Source, companion, understood, weights_of
from targets.c.interface import Port
from targets.c.source import identifier
from targets.c.weights import ALIGNMENT
from targets.command import finished
from targets.files import read_files

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O2", "-fPIC", "-shared")
_SECONDS = 600
_PROBE = "#include <math.h>\n#include <stdint.h>\n#include <string.h>\nint main(void) { return 0; }\n"
_DTYPES: Mapping[str, np.dtype[Any]] = {"float": np.dtype(np.float32), "int8_t": np.dtype(np.int8)}
_FIELDS: Mapping[str, Any] = {"float": ctypes.c_float, "int8_t": ctypes.c_int8}


def load(path: Path, flags: tuple[str, ...] = FLAGS) -> Compiled:
    """Compile the source at ``path`` and make it ready to execute.

    Args:
        path: of ``NAME.c``; ``NAME.h`` lies beside it, and ``NAME.bin`` where the weights are mapped.
        flags: for the compiler.

    Raises:
        MissingTool: there is no C compiler for this machine.
        UserError: a file is missing, phiz did not write it, or the compiler refuses it.
    """
    text, found = read(path)
    weights = weights_of(path.name, text, read_files(path, (".bin",)), found) if found.weights else b""
    return Compiled(_library(path, flags), found, identifier(path.stem), weights)


def read(path: Path) -> tuple[str, Source]:
    """The text of the source at ``path``, and what it and its header say of themselves.

    Raises:
        UserError: one of them is missing, or phiz did not write it.
    """
    files = (path, path.with_name(companion(path.name)))
    text, header = (read_files(file)[file.name].decode("ascii", "replace") for file in files)
    return text, understood(path.name, text, header)


def _library(path: Path, flags: tuple[str, ...]) -> ctypes.CDLL:
    """The source, compiled and loaded."""
    with TemporaryDirectory(prefix="phiz-") as folder:
        made = Path(folder, "student.so")
        build(path, made, flags)
        try:
            return ctypes.CDLL(str(made))
        except OSError as error:
            raise _foreign(compiler()[0]) from error


def build(source: Path, made: Path, flags: Sequence[str] = FLAGS, seconds: float = _SECONDS) -> None:
    """Compile a source with the machine's compiler.

    Args:
        source: of it.
        made: where the library or the program is to lie.
        flags: for the compiler.
        seconds: that it may take.

    Raises:
        MissingTool: there is no C compiler, or none that works.
        UserError: it refuses the source, or takes too long.
    """
    refused = _complaint(source, made, flags, seconds)
    if refused:
        probe = made.with_name("probe.c")
        probe.write_text(_PROBE, encoding="ascii")
        if _complaint(probe, made.with_name("probe"), flags, seconds):
            name, fix = Path(compiler()[0]).name, "install what it lacks, such as libc6-dev, or name another in CC"
            raise MissingTool("the C compiler cannot even compile an empty program", where=name, fix=fix)
        raise UserError(f"the C compiler refuses it: {refused}", where=str(source))


def _complaint(source: Path, made: Path, flags: Sequence[str], seconds: float) -> str:
    """What the compiler has against a source; empty where it is compiled."""
    command = [*compiler(), *flags, str(source.resolve()), "-o", str(made), "-lm"]
    try:
        done = finished(command, seconds, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"the C compiler takes more than {seconds:g} seconds", where=str(source)) from error
    except OSError as error:
        raise _foreign(command[0]) from error
    lines = done.stderr.decode(errors="replace").splitlines()
    reason = next((line.strip() for line in lines if "error" in line), "it says nothing")
    return reason if done.returncode else ""


def _foreign(name: str) -> MissingTool:
    fix = "name this machine's C compiler in CC"
    return MissingTool("what it makes cannot be loaded here", where=Path(name).name, fix=fix)


def compiler() -> list[str]:
    """The machine's C compiler: what CC says, else the first of ``COMPILERS``.

    Raises:
        MissingTool: there is none.
        UserError: CC is no command.
    """
    try:
        words = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise UserError("its quotes do not match", where="CC", fix="name a C compiler, such as clang") from error
    names = [words[0]] if words else list(COMPILERS)
    for name in names:
        if found := shutil.which(name):
            return [found, *words[1:]]
    raise MissingTool("no C compiler", fix="install gcc or clang, or name one in the environment variable CC")


class Compiled:
    """A source as a library; a :class:`targets.base.Runner`. What streams takes and gives its states as arrays."""

    def __init__(self, library: ctypes.CDLL, source: Source, word: str, weights: bytes = b"") -> None:
        self._source, self._word, self._library = source, word, library
        self._given = [port for port in source.ports if port.kind in ("input", "state")]
        self._made = [port for port in source.ports if port.kind == "output"]
        states = [port for port in source.ports if port.kind == "state"]
        scratch = [("scratch", _scratch(source.scratch))]
        fields = [(port.identifier, _FIELDS[port.ctype] * port.elements) for port in states]
        self._memory = type("Memory", (ctypes.Structure,), {"_fields_": [*fields, *scratch]})()
        self._weights = _aligned(weights) if source.weights else None
        self._function = getattr(library, f"{word}_push_hop" if source.streams else f"{word}_window")
        self._function.restype = None
        self.inputs: Mapping[str, tuple[int, ...]] = {port.name: port.shape for port in self._given}

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Execute once.

        Raises:
            UserError: an input is missing, unknown, or of another shape or dtype.
        """
        for name in sorted(inputs.keys() ^ self.inputs.keys()):
            raise UserError(f"input '{name}' is missing or unknown", fix=f"give exactly: {', '.join(self.inputs)}")
        arrays = [np.ascontiguousarray(_checked(port, inputs[port.name])) for port in self._given]
        outputs = {port.name: np.zeros(port.shape, _DTYPES[port.ctype]) for port in self._made}
        arguments: list[Any] = [ctypes.byref(self._memory)]
        if self._weights is not None:
            arguments.append(ctypes.c_void_p(self._weights.ctypes.data))
        for port, array in zip(self._given, arrays, strict=True):
            if port.kind == "state":
                ctypes.memmove(getattr(self._memory, port.identifier), array.ctypes.data, port.size)
            else:
                arguments.append(ctypes.c_void_p(array.ctypes.data))
        self._function(*arguments, *(ctypes.c_void_p(outputs[port.name].ctypes.data) for port in self._made))
        states = {port.after: self._state(port) for port in self._given if port.kind == "state"}
        return {**outputs, **states}

    def _state(self, port: Port) -> NDArray[np.generic]:
        field: Any = getattr(self._memory, port.identifier)
        made: NDArray[np.generic] = np.frombuffer(bytes(field), _DTYPES[port.ctype]).reshape(port.shape)
        return made


def _scratch(size: int) -> type[ctypes.Union]:
    """The memory that a source computes in, aligned as its header says."""
    fields = [("alignment", ctypes.c_int64), ("bytes", ctypes.c_ubyte * size)]
    return type("Scratch", (ctypes.Union,), {"_fields_": fields})


def _aligned(weights: bytes) -> NDArray[np.uint8]:
    """A copy of these bytes, where the source wants them."""
    room = np.zeros(len(weights) + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    own = room[start : start + len(weights)]
    own[:] = np.frombuffer(weights, np.uint8)
    return own


def _checked(port: Port, array: NDArray[np.generic]) -> NDArray[np.generic]:
    wanted = _DTYPES[port.ctype]
    if array.shape != port.shape or array.dtype != wanted:
        raise UserError(f"input '{port.name}' is {array.dtype} {array.shape}, expected {wanted} {port.shape}")
    return array
