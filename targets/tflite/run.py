"""Execute a ``.tflite`` file with LiteRT, by default with XNNPACK on one thread.

LiteRT is ``ai-edge-litert``, or ``tflite-runtime``, its former name, where only that is installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError

DELEGATE = "DELEGATE"


@dataclass(frozen=True)
class Delegation:
    """How much of a file XNNPACK takes.

    Attributes:
        partitions: the number of pieces that it executes.
        outside: the operators left to the builtin kernels, in order.
    """

    partitions: int
    outside: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether the file runs as one delegated partition."""
        return self.partitions == 1 and not self.outside


class LiteRT:
    """A file in LiteRT's interpreter; a :class:`targets.base.Runner`."""

    def __init__(self, interpreter: Any) -> None:
        self.interpreter = interpreter
        self._inputs = {detail["name"]: detail for detail in interpreter.get_input_details()}
        self._outputs = {detail["name"]: detail for detail in interpreter.get_output_details()}
        self.inputs = {name: tuple(detail["shape"].tolist()) for name, detail in self._inputs.items()}

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Execute once.

        Raises:
            UserError: an input is missing, unknown, or of another shape or dtype.
        """
        for name in sorted(self._inputs.keys() | inputs.keys()):
            self._check(name, inputs)
        for name, detail in self._inputs.items():
            self.interpreter.set_tensor(detail["index"], np.array(inputs[name], order="C"))
        self.interpreter.invoke()
        return {name: np.array(self.interpreter.get_tensor(detail["index"])) for name, detail in self._outputs.items()}

    def _check(self, name: str, inputs: Mapping[str, NDArray[np.generic]]) -> None:
        if name not in self._inputs or name not in inputs:
            problem = "is not an input of the file" if name in inputs else "is missing"
            raise UserError(f"input '{name}' {problem}", fix=f"give exactly: {', '.join(self._inputs)}")
        shape, dtype = self.inputs[name], np.dtype(self._inputs[name]["dtype"])
        given = inputs[name]
        if given.shape != shape or given.dtype != dtype:
            raise UserError(f"input '{name}' is {given.dtype} {given.shape}, expected {dtype} {shape}")


def load(path: Path, *, threads: int = 1, delegate: bool = True) -> LiteRT:
    """Make a ``.tflite`` file ready to execute.

    Args:
        path: the file.
        threads: of the interpreter and XNNPACK.
        delegate: False runs the builtin kernels instead of XNNPACK.

    Raises:
        UserError: the file is missing, is not a TFLite model, or needs an operator that this runtime lacks.
    """
    package = "ai_edge_litert" if find_spec("ai_edge_litert") else "tflite_runtime"
    runtime = import_module(f"{package}.interpreter")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error
    kinds = runtime.OpResolverType
    resolver = kinds.AUTO if delegate else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    if content[4:8] != b"TFL3":
        raise UserError("not a TFLite file", where=str(path))
    try:
        with _quiet():
            interpreter = runtime.Interpreter(
                model_content=content, num_threads=threads, experimental_op_resolver_type=resolver
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"LiteRT refuses it: {reason}", where=str(path)) from error
    return LiteRT(interpreter)


def delegation(path: Path) -> Delegation:
    """How XNNPACK divides a file among itself and the builtin kernels.

    Raises:
        UserError: as :func:`load`.
    """
    interpreter = load(path).interpreter
    operators = [
        (str(details["op_name"]), set(details["inputs"].tolist()), set(details["outputs"].tolist()))
        for details in interpreter._get_ops_details()
    ]
    # The execution plan is not public. The list keeps every original operator and appends a DELEGATE for each
    # partition, which says only what crosses its border: it runs what lies between its outputs and its inputs.
    partitions = [operator for operator in operators if operator[0] == DELEGATE]
    original = [operator for operator in operators if operator[0] != DELEGATE]
    inside: set[int] = set()
    for _, given, wanted in partitions:
        needed = set(wanted)
        for at, (_, inputs, outputs) in reversed(list(enumerate(original))):
            if outputs & needed:
                inside.add(at)
                needed |= inputs - given
    outside = tuple(name for at, (name, _, _) in enumerate(original) if at not in inside)
    return Delegation(len(partitions), outside)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what LiteRT's C++ says to stderr: it greets on every load, and our errors repeat what matters."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
