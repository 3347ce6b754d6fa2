"""Damage to an ONNX graph as a graph: what comes of it is often a valid model, only not one that anybody would draw."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

UNARY = """
Relu Sigmoid Tanh Exp Log Sqrt Abs Neg Floor Round Sign Erf Softplus Sin HardSigmoid HardSwish Elu Selu Celu Gelu Split
LeakyRelu Mish Identity Dropout Not Softmax LogSoftmax Flatten Transpose Squeeze GlobalAveragePool GlobalMaxPool Shape
Reciprocal ReduceMean ReduceSum ReduceMax ReduceL2 Cast ArgMax MaxPool AveragePool DepthToSpace
"""
BINARY = """
Add Sub Mul Div Max Min Pow PRelu MatMul Gemm Concat Where Equal Less Reshape Expand Unsqueeze Squeeze Gather Tile Conv
ConvTranspose Clip Pad Slice Resize ReduceMean ReduceSum Split LayerNormalization InstanceNormalization
"""
NUMBERS = (-3, -2, -1, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 8, 2**31 - 1, 2**62)
REALS = (0.0, -1.0, 0.5, 1.0, 6.0, 1e-5, 1e30, float("nan"), float("inf"))
TEXTS = """
SAME_UPPER SAME_LOWER VALID NOTSET constant reflect edge nearest linear cubic tanh none half_pixel align_corners
asymmetric floor round_prefer_floor DCR CRD wrong
"""
OPSETS = (0, 1, 7, 9, 11, 12, *range(13, 29), 9999)


def damaged_graph(random: Random, data: bytes) -> bytes | None:
    """One to three mutations of the graph; None where the bytes are no model."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
        for _ in range(random.randint(1, 3)):
            if model.graph.node:
                random.choice(_MUTATIONS)(random, model)
    except (DecodeError, UnicodeDecodeError):  # what is not UTF-8 is found out when it is read
        return None
    return bytes(model.SerializeToString())


def _values(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    named = [*(port.name for port in graph.input), *(tensor.name for tensor in graph.initializer)]
    return [*named, *(name for node in graph.node for name in node.output)]


def _operator(random: Random, model: onnx.ModelProto) -> None:
    node = random.choice(model.graph.node)
    node.op_type = _kind(random, len(node.input))


def _kind(random: Random, operands: int) -> str:
    return random.choice((UNARY if operands == 1 else BINARY).split())


def _some_value(random: Random, model: onnx.ModelProto, before: int) -> str:
    """One that the node at ``before`` may read; sometimes a later one, or none."""
    if random.random() < 0.05:
        return random.choice(["", *_values(model)])
    return random.choice(_values(model)[: len(_values(model)) - _outputs(model, before)])


def _outputs(model: onnx.ModelProto, start: int) -> int:
    return sum(len(node.output) for node in model.graph.node[start:])


def _operand(random: Random, model: onnx.ModelProto) -> None:
    at = random.randrange(len(model.graph.node))
    given = model.graph.node[at].input
    kind = random.randrange(4)
    if kind == 0 and given:
        del given[-1]
    elif kind == 1 or not given:
        given.append(_some_value(random, model, at))
    else:
        given[random.randrange(len(given))] = _some_value(random, model, at)


def _attribute(random: Random, model: onnx.ModelProto, at: int | None = None) -> None:
    """Of those that the operator has, one gets another value, or goes."""
    node = random.choice(model.graph.node) if at is None else model.graph.node[at]
    try:
        known = onnx.defs.get_schema(node.op_type, 18).attributes
    except (onnx.defs.SchemaError, TypeError):  # no such operator, or its name is no text
        return
    if not known:
        return
    name = random.choice(sorted(known))
    old = [number for attribute in node.attribute if attribute.name == name for number in attribute.ints]
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
    value = _setting(random, known[name].type, old)
    if value is not None and random.random() < 0.9:
        node.attribute.append(helper.make_attribute(name, value))


def _setting(random: Random, kind: Any, old: list[int]) -> Any:
    if kind == onnx.defs.OpSchema.AttrType.INT:
        return random.choice(NUMBERS)
    if kind == onnx.defs.OpSchema.AttrType.FLOAT:
        return random.choice(REALS)
    if kind == onnx.defs.OpSchema.AttrType.STRING:
        return random.choice(TEXTS.split())
    if kind == onnx.defs.OpSchema.AttrType.INTS:
        size = len(old) if old and random.random() < 0.8 else random.randint(1, 4)
        return [random.choice([*NUMBERS, *old]) for _ in range(size)]
    return None


def _constant(random: Random, model: onnx.ModelProto) -> None:
    if not model.graph.initializer:
        return
    tensor = random.choice(model.graph.initializer)
    try:
        array = np.array(numpy_helper.to_array(tensor))
    except Exception:  # an earlier mutation's work
        return
    kind = random.randrange(6)
    if kind == 0:
        array = array.astype(random.choice([np.float64, np.float16, np.int64, np.int32, np.int8, bool]))
    elif kind == 1:
        array = array.reshape(random.choice([(-1,), (1, *array.shape), array.shape[::-1], (*array.shape, 1)]))
    elif kind == 2:
        array = array.ravel()[: random.choice([0, 1, 2])]
    elif array.size and array.dtype.kind in "fi":
        value = random.choice(REALS if array.dtype.kind == "f" else NUMBERS[:-2])
        array.flat[random.randrange(array.size)] = value
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))


def _port(random: Random, model: onnx.ModelProto) -> None:
    """Another size, type or name of an input; another output."""
    graph = model.graph
    kind = random.randrange(4)
    if kind == 0 and graph.input:
        dims = random.choice(graph.input).type.tensor_type.shape.dim
        if dims:
            random.choice(dims).dim_value = random.choice(NUMBERS)
    elif kind == 1 and graph.input:
        random.choice(graph.input).type.tensor_type.elem_type = random.randrange(24)
    else:
        name = random.choice(_values(model))
        if kind == 2 and graph.output:
            del graph.output[random.randrange(len(graph.output))]
        graph.output.append(helper.make_empty_tensor_value_info(name))
        graph.output[-1].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def _insert(random: Random, model: onnx.ModelProto) -> None:
    """A node between a value and those that read it, or one whose result is an output."""
    nodes = model.graph.node
    at = random.randrange(len(nodes))
    count = random.choice([1, 1, 2, 2, 3])
    given = [random.choice(list(nodes[at].input) or [""]), *(_some_value(random, model, at) for _ in range(count - 1))]
    name = f"extra{len(nodes)}"
    node = helper.make_node(_kind(random, count), given, [name], name)
    for index, read in enumerate(nodes[at].input):
        if read == given[0]:
            nodes[at].input[index] = name
    nodes.insert(at, node)
    _attribute(random, model, at)


def _delete(random: Random, model: onnx.ModelProto) -> None:
    """A node goes, and what read it reads its input; or it comes twice."""
    nodes = model.graph.node
    node = random.choice(nodes)
    if random.random() < 0.3:
        nodes.append(node)
    elif node.input and node.output:
        before, after = node.input[0], node.output[0]
        for other in nodes:
            for index, read in enumerate(other.input):
                if read == after:
                    other.input[index] = before
        nodes.remove(node)


def _opset(random: Random, model: onnx.ModelProto) -> None:
    if model.opset_import:
        random.choice(model.opset_import).version = random.choice(OPSETS)


_MUTATIONS: tuple[Callable[[Random, onnx.ModelProto], None], ...] = (
    *(_operator, _operand, _attribute, _attribute, _constant, _constant, _port, _insert, _insert, _delete, _opset),
)
