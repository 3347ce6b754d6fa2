"""Import coremltools without its company: no torch, no TensorFlow, no noise."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from compile.quiet import quiet, without

# coremltools imports whichever of these is installed, to convert from them; we only build.
_UNWANTED = (
    *("executorch", "libsvm", "sklearn", "tensorflow", "torch"),
    *("torchao", "torchaudio", "torchvision", "transformers", "xgboost"),
)


def load() -> ModuleType:
    """The ``coremltools`` package, imported quietly and alone."""
    if "coremltools" in sys.modules:
        return sys.modules["coremltools"]
    with without(*_UNWANTED), quiet():
        return import_module("coremltools")
