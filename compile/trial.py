"""Does a captured model run at all? Asked once, before any work: parity will have to run it as it is.

ONNX's checker and its shape inference pass models whose operands do not fit each other; onnxruntime does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from compile.errors import UnsupportedNode, UserError
from compile.model import Model, source_of
from compile.simplify.forms import REFUSED
from targets.onnx.run import AS_WRITTEN, Session

MAX_TENSOR = 2**29  # bytes of one value; no network for a phone has one of this size
_BODIES = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def require_runnable(model: Model, where: str) -> None:
    """Run ``model`` once on silence.

    Raises:
        UnsupportedNode: a node has a graph of its own, which may run for ever, or is a function of the file.
        UserError: a value would be larger than 512 MiB, or onnxruntime does not take the model.
    """
    for node in model.ir.graph:
        reason = ""
        if any(attribute.type in _BODIES for attribute in node.attributes.values()):
            reason = REFUSED.get(node.op_type, "it has a graph of its own")
        elif node.op_identifier() in model.ir.functions:
            reason = "it is a function of the model; inline it with onnx.inliner"
        if reason:
            raise UnsupportedNode(node.op_type, node.name or "", reason, source=source_of(node), stage="capture")
    for port in model.inputs:
        _require_small(port.shape, f"{where}, input '{port.name}'")
    try:
        serialised = model.to_bytes()
    except ir.serde.SerdeError as error:
        raise UserError("its names are not text", where=where, fix="export it again") from error
    shapes = _inferred(serialised, where)
    for name, shape in shapes.items():
        _require_small(shape, f"{where}, tensor '{name}'")
    feeds = {port.name: np.zeros(port.shape, port.dtype) for port in model.inputs}
    session = Session(serialised, where, AS_WRITTEN)
    known = all(output.name in shapes for node in model.ir.graph for output in node.outputs if output.name)
    with nullcontext() if known else _little_memory():
        session.run(feeds)


@contextmanager
def _little_memory() -> Iterator[None]:
    """At most 1 GiB more inside the block, where the system can promise that: for sizes that only running tells."""
    try:
        import resource

        size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError):  # not Linux
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = size + 2 * MAX_TENSOR
    resource.setrlimit(resource.RLIMIT_AS, (limit if soft == resource.RLIM_INFINITY else min(limit, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _require_small(shape: tuple[int, ...], where: str) -> None:
    if 4 * prod(shape) > MAX_TENSOR:
        raise UserError(f"its shape {list(shape)} is more than {MAX_TENSOR // 2**20} MiB", where=where)


def _inferred(serialised: bytes, where: str) -> dict[str, tuple[int, ...]]:
    """The shapes that can be told without running."""
    try:
        graph = onnx.shape_inference.infer_shapes(serialised, data_prop=True).graph
    except Exception as error:  # it raises several types, and C++'s own words
        raise UserError(f"its shapes do not fit together: {str(error).splitlines()[0]}", where=where) from error
    tensors = {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.output)}
    return {
        name: tuple(size.dim_value for size in tensor.shape.dim)
        for name, tensor in tensors.items()
        if tensor.HasField("shape") and all(size.HasField("dim_value") for size in tensor.shape.dim)
    }
