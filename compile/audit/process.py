"""The process that a model is measured in: ``python -m compile.audit.process FORMAT PATH INFERENCES``.

It imports the runtime, loads the model as an app would, by its path, and runs it on one thread. After each step it
writes a line of JSON, ``{"step": …, "resident": bytes, "code": bytes}``, or at last ``{"error": …}`` or
``{"unfit": …}``. Whatever the runtime prints goes nowhere; the model may end the process in any way.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from math import prod
from typing import Any

SMAPS = "/proc/self/smaps"  # Linux only
IMPORTED, LOADED, FIRST, LAST = "imported", "loaded", "first", "last"
MAX_MEMORY = 8 * 2**30  # of addresses; a model that wants more fails instead of the machine
_MAX_INPUT = 2**30  # bytes

Run = Callable[[], object]


class UnfitInput(Exception):
    """There is nothing that an input could be fed with."""


@dataclass(frozen=True)
class Runtime:
    """A runtime by the distributions that have it, the first one installed counts.

    Attributes:
        modules: by distribution.
        load: given the module and a path, makes the model ready; gives the rest: inputs made, a function that infers.
    """

    modules: Mapping[str, str]
    load: Callable[[Any, str], Callable[[], Run]]

    @property
    def installed(self) -> str:
        """The distribution; empty for none."""
        return next((name for name, module in self.modules.items() if find_spec(module.partition(".")[0])), "")


def _onnxruntime(module: Any, path: str) -> Callable[[], Run]:
    options = module.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = module.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def ready() -> Run:
        feed = {value.name: _values(value.name, value.shape, value.type) for value in session.get_inputs()}
        return lambda: session.run(None, feed)

    return ready


def _litert(module: Any, path: str) -> Callable[[], Run]:
    interpreter = module.Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()

    def ready() -> Run:
        details = interpreter.get_input_details()
        for detail in details:
            if -1 in detail.get("shape_signature", ()):
                _values(detail["name"], [size if size > 0 else None for size in detail["shape_signature"]], "")
        feed = [
            (detail["index"], _values(detail["name"], detail["shape"], detail["dtype"].__name__)) for detail in details
        ]
        outputs = [detail["index"] for detail in interpreter.get_output_details()]

        def run() -> object:
            for index, values in feed:
                interpreter.set_tensor(index, values)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in outputs]

        return run

    return ready


RUNTIMES: Mapping[str, Runtime] = {
    "onnx": Runtime({"onnxruntime": "onnxruntime"}, _onnxruntime),
    "tflite": Runtime(
        {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}, _litert
    ),
}
# onnxruntime's names for what numpy calls otherwise.
_DTYPES = {"float": "float32", "double": "float64"}


def _values(name: str, shape: Sequence[int | str | None], kind: str) -> Any:
    """Something to feed an input: seeded noise in [-1, 1) for floats, zeros for what may be an index."""
    import numpy as np

    sizes = [int(size) for size in shape if not isinstance(size, str) and size is not None]
    if len(sizes) < len(shape):
        dynamic = ", ".join("?" if size is None else str(size) for size in shape)
        raise UnfitInput(f"its input '{name}' has the dynamic shape [{dynamic}]; export it with a fixed one")
    plain = kind.removeprefix("tensor(").removesuffix(")")
    try:
        dtype = np.dtype(_DTYPES.get(plain, plain))
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise UnfitInput(f"its input '{name}' is of type {kind}, which cannot be made up")
    if prod(sizes) * dtype.itemsize > _MAX_INPUT:
        raise UnfitInput(f"its input '{name}' of shape {sizes} is larger than {_MAX_INPUT:,} bytes")
    if dtype.kind == "f":
        return np.random.default_rng(0).uniform(-1, 1, sizes).astype(dtype)
    return np.zeros(sizes, dtype)


def resident() -> tuple[int, int]:
    """Bytes of this process in memory, and how many of them are pages of libraries as they are on disk."""
    with open(SMAPS, encoding="utf-8", errors="replace") as lines:
        return accounted(lines)


def accounted(lines: Iterable[str], own: str = "") -> tuple[int, int]:
    """The same of a process whose ``/proc/PID/smaps`` has these lines; see proc(5).

    Args:
        lines: of the file.
        own: the path of a file that is no library, though it may be executed: one that holds the model.
    """
    everything, files, libraries, name = 0, dict[str, int](), set[str](), ""
    for line in lines:
        key, *words = line.rstrip("\n").split(maxsplit=5)
        if key == "Rss:":
            everything += int(words[0])
            files[name] = files.get(name, 0) + int(words[0])
        elif key == "Anonymous:":
            files[name] -= int(words[0])
        elif not key.endswith(":"):  # a mapping begins: addresses, permissions, offset, device, inode, path
            name = words[4] if len(words) > 4 else ""
            if "x" in words[0] and name.startswith("/"):
                libraries.add(name)
    return everything * 1024, sum(files[name] for name in libraries - {own}) * 1024


def main(name: str, path: str, inferences: int) -> None:
    """Measure; everything that is said goes to the stream that was standard output."""
    import resource
    from importlib.metadata import version

    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))

        def tell(step: str, **more: str) -> None:
            everything, code = resident()
            print(json.dumps({"step": step, "resident": everything, "code": code, **more}), file=answers, flush=True)

        try:
            runtime = RUNTIMES[name]
            package = runtime.installed
            module = import_module(runtime.modules[package])
            _values("", (1,), "float32")
            tell("before")  # what numpy and telling take is taken before it counts
            tell(IMPORTED, runtime=f"{package} {version(package)}")
            ready = runtime.load(module, path)
            tell(LOADED)
            run = ready()
            run()
            tell(FIRST)
            for _ in range(inferences - 1):
                run()
            tell(LAST)
        except UnfitInput as error:
            print(json.dumps({"unfit": str(error)[:500]}), file=answers, flush=True)
        except Exception as error:  # runtimes raise types of their own, without a common base
            reason = " ".join(str(error).split()) or type(error).__name__
            print(json.dumps({"error": reason[:500]}), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
