"""Importing and calling libraries that print, log, warn, or pull in half of PyPI.

May be imported from everywhere.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Python warnings and log records below CRITICAL from the user while the block runs."""
    previous = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 to nowhere while the block runs."""
    with _nowhere(2, sys.stderr):
        yield


@contextmanager
def silent() -> Iterator[None]:
    """Neither warnings nor logs nor anything that is written to the terminal, by Python or by native code."""
    with quiet(), _nowhere(1, sys.stdout), _nowhere(2, sys.stderr):
        yield


@contextmanager
def _nowhere(descriptor: int, stream: TextIO) -> Iterator[None]:
    stream.flush()
    saved = os.dup(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        yield
    finally:
        stream.flush()
        os.dup2(saved, descriptor)
        os.close(saved)
        os.close(nowhere)


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Hide installed packages from the imports inside the block.

    onnxsim and coremltools import torch when they find it, which costs seconds and hundreds of megabytes for
    features that phiz never calls. Modules of these packages that are already loaded come back afterwards.
    """
    hidden = {name: module for name, module in sys.modules.items() if name.split(".")[0] in packages}
    for name in hidden:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(packages))  # type: ignore[arg-type]  # None is Python's own sign for "blocked"
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] in packages]:
            del sys.modules[name]
        sys.modules.update(hidden)
