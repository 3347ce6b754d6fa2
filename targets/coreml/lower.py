"""A hub graph as a Core ML package: node by node, with coremltools' MIL builder, nothing decided.

========================  =============================================================================================
the hub graph             the ML program
========================  =============================================================================================
weight, int8 and DQ       ``constexpr_affine_dequantize``; ``constexpr_blockwise_shift_scale`` in the form ``ios18``:
                          int8 in the file, decompressed on loading to what the node computes in
weight, float16 and Cast  a float16 constant, behind ``constexpr_cast`` where the node computes in float32
bias, int32 and DQ        a float constant: ``integer * scale``
activation, Q and DQ      ``quantize`` and ``dequantize``, which need iOS 17, among float32 operations
Q and DQ of a moved value nothing, where they repeat the parameters of the DQ before the movement
``Clip`` to [0, 6]        ``relu6``
``PRelu``                 ``prelu`` between two ``reshape``: Core ML has it for images only
``ConvTranspose``         ``conv_transpose``, cropped by its ``pad``; behind a ``pad`` where ``output_padding`` wants it
``Resize``                ``resize_bilinear``; of one axis between two ``reshape``
``Expand``                ``tile``
``Log``                   ``log`` with epsilon 0
state of a stream         an input and an output; in the form ``ios18`` a state (``states.py``)
everything else           the operation of the same meaning
========================  =============================================================================================

======  ============  =======  ========================================================================================
form    computes in   needs    for
======  ============  =======  ========================================================================================
        float16       iOS 16   the Neural Engine; inputs and outputs stay float32
fp32    float32       iOS 16   CPU and GPU, and whatever must agree with other targets to the last bit
ios18   float16       iOS 18   the same with iOS 18's storage of weights, and with states that Core ML keeps
w8a8    float32       iOS 17   graphs with int8 activations
======  ============  =======  ========================================================================================

A float16 program casts what comes in and what leaves. Nodes that the plan keeps in float compute in float32 there too,
and so do those whose numbers would not fit (``precision.py`` says which and why; the metadata entry ``phiz.float32``
names the latter). A graph with int8 activations computes in float32 in every form: their scales are the meaning of
int8, and float16 has no room for them.

The builder infers and checks the types; no graph pass runs, so what the package computes is what the hub graph says.
Two things that change no value are left out: the Q and DQ behind an operator that only moves elements, where they
repeat the parameters of the DQ before it; and a ``Relu`` whose Q clips at 0 anyway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from compile.errors import Bug, UserError
from compile.model import Model, constant, shape_of
from targets.base import Artifact
from targets.coreml import states, toolbox, weights
from targets.coreml.operands import Operands
from targets.coreml.operators import emit
from targets.coreml.package import NAME, NAMES, Ports, pack
from targets.coreml.precision import float32_nodes
from targets.coreml.states import Buffer
from targets.stream import Stream

FLOAT32 = "phiz.float32"  # metadata: JSON, node of a float16 program that computes in float32 -> why

_MOVES = ("Reshape", "Transpose", "Slice", "Gather", "Expand")
_CASTS = {"float16": "fp16", "float32": "fp32"}


@dataclass(frozen=True)
class Form:
    """A dress of the target.

    Attributes:
        needs: the least iOS, as coremltools calls it.
        computes: ``float16`` or ``float32``.
        modern: whether weights are stored, and states kept, as iOS 18 does it.
    """

    needs: str
    computes: str
    modern: bool = False


FORMS: Mapping[str, Form] = {
    "": Form("iOS16", "float16"),
    "fp32": Form("iOS16", "float32"),
    "ios18": Form("iOS18", "float16", modern=True),
    "w8a8": Form("iOS17", "float32"),
}


def lower(model: Model, form: str = "") -> Artifact:
    """Translate a hub graph into the files of an ``.mlpackage``.

    Args:
        model: in the hub dialect, float or with Q/DQ pairs. Where a value's ``meta`` has ``phiz.peak``, the largest
            magnitude that calibration saw, what reads or writes it computes in float32 if float16 ends below.
        form: a key of ``FORMS``.

    Returns:
        Three files: the manifest, the ML program and its weights. Byte-identical for equal graphs. Inputs and
        outputs are float32 under their ONNX names; where Core ML does not allow one (``input.1``), other signs become
        ``_`` and the metadata entry ``phiz.names`` says what was meant. The package is called after the graph and, if
        any, the form. A stream's states are inputs and outputs, too; in the form ``ios18`` they are Core ML's own, in
        float16. Needs iOS 16 / macOS 13, iOS 17 / macOS 14 where activations are int8, or what the form needs.

    Raises:
        UnsupportedNode: Core ML has no equal of a node.
        UserError: there is no such form, a value is both input and output, or one of them is not float32.
    """
    if form not in FORMS:
        known = ", ".join(name for name in FORMS if name)
        raise UserError(f"unknown form '{form}' of Core ML", fix=f"choose from: {known}")
    coremltools = toolbox.load()
    for both in {port.name for port in model.inputs} & {port.name for port in model.outputs}:
        raise UserError("it is both an input and an output", where=f"tensor '{both}'", fix="drop that output")
    model, scales = states.real(model)
    for port in (*model.inputs, *model.outputs):
        if port.dtype != "float32":
            what = f"Core ML's inputs and outputs are float32 here, it is {port.dtype}"
            raise UserError(what, where=f"tensor '{port.name}'", fix="put a Cast beside it")
    model, meant = _with_allowed_names(model)
    graph = model.ir.graph
    chosen = FORMS[form]
    quantized = any(node.op_type == "QuantizeLinear" for node in graph)
    target = getattr(coremltools.target, chosen.needs)
    target = max(target, coremltools.target.iOS17) if quantized else target
    wide: dict[ir.Node, str] = {}
    ends = states.ends(model)
    if chosen.computes == "float16":
        wide = dict.fromkeys(graph, "") if quantized else float32_nodes(graph, ends)
    kept: dict[ir.Value, Buffer] = {}
    for state, output in ends.items() if chosen.modern else ():
        precision = "float32" if output.producer() in wide else chosen.computes
        kept[state] = kept[output] = states.buffer(state, output, precision, scales.get(state.name or ""))
    function = _build(graph, target, chosen, wide, kept)
    name = f"{graph.name or 'student'}{form and '.'}{form}.mlpackage"
    if not NAME.fullmatch(name.removesuffix(".mlpackage").replace("-", "_").replace(".", "_")):
        name = f"student{form and '.'}{form}.mlpackage"
    ports = Ports(
        inputs=tuple((value.name or "", shape_of(value)) for value in graph.inputs if value not in kept),
        outputs=tuple((value.name or "", shape_of(value)) for value in graph.outputs if value not in kept),
        states=tuple((kept[value].name, kept[value].shape) for value in graph.inputs if value in kept),
    )
    reasons = {node.name or "": reason for node, reason in wide.items() if reason}
    notes = {key: json.dumps(value, sort_keys=True) for key, value in ((NAMES, meant), (FLOAT32, reasons)) if value}
    facts = {**model.metadata, **notes}
    if kept:
        facts |= Stream.from_metadata(model.metadata, "graph").kept().to_metadata()
    return Artifact(f"coreml{form and ':'}{form}", name, pack(function, ports, int(target), facts, name))


def _build(
    graph: ir.Graph, target: Any, form: Form, wide: Mapping[ir.Node, str], kept: Mapping[ir.Value, Buffer]
) -> Any:
    """The MIL function of ``graph``; ``kept`` are the inputs that are states, and the outputs that are their next."""
    from coremltools.converters.mil import mil

    def placeholder(value: ir.Value) -> Any:
        if value not in kept:
            return mil.Builder.placeholder(shape_of(value))
        return mil.Builder.state_tensor_placeholder(kept[value].shape, mil.types.fp16)

    with mil.Function({value.name: placeholder(value) for value in graph.inputs}, opset_version=target) as function:
        inputs = {value: function.inputs[value.name] for value in graph.inputs if value not in kept}
        translation = _Translation(mil.Builder, form, wide, inputs)
        for node in graph:  # a state is read and written where that is needed, so that no copy of it lives for long
            for value in node.inputs:
                if value is not None and value in kept and value not in translation.values:
                    found = kept[value].read(mil.Builder, function.inputs[value.name])
                    translation.values[value] = found, kept[value].precision
            translation.visit(node)
            for value in node.outputs:
                if value in kept:
                    left = translation.operand(value, kept[value].precision)
                    kept[value].write(mil.Builder, function.inputs[kept[value].name], left)
        # An output needs an operation of its own to carry its name.
        outputs: list[Any] = []
        for value in graph.outputs:
            if value in kept:
                continue
            result = translation.operand(value, "float32")
            if isinstance(result, np.ndarray) or any(
                result is other for other in (*function.inputs.values(), *outputs)
            ):
                result = mil.Builder.identity(x=result)
            outputs.append(result)
        function.set_outputs(outputs)
    return function


class _Translation:
    """The state of one translation: what stands for each value so far."""

    def __init__(self, builder: Any, form: Form, wide: Mapping[ir.Node, str], inputs: Mapping[ir.Value, Any]) -> None:
        self.builder, self.form, self.wide = builder, form, wide
        self.values: dict[ir.Value, tuple[Any, str]] = {}  # what it is, and in which precision
        self.others: dict[tuple[ir.Value, str], Any] = {}  # the same in the other precision, or decompressed
        self.exact: dict[ir.Value, ir.Value] = {}  # output of a Q that changes nothing -> its input
        for value, placeholder in inputs.items():
            self.values[value] = placeholder, "float32"

    def visit(self, node: ir.Node) -> None:
        first, output = node.inputs[0], node.outputs[0]
        if first is None:
            raise Bug(f"node '{node.name}' lacks its first input")
        if node.op_type in weights.STORED and constant(first) is not None:
            return  # widened where it is used, to what is used there
        if node.op_type == "QuantizeLinear" and _is_exact(node):
            self.exact[output] = first
        elif first in self.exact:
            self.values[output] = self.values[self.exact[first]]
        elif node.op_type == "Relu" and _is_clipped(node):
            self.values[output] = self.values[first]
        else:
            precision = "float32" if node in self.wide else self.form.computes
            self.values[output] = emit(self.builder, self.operands(node, precision)), precision

    def operands(self, node: ir.Node, precision: str) -> Operands:
        inputs = [None if value is None else self.operand(value, precision) for value in node.inputs]
        attributes = {name: attribute.value for name, attribute in node.attributes.items()}
        return Operands(node, inputs, attributes, precision)

    def operand(self, value: ir.Value, precision: str) -> Any:
        """A MIL value, or the numpy array of a constant; floats in the precision asked for."""
        if value in self.values and (self.values[value][1] == precision or not _is_float(value)):
            return self.values[value][0]
        if (value, precision) not in self.others:
            self.others[value, precision] = self.converted(value, precision)
        return self.others[value, precision]

    def converted(self, value: ir.Value, precision: str) -> Any:
        if value in self.values:
            return self.builder.cast(x=self.values[value][0], dtype=_CASTS[precision])
        producer, data = value.producer(), constant(value)
        if producer is not None:
            operands = Operands(
                producer,
                [None if part is None else constant(part) for part in producer.inputs],
                {name: attribute.value for name, attribute in producer.attributes.items()},
                precision,
            )
            return weights.stored(self.builder, operands, blockwise=self.form.modern)
        if data is None:
            raise Bug(f"value '{value.name}' is neither computed nor constant")
        return data.astype(precision) if data.dtype == np.float32 else data


def _is_float(value: ir.Value) -> bool:
    return value.dtype == ir.DataType.FLOAT


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
