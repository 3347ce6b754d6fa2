"""From the hub graph to a ``.tflite`` file, operator by operator; nothing is decided here.

The story: the graph is read as integer kernels (``targets/kernels.py``), each kernel is said in TFLite's operators on
tensors whose transposition is lazy (``emitter.py``, ``operators.py``), the outputs are brought to ONNX's order, and
the result is written as a flatbuffer (``writer.py``).
"""

from __future__ import annotations

import re

from compile.errors import UnsupportedNode
from compile.model import Model
from targets.base import Artifact
from targets.capabilities import refusals
from targets.kernels import Program, read
from targets.tflite.emitter import Emitter, refuse
from targets.tflite.layout import ordered, row_major
from targets.tflite.operators import LOWER
from targets.tflite.writer import Graph, write

DEFAULT_NAME = "student"


def lower(model: Model) -> Artifact:
    """Translate a hub graph into a ``.tflite`` file.

    Inputs and outputs keep ONNX's names, shapes and axis order, in float32, under the signature
    ``serving_default``; ``phiz.*`` metadata become the metadata entry ``phiz``. The states of a stream keep their names
    only: they lie as the kernels around them want them.

    Raises:
        UnsupportedNode: TFLite has no form of a node; names it, its reason and the module it came from.
    """
    name = f"{_name(model)}.tflite"
    return Artifact("tflite", name, {name: write(translate(read(model), model.metadata))})


def translate(program: Program, metadata: dict[str, str]) -> Graph:
    """A program as one TFLite graph."""
    sources = {kernel.node: kernel.source for kernel in program.kernels}
    for refusal in refusals("tflite", program):
        raise UnsupportedNode(
            refusal.operator, refusal.node, refusal.reason, source=sources[refusal.node], stage="the TFLite target"
        )
    emitter = Emitter(program)
    states = frozenset(program.states.values())
    orders: dict[str, tuple[int, ...]] = {}  # of the axes of each state, which leaves as it entered
    inputs = {
        name: emitter.enter(name, row_major(program.tensors[name].shape))
        for name in program.inputs
        if name not in states
    }
    for kernel in program.kernels:
        for name in kernel.inputs:
            if name in states and name not in inputs:
                # As what it is joined with lies, so that nothing has to be moved: its layout is nobody else's business.
                like = next((other for other in kernel.inputs if other in emitter.places), None)
                shape = program.tensors[name].shape
                orders[name] = tuple(range(len(shape))) if like is None else emitter.order(like)
                inputs[name] = emitter.enter(name, ordered(shape, orders[name]))
        if kernel.operator != "DequantizeLinear" and all(emitter.is_constant(operand) for operand in kernel.inputs):
            raise refuse(kernel, "all its inputs are constant; fold it before lowering")
        LOWER[kernel.operator](emitter, kernel)
    outputs = {
        name: emitter.output(name, orders[program.states[name]] if name in program.states else None)
        for name in program.outputs
    }
    inputs = {name: inputs[name] for name in program.inputs}
    return Graph(emitter.tensors, emitter.operators, inputs, outputs, metadata)


def _name(model: Model) -> str:
    """The graph's name where it can be a file's, else ``student``."""
    name = model.ir.graph.name or ""
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name) else DEFAULT_NAME
