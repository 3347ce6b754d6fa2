"""The hub graph as an ``.onnx`` file: already ONNX, so what remains is dress.

=========  =====================================================================================================
form       for whom
=========  =====================================================================================================
(usual)    onnxruntime on x86: quantised activations become uint8 (zero point + 128). The integers shift, their
           meaning does not, and the kernels there run in half the time
``arm``    onnxruntime on ARM, whose kernels take int8 activations as they are
``qdq``    every other reader of Q and DQ: int8, opset 15, no operator that quantises at run time
``unity``  Unity's Sentis, today Inference Engine: float arithmetic, opset 15
=========  =====================================================================================================

Values that are neither inputs nor outputs get short names; weights keep the name of their layer, for the auditor.
Shapes of intermediate values are left out: every runtime infers them. So are those of constants: tensors say them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from compile.errors import Bug
from compile.model import Model, add_constant, constant, drop_unread_constants
from targets.base import Artifact
from targets.onnx.products import multiply_integers
from targets.onnx.spelling import OLDER, UNITY, Spelling, respell
from targets.stream import KEY, Stream

_SHIFT = 128
_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")
_OLD_OPSET, _OLD_IR_VERSION = 15, 8  # of one release, onnx 1.10


@dataclass(frozen=True)
class Form:
    """How a form differs from the hub.

    Attributes:
        unsigned: whether activations are uint8.
        old: whether it is written in opset 15.
        spellings: of operators that it writes otherwise.
    """

    unsigned: bool = False
    old: bool = False
    spellings: Mapping[str, Spelling] = field(default_factory=dict)


FORMS: Mapping[str, Form] = {
    "": Form(unsigned=True),
    "arm": Form(),
    "qdq": Form(old=True, spellings=OLDER),
    "unity": Form(old=True, spellings=UNITY),
}


def lower(model: Model, form: str = "") -> Artifact:
    """Write a hub graph, float or with Q/DQ pairs, as one ``.onnx`` file.

    Args:
        model: in the hub dialect (``docs/hub.md``).
        form: one of ``FORMS``.
    """
    own, chosen = model.clone(), FORMS[form]
    if chosen.unsigned:
        _shift_activations(own.ir.graph)
        _shift_resets(own.ir)
    multiply_integers(own.ir.graph)
    _keep_float(own.ir.graph)
    if chosen.old:
        respell(own.ir, _OLD_OPSET, chosen.spellings)
        own.ir.ir_version = _OLD_IR_VERSION
    _undress(own.ir)
    dot, colon = (f".{form}", f":{form}") if form else ("", "")
    name = f"{model.ir.graph.name or 'student'}{dot}.onnx"
    return Artifact(f"onnx{colon}", name, {name: own.to_bytes()})


def _keep_float(graph: ir.Graph) -> None:
    """A Sum of one, which changes nothing, before a float product between integers: without it onnxruntime, by its own
    decision (WeightBiasQuantization), rounds the weights to int8."""
    for node in list(graph):
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm"):
            continue
        x, weight = node.inputs[0], node.inputs[1]
        made_by = [value.producer() if value is not None else None for value in (x, weight)]
        integers = [maker is not None and maker.op_type == "DequantizeLinear" for maker in made_by]
        if x is not None and integers == [True, False]:
            same = ir.node("Sum", [x], name=f"{node.name}.same")
            same.outputs[0].name, same.outputs[0].type, same.outputs[0].shape = f"{node.name}.same", x.type, x.shape
            graph.insert_before(node, same)
            node.replace_input_with(0, same.outputs[0])


def _shift_activations(graph: ir.Graph) -> None:
    """Per-tensor int8 becomes uint8; per-channel weights and int32 biases are left as they are."""
    shifted: dict[ir.Value, ir.Value] = {}
    for node in graph:
        if node.op_type not in _CONVERSIONS or "axis" in node.attributes:
            continue
        zero = node.inputs[2] if len(node.inputs) > 2 else None
        if zero is None or zero.dtype != ir.DataType.INT8:
            continue
        node.replace_input_with(2, _shifted(graph, zero, shifted))
        source = node.inputs[0]
        if node.op_type == "DequantizeLinear" and source is not None and source.const_value is not None:
            node.replace_input_with(0, _shifted(graph, source, shifted))
        if node.op_type == "QuantizeLinear":
            node.outputs[0].type = ir.TensorType(ir.DataType.UINT8)
        elif source is not None and source.is_graph_input():  # the state of a stream
            source.type = ir.TensorType(ir.DataType.UINT8)
    drop_unread_constants(graph)


def _shift_resets(model: ir.Model) -> None:
    """What a stream's integer states are filled with moves with them."""
    if KEY in model.metadata_props:
        stream = Stream.from_metadata(model.metadata_props, "graph")
        model.metadata_props.update(stream.unsigned().to_metadata())


def _shifted(graph: ir.Graph, value: ir.Value, done: dict[ir.Value, ir.Value]) -> ir.Value:
    if value not in done:
        data = constant(value)
        if data is None or value.name is None:
            raise Bug(f"quantised constant '{value.name}' has no data")
        done[value] = add_constant(graph, f"{value.name}.u8", (data.astype(np.int16) + _SHIFT).astype(np.uint8))
    return done[value]


def _undress(model: ir.Model) -> None:
    graph = model.graph
    model.producer_name = "phiz"
    model.producer_version = None
    model.domain = None
    model.doc_string = None
    graph.name = "student"
    fixed = {value.name for value in (*graph.inputs, *graph.outputs)}
    names = iter(name for index in range(1 << 30) if (name := _digits(index)) not in fixed)
    for value in list(graph.initializers.values()):
        array = constant(value)
        if array is not None and (array.ndim < 2 or array.dtype == np.int64):
            value.name = next(names)
        value.type = value.shape = None
    for node in graph:
        node.name = None
        node.doc_string = None
        node.metadata_props.clear()
        for output in node.outputs:
            if output not in graph.outputs:
                output.name = next(names)
                output.type = output.shape = None


def _digits(index: int) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    text = ""
    while True:
        text = alphabet[index % 26] + text
        index = index // 26 - 1
        if index < 0:
            return text
