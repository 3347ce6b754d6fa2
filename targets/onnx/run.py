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

_ERRORS_ONLY = 3


class Session:
    """An onnxruntime session on the CPU, one thread, so that equal inputs give equal bits everywhere."""

    def __init__(self, model: bytes, where: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            with silent_stderr():
                self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own types, all without a common base
            message = str(error).splitlines()[0]
            raise UserError(f"onnxruntime cannot load it: {message}", where=where) from error
        self.inputs = {value.name: tuple(value.shape) for value in self._session.get_inputs()}
        self.outputs = tuple(value.name for value in self._session.get_outputs())

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """All outputs by name; inputs as the model declares them."""
        return self.fetch(self.outputs, inputs)

    def fetch(self, names: Sequence[str], inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Only the outputs called ``names``."""
        return dict(zip(names, self._session.run(list(names), dict(inputs)), strict=True))


def load(path: Path) -> Runner:
    """Load an ``.onnx`` file.

    Raises:
        UserError: the file is unreadable or not a model that onnxruntime takes.
    """
    try:
        return Session(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error
