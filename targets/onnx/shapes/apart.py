"""What onnx infers of a model, in a process of its own: on a hostile graph it may take any time and memory, or die.

``python -m targets.onnx.shapes.apart`` reads a model on standard input, and writes one that has nothing but the types
and shapes of its values on standard output; nothing when it cannot, or when they are too many.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

SECONDS = 5  # of a processor
_MEMORY = 2**30  # of addresses
_MOST = 16 * 2**20  # bytes of an answer
_ROOT = Path(__file__).parents[3]


def inferred(model: bytes) -> bytes:
    """The values of ``model``, an ONNX file, with what onnx infers of them; empty when it does not tell.

    Started in our own folder: whoever audits may have a folder called ``targets``, too.
    """
    command = [sys.executable, "-W", "ignore", "-m", "targets.onnx.shapes.apart"]
    try:
        done = subprocess.run(command, cwd=_ROOT, input=model, capture_output=True, timeout=4 * SECONDS, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return b""
    return done.stdout if done.returncode == 0 else b""


def main() -> None:
    """In the process."""
    import onnx

    _confine()
    try:
        model = onnx.shape_inference.infer_shapes(sys.stdin.buffer.read(), data_prop=True)
    except Exception:  # it fails in many ways on odd graphs; what it cannot tell stays unknown
        return
    told = onnx.ModelProto()
    for field in ("value_info", "output", "input"):
        getattr(told.graph, field).extend(getattr(model.graph, field))
    if told.ByteSize() <= _MOST:
        sys.stdout.buffer.write(told.SerializeToString())


def _confine() -> None:
    """Let the system end what takes too much; where it cannot, the caller's patience does."""
    with suppress(ImportError, ValueError, OSError):  # not on this system, or it is confined already
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    main()
