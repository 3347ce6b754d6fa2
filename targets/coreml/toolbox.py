"""Import coremltools without its company: no torch, no TensorFlow, no noise."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

# coremltools imports whichever of these is installed, to convert from them; we only build.
_UNWANTED = (
    *("executorch", "libsvm", "sklearn", "tensorflow", "torch"),
    *("torchao", "torchaudio", "torchvision", "transformers", "xgboost"),
)


def load() -> ModuleType:
    """The ``coremltools`` package, imported quietly and alone."""
    if "coremltools" in sys.modules:
        return sys.modules["coremltools"]
    with _hidden(_UNWANTED), _silence(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("coremltools")


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """``import name`` fails inside the block; what was imported before is back after it."""
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None is how Python marks "not to be found"
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


@contextmanager
def _silence() -> Iterator[None]:
    """coremltools logs, on import, every library of Apple's that this machine lacks."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
