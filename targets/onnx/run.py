"""Execute an ONNX artefact with onnxruntime, the reference that every other target is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from compile.errors import UserError
from compile.quiet import silent_stderr
from targets.base import Runner

# onnxruntime's rewrites make a graph faster, and break some: int8 activations from opset 21 on, inner values asked for
# as outputs, a transposed matrix times a vector (whose result is then silently wrong).
Levels = tuple[ort.GraphOptimizationLevel, ...]
REWRITTEN: Levels = (ort.GraphOptimizationLevel.ORT_ENABLE_ALL,)
AS_WRITTEN: Levels = (ort.GraphOptimizationLevel.ORT_DISABLE_ALL,)
REWRITTEN_OR_NOT = REWRITTEN + AS_WRITTEN
# This one also rounds the float weights of what stands between integers: another network, where our graphs mean float.
_UNTRUE = ("WeightBiasQuantization",)
_FATAL_ONLY = 4  # whatever else it logs, it raises as well


class Session:
    """An onnxruntime session on the CPU, one thread, so that equal inputs give equal bits everywhere.

    Args:
        model: a serialised ONNX model.
        where: what to call it in messages.
        levels: how onnxruntime may rewrite the graph; the first one with which it takes the model.
        without: rewrites that it must not do at any level.

    Raises:
        UserError: onnxruntime does not take the model.
    """

    def __init__(
        self, model: bytes, where: str, levels: Levels = REWRITTEN_OR_NOT, without: Sequence[str] = _UNTRUE
    ) -> None:
        errors = []
        for level in levels:
            try:
                self._session = _open(model, level, without)
                break
            except Exception as error:  # onnxruntime raises its own types, all without a common base
                errors.append(error)
        else:
            raise UserError(f"onnxruntime cannot load it: {_first_line(errors[0])}", where=where) from errors[0]
        self._where = where
        self.inputs = {value.name: tuple(value.shape) for value in self._session.get_inputs()}
        self.outputs = tuple(value.name for value in self._session.get_outputs())

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """All outputs by name; inputs as the model declares them."""
        return self.fetch(self.outputs, inputs)

    def fetch(self, names: Sequence[str], inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Only the outputs called ``names``.

        Raises:
            UserError: onnxruntime has no kernel for what a node asks for, which it may only find out now.
        """
        if not names:  # which onnxruntime takes for all
            return {}
        try:
            results = self._session.run(list(names), dict(inputs))
        except Exception as error:  # as above
            raise UserError(f"onnxruntime cannot run it: {_first_line(error)}", where=self._where) from error
        return dict(zip(names, results, strict=True))


def load(path: Path) -> Runner:
    """Load an ``.onnx`` file.

    Raises:
        UserError: the file is unreadable or not a model that onnxruntime takes with its default settings.
    """
    try:
        return Session(path.read_bytes(), str(path), REWRITTEN, without=())
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error


def _open(model: bytes, level: ort.GraphOptimizationLevel, without: Sequence[str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    options.graph_optimization_level = level
    with silent_stderr():
        return ort.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], enable_fallback=0, disabled_optimizers=list(without)
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
