"""A hub graph as a Core ML package: node by node, with coremltools' MIL builder, nothing decided.

========================  =========================================================================
the hub graph             the ML program
========================  =========================================================================
weight, int8 and DQ       ``constexpr_affine_dequantize``: int8 in the file, decompressed on loading
bias, int32 and DQ        a float32 constant: ``integer * scale``
activation, Q and DQ      ``quantize`` and ``dequantize``, which need iOS 17
everything else           the operation of the same meaning, in float32
========================  =========================================================================

The builder infers and checks the types; no graph pass runs, so what the package computes is what the hub graph says.
Two things that change no value are left out: the Q and DQ behind an operator that only moves elements, where they
repeat the parameters of the DQ before it; and a ``Relu`` whose Q clips at 0 anyway.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import onnx_ir as ir

from compile.errors import Bug, UserError
from compile.model import Model, constant, shape_of
from targets.base import Artifact
from targets.coreml import toolbox
from targets.coreml.operators import Operands, emit
from targets.coreml.package import NAME, NAMES, Ports, pack

_MOVES = ("Reshape", "Transpose", "Slice")


def lower(model: Model) -> Artifact:
    """Translate a hub graph into the files of an ``.mlpackage``.

    Returns:
        Three files: the manifest, the ML program and its weights. Byte-identical for equal graphs. Inputs and
        outputs are float32 under their ONNX names; where Core ML does not allow one (``input.1``), other signs become
        ``_`` and the metadata entry ``phiz.names`` says what was meant. Needs iOS 16 / macOS 13, or 17 / 14 where
        activations are int8.

    Raises:
        UnsupportedNode: Core ML has no equal of a node.
        UserError: a value is both input and output.
    """
    coremltools = toolbox.load()
    for both in {port.name for port in model.inputs} & {port.name for port in model.outputs}:
        raise UserError("it is both an input and an output", where=f"tensor '{both}'", fix="drop that output")
    model, meant = _with_allowed_names(model)
    graph = model.ir.graph
    quantized = any(node.op_type == "QuantizeLinear" for node in graph)
    target = coremltools.target.iOS17 if quantized else coremltools.target.iOS16
    function = _build(graph, target)
    name = f"{graph.name or 'student'}.mlpackage"
    if not NAME.fullmatch(name.removesuffix(".mlpackage").replace("-", "_").replace(".", "_")):
        name = "student.mlpackage"
    ports = Ports(
        inputs=tuple((port.name, port.shape) for port in model.inputs),
        outputs=tuple((port.name, port.shape) for port in model.outputs),
    )
    metadata = {**model.metadata, **({NAMES: json.dumps(meant, sort_keys=True)} if meant else {})}
    return Artifact("coreml", name, pack(function, ports, int(target), metadata, name))


def _build(graph: ir.Graph, target: Any) -> Any:
    """The MIL function of ``graph``."""
    from coremltools.converters.mil import mil

    placeholders = {value.name: mil.Builder.placeholder(shape_of(value)) for value in graph.inputs}
    with mil.Function(placeholders, opset_version=target) as function:
        translation = _Translation(mil.Builder, {value: function.inputs[value.name] for value in graph.inputs})
        for node in graph:
            translation.visit(node)
        # An output needs an operation of its own to carry its name.
        outputs: list[Any] = []
        for value in graph.outputs:
            result = translation.operand(value)
            if isinstance(result, np.ndarray) or any(
                result is other for other in (*function.inputs.values(), *outputs)
            ):
                result = mil.Builder.identity(x=result)
            outputs.append(result)
        function.set_outputs(outputs)
    return function


class _Translation:
    """The state of one translation: what stands for each value so far."""

    def __init__(self, builder: Any, values: dict[ir.Value, Any]) -> None:
        self.builder = builder
        self.values = values
        self.exact: dict[ir.Value, ir.Value] = {}  # output of a Q that changes nothing -> its input

    def visit(self, node: ir.Node) -> None:
        first, output = node.inputs[0], node.outputs[0]
        if first is None:
            raise Bug(f"node '{node.name}' lacks its first input")
        if node.op_type == "QuantizeLinear" and _is_exact(node):
            self.exact[output] = first
        elif first in self.exact:
            self.values[output] = self.operand(self.exact[first])
        elif node.op_type == "Relu" and _is_clipped(node):
            self.values[output] = self.operand(first)
        else:
            inputs = [None if value is None else self.operand(value) for value in node.inputs]
            attributes = {name: attribute.value for name, attribute in node.attributes.items()}
            self.values[output] = emit(self.builder, Operands(node, inputs, attributes))

    def operand(self, value: ir.Value) -> Any:
        """A MIL value, or the numpy array of a constant."""
        return self.values[value] if value in self.values else constant(value)


def _is_exact(quantize: ir.Node) -> bool:
    """Whether a Q finds its values on its own grid: they come from a DQ of the same parameters and only moved since."""
    moved = quantize.inputs[0].producer() if quantize.inputs[0] is not None else None
    if moved is None or moved.op_type not in _MOVES or moved.inputs[0] is None:
        return False
    source = moved.inputs[0].producer()
    if source is None or source.op_type != "DequantizeLinear" or len(source.inputs) != len(quantize.inputs):
        return False
    pairs = [
        (constant(before), constant(after))
        for before, after in zip(source.inputs[1:], quantize.inputs[1:], strict=True)
    ]
    return all(b is not None and a is not None and b.dtype == a.dtype and np.array_equal(b, a) for b, a in pairs)


def _is_clipped(relu: ir.Node) -> bool:
    """Whether the Q behind a Relu cuts off everything below 0 anyway: its zero point is the least integer."""
    quantize = _only_consumer(relu, "QuantizeLinear")
    zero = constant(quantize.inputs[2]) if quantize is not None and len(quantize.inputs) > 2 else None
    return zero is not None and zero.dtype == np.int8 and int(zero) == -128


def _only_consumer(node: ir.Node, operator: str) -> ir.Node | None:
    value = node.outputs[0]
    consumers = [usage.node for usage in value.uses()]
    alone = len(consumers) == 1 and not value.is_graph_output()
    return consumers[0] if alone and consumers[0].op_type == operator else None


def _with_allowed_names(model: Model) -> tuple[Model, dict[str, str]]:
    """The model with inputs and outputs that Core ML can name, and what each new name stands for."""
    taken = {port.name for port in (*model.inputs, *model.outputs)}
    if all(NAME.fullmatch(name) for name in taken):
        return model, {}
    own, meant = model.clone(), {}
    for value in (*own.ir.graph.inputs, *own.ir.graph.outputs):
        name = value.name or ""
        if not NAME.fullmatch(name):
            allowed = re.sub(r"[^A-Za-z0-9_@]", "_", name)
            allowed = allowed if NAME.fullmatch(allowed) else f"_{allowed}"
            while allowed in taken:
                allowed += "_"
            taken.add(allowed)
            meant[allowed] = name
            value.name = allowed
    return own, meant
