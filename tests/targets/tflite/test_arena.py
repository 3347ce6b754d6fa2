"""Lifetimes and arena against LiteRT's own: where its interpreter, without delegates, puts every tensor.

LiteRT plans greedily (``replay`` below says how). From the lifetimes that phiz read, and what the builtin kernels take
as scratch memory, that planner must come to the very addresses that LiteRT gives; so the lifetimes are LiteRT's.
phiz's own plan is never larger: where LiteRT's order is a good one it is as large, to the byte, and else smaller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, note, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compile.memory import lower_bound, plan
from targets.base import Dissection, Lifetime
from targets.tflite.dissect import dissect

ALIGNMENT = 64
OPTIONS = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
    "SOFTMAX": "SoftmaxOptions",
    "RESHAPE": "ReshapeOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
    "SQUEEZE": "SqueezeOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SPLIT_V": "SplitVOptions",
    "SLICE": "SliceOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "TILE": "TileOptions",
    "SHAPE": "ShapeOptions",
    "VAR_HANDLE": "VarHandleOptions",
    "READ_VARIABLE": "ReadVariableOptions",
    "ASSIGN_VARIABLE": "AssignVariableOptions",
    "IF": "IfOptions",
}
NUMPY = {"FLOAT32": np.float32, "INT32": np.int32, "INT8": np.int8, "FLOAT16": np.float16, "BOOL": np.bool_}


@dataclass(repr=False)
class Net:
    """A file in the making; tensors are named ``t0``, ``t1``, … by their index."""

    tensors: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    buffers: list[bytes] = field(default_factory=lambda: [b""])
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    model: schema.ModelT | None = None

    def tensor(self, *shape: int, kind: str = "FLOAT32", data: bytes = b"", variable: bool = False) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = f"t{len(self.tensors)}", list(shape), getattr(schema.TensorType, kind)
        made.buffer, made.isVariable = len(self.buffers) if data else 0, variable
        if kind == "INT8":
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [0.5], [0]
        if data:
            self.buffers.append(data)
        self.tensors.append(made)
        return len(self.tensors) - 1

    def input(self, *shape: int) -> int:
        self.inputs.append(self.tensor(*shape))
        return self.inputs[-1]

    def constant(self, values: Any, kind: str = "FLOAT32") -> int:
        data: NDArray[Any] = np.asarray(values, NUMPY[kind])
        return self.tensor(*data.shape, kind=kind, data=data.tobytes())

    def op(self, name: str, inputs: list[int], *outputs: int, **options: Any) -> int:
        """Add an operator; its first output."""
        made = schema.OperatorT()
        made.opcodeIndex = self.codes.setdefault(name, len(self.codes))
        made.inputs, made.outputs = inputs, list(outputs)
        if name in OPTIONS:
            made.builtinOptions = getattr(schema, f"{OPTIONS[name]}T")()
            made.builtinOptionsType = getattr(schema.BuiltinOptions, OPTIONS[name])
            for key, value in options.items():
                setattr(made.builtinOptions, key, value)
        self.operators.append(made)
        return next(iter(outputs), -1)

    def __repr__(self) -> str:
        names = list(self.codes)
        steps = [f"{names[o.opcodeIndex]}({o.inputs}) -> {o.outputs}" for o in self.operators]
        return f"{self.inputs}: {'; '.join(steps)}: {self.outputs} of {[list(t.shape) for t in self.tensors]}"

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.tensors[index].shape)

    def like(self, index: int) -> int:
        return self.tensor(*self.shape(index))

    @classmethod
    def read(cls, data: bytes) -> Net:
        """A file that the test did not write, its tensors renamed."""
        model = schema.ModelT.InitFromPackedBuf(data)
        (graph,) = model.subgraphs
        for index, tensor in enumerate(graph.tensors):
            tensor.name = f"t{index}"
        net = cls(graph.tensors, graph.operators, inputs=graph.inputs.tolist(), outputs=graph.outputs.tolist())
        net.model = model
        return net

    def data(self) -> bytes:
        builder = flatbuffers.Builder(0)
        builder.Finish((self.model or self.model_of()).Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def model_of(self) -> schema.ModelT:
        made, graph = schema.ModelT(), schema.SubGraphT()
        made.version, made.operatorCodes, made.buffers, made.subgraphs = 3, [], [], [graph]
        for name in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = {"DEQUANTIZE": 3, "FULLY_CONNECTED": 3, "CONV_2D": 2, "DEPTHWISE_CONV_2D": 2}.get(name, 1)
            made.operatorCodes.append(code)
        for content in self.buffers:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(content, np.uint8) if content else None
            made.buffers.append(buffer)
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = self.inputs, self.outputs
        return made


def places(data: bytes) -> dict[int, tuple[int, int]]:
    """Address and bytes of every tensor of LiteRT's; those that it has beyond the file's are scratch memory."""
    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    found = {}
    for detail in interpreter.get_tensor_details():
        if np.dtype(detail["dtype"]).kind not in "biuf":  # a handle: reading it would crash
            continue
        try:
            view = interpreter.tensor(detail["index"])()
        except ValueError:  # it was given no memory
            continue
        found[detail["index"]] = (view.__array_interface__["data"][0], view.nbytes)
    return found


def replay(lifetimes: list[Lifetime], pinned: set[str]) -> dict[str, int]:
    """Offsets as ``arena_planner.cc`` and ``simple_memory_arena.cc`` of LiteRT assign them.

    First what is there from the beginning and never freed (``pinned``), in the order of the file; then by falling size,
    and of one size by birth. Each goes into the smallest gap, and of those the lowest, that it fits into.
    """
    first = [tensor for tensor in lifetimes if tensor.tensor in pinned]
    rest = sorted((t for t in lifetimes if t.tensor not in pinned), key=lambda tensor: (-tensor.size, tensor.first))
    placed: list[tuple[int, Lifetime]] = []
    for tensor in first + rest:
        top, best, width = 0, None, float("inf")
        for start, other in sorted(placed, key=lambda item: item[0]):
            if other.last < tensor.first or other.first > tensor.last:
                continue
            bottom = -(-top // ALIGNMENT) * ALIGNMENT
            if bottom + tensor.size <= start and start - bottom < width:
                best, width = bottom, start - top
            top = max(top, start + other.size)
        placed.append((-(-top // ALIGNMENT) * ALIGNMENT if best is None else best, tensor))
    return {tensor.tensor: start for start, tensor in placed}


def assert_as_litert(net: Net, kept: tuple[int, ...] = (), scratch: tuple[Lifetime, ...] = ()) -> Dissection:
    """The addresses that LiteRT gives are those that its planner gives our lifetimes.

    Args:
        net: the file.
        kept: tensors that lie outside the arena, for LiteRT computes them when it loads the file.
        scratch: memory that kernels take besides.
    """
    data = net.data()
    dissection, found = dissect({"m": data}), places(data)
    final = len(net.operators) - 1
    names = {f"t{index}" for index in kept}
    assert {tensor.tensor for tensor in dissection.lifetimes if (tensor.first, tensor.last) == (0, final)} >= names
    arena = [tensor for tensor in dissection.lifetimes if tensor.tensor not in names and tensor.size]
    arena = [tensor for tensor in arena if not tensor.tensor.startswith("variable ")]  # on the heap
    read = {index for operator in net.operators for index in operator.inputs}
    lasting = {index for index in net.operators[0].outputs if index in net.outputs or index not in read}
    ours = replay([*scratch, *arena], {f"t{index}" for index in {*net.inputs, *lasting}})
    origin = min(found[index][0] for index in net.inputs)
    for tensor in arena:
        if tensor.tensor.startswith("t"):
            address, size = found[int(tensor.tensor[1:])]
            assert (tensor.tensor, tensor.size, ours[tensor.tensor]) == (
                tensor.tensor,
                size,
                address - origin + ours[f"t{net.inputs[0]}"],
            )
    # Every other activation of the file lies where one of the lifetimes does: it shares its memory.
    starts = {found[int(tensor.tensor[1:])][0] for tensor in arena if tensor.tensor.startswith("t")}
    for index, tensor in enumerate(net.tensors):
        if not tensor.buffer and index in found and index not in kept:
            assert found[index][0] in starts
    extent = max((ours[tensor.tensor] + tensor.size for tensor in [*arena, *scratch]), default=0)
    planned = plan(arena, ALIGNMENT)
    assert lower_bound(arena, ALIGNMENT) <= planned.size <= extent
    return dissection


def unary(net: Net, source: int, name: str = "TANH") -> int:
    return net.op(name, [source], net.like(source))


def join(net: Net, name: str, left: int, right: int) -> int:
    return net.op(name, [left, right], net.like(left))


def reshape(net: Net, source: int, name: str = "RESHAPE") -> int:
    """To another shape of as many elements, by one of the operators that copy nothing."""
    shape = net.shape(source)
    if name == "EXPAND_DIMS":
        return net.op(name, [source, net.constant(0, "INT32")], net.tensor(1, *shape))
    if name == "SQUEEZE" and shape[0] == 1:
        return net.op(name, [source], net.tensor(*shape[1:]), squeezeDims=[0])
    return net.op(
        "RESHAPE", [source, net.constant([prod(shape)], "INT32")], net.tensor(prod(shape)), newShape=[prod(shape)]
    )


def dense(net: Net, source: int, width: int) -> int:
    weights = net.constant(np.ones((width, net.shape(source)[-1])))
    return net.op("FULLY_CONNECTED", [source, weights, -1], net.tensor(*net.shape(source)[:-1], width))


def chain() -> tuple[Net, int]:
    net = Net()
    at = net.input(1, 128)
    for width in (320, 192, 448, 64):
        at = dense(net, at, width)
    net.outputs = [at]
    return net, 4 * (128 + 192 + 448)


def test_a_chain_takes_as_much_as_litert_gives_it() -> None:
    net, size = chain()
    lifetimes = assert_as_litert(net).lifetimes
    found = [found for index, found in places(net.data()).items() if not net.tensors[index].buffer]
    extent = max(start + width for start, width in found) - min(found)[0]
    assert plan(lifetimes, ALIGNMENT).size == extent == size


def test_litert_may_give_even_a_chain_more_than_it_needs() -> None:
    """By falling size, it puts both tensors of 256 bytes first, and then finds no gap for one of 192 bytes."""
    net = Net()
    at = net.input(1, 16)
    for width in (64, 48, 48, 64):
        at = dense(net, at, width)
    net.outputs = [at]
    lifetimes = assert_as_litert(net).lifetimes
    found = [found for index, found in places(net.data()).items() if not net.tensors[index].buffer]
    assert max(start + width for start, width in found) - min(found)[0] == 704
    made = plan(lifetimes, ALIGNMENT)
    assert made.size == made.bound == 512


@pytest.mark.parametrize("name", ["RESHAPE", "EXPAND_DIMS", "SQUEEZE"])
@pytest.mark.parametrize("edge", ["inside", "input", "output"])
def test_a_reshape_shares_memory_but_with_the_graphs_own(name: str, edge: str) -> None:
    net = Net()
    source = net.input(1, 4, 96)
    inner = source if edge == "input" else unary(net, source)
    shaped = reshape(net, inner, name)
    net.outputs = [shaped if edge == "output" else unary(net, shaped)]
    assert len(assert_as_litert(net).lifetimes) == 3


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL", "DIV", "MAXIMUM"])
@pytest.mark.parametrize("again", [(), (0,), (1,), (0, 1)])
def test_an_operator_in_place_takes_over_what_nobody_else_reads(name: str, again: tuple[int, ...]) -> None:
    net = Net()
    source = net.input(1, 96)
    operands = [unary(net, source), unary(net, source)]
    total = unary(net, join(net, name, *operands))
    for index in again:
        total = net.op("MAXIMUM", [total, operands[index]], net.like(total))
    net.outputs = [total]
    assert_as_litert(net)


UNARY = "ABS CEIL COS ELU EXP FLOOR HARD_SWISH LOG LOGISTIC LOG_SOFTMAX NEG RELU RELU6 ROUND RSQRT SIN SQRT SQUARE TANH"


@pytest.mark.parametrize("name", UNARY.split())
def test_other_operators_do_not_work_in_place(name: str) -> None:
    net = Net()
    net.outputs = [unary(net, unary(net, unary(net, net.input(1, 96)), name))]
    assert len(assert_as_litert(net).lifetimes) == 4


def test_a_slice_is_updated_in_place_and_bits_are_renamed() -> None:
    net = Net()
    source = unary(net, net.input(1, 96))
    part, at = net.constant(np.ones((1, 8))), net.constant([0, 4], "INT32")
    updated = net.op("DYNAMIC_UPDATE_SLICE", [source, part, at], net.like(source))
    bits = net.op("BITCAST", [updated], net.tensor(1, 96, kind="INT32"))
    net.outputs = [net.op("CAST", [bits], net.tensor(1, 96))]
    lifetimes = assert_as_litert(net).lifetimes
    assert [tensor.tensor for tensor in lifetimes] == ["t0", f"t{source}", f"t{net.outputs[0]}"]


def test_softmax_works_in_place() -> None:
    net = Net()
    net.outputs = [unary(net, unary(net, unary(net, net.input(1, 96)), "SOFTMAX"))]
    net.operators[1].builtinOptions.beta = 1.0
    assert len(assert_as_litert(net).lifetimes) == 3


def test_what_nobody_reads_is_kept() -> None:
    net = Net()
    source = unary(net, net.input(1, 96))
    unary(net, source)
    net.outputs = [dense(net, dense(net, source, 64), 32)]
    lifetimes = {tensor.tensor: tensor for tensor in assert_as_litert(net).lifetimes}
    assert lifetimes["t2"].last == 3


def test_a_variable_has_memory_of_its_own() -> None:
    net = Net()
    state = net.tensor(1, 96, variable=True)
    net.outputs = [unary(net, join(net, "ADD", unary(net, net.input(1, 96)), state))]
    assert Lifetime("t0", 384, 0, 2) in assert_as_litert(net, (state,)).lifetimes


def test_what_constants_decide_is_computed_once_and_kept() -> None:
    """A weight in float16; one of four operators that LiteRT folds; a shape; and what is made of a folded one."""
    net = Net()
    source = unary(net, net.input(4, 96))
    half = net.constant(np.ones((4, 96)), "FLOAT16")
    weight = net.op("DEQUANTIZE", [half], net.tensor(4, 96))
    tiled = net.op("TILE", [net.constant(np.ones((2, 96))), net.constant([2, 1], "INT32")], net.tensor(4, 96))
    product = net.op("MUL", [tiled, net.constant(np.ones((4, 96)))], net.tensor(4, 96))
    extent = net.op("SHAPE", [source], net.tensor(2, kind="INT32"), outType=schema.TensorType.INT32)
    net.tensors[extent].type = schema.TensorType.INT32
    copied = net.op("MAXIMUM", [net.constant(np.ones((4, 96))), net.constant(np.ones(96))], net.tensor(4, 96))
    total = source
    for operand in (weight, product, copied):
        total = join(net, "MAXIMUM", total, operand)
    net.outputs = [total]
    dissection = assert_as_litert(net, (weight, tiled, product, extent))
    assert next(tensor for tensor in dissection.lifetimes if tensor.tensor == f"t{copied}").first == 5


@pytest.mark.parametrize("name", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "BATCH_MATMUL"])
def test_integer_weights_beside_float_activations_cost_a_copy_of_the_input(name: str) -> None:
    """Its size is that of one of the scratch tensors that the builtin kernel asks for."""
    net = Net()
    shape, weights, result, options = {
        "FULLY_CONNECTED": ((3, 40), (8, 40), (3, 8), {}),
        "CONV_2D": ((1, 5, 6, 7), (4, 3, 3, 7), (1, 3, 4, 4), {"padding": 1, "strideH": 1, "strideW": 1}),
        "DEPTHWISE_CONV_2D": (
            (1, 5, 6, 7),
            (1, 3, 3, 7),
            (1, 3, 4, 7),
            {"padding": 1, "strideH": 1, "strideW": 1, "depthMultiplier": 1},
        ),
        "BATCH_MATMUL": ((2, 3, 40), (2, 40, 8), (2, 3, 8), {}),
    }[name]
    source = net.input(*shape)
    integers = net.constant(np.ones(weights), "INT8")
    options |= {"dilationHFactor": 1, "dilationWFactor": 1} if "CONV" in name else {}
    bias = [net.constant(np.ones(result[-1]))] if "MATMUL" not in name else []
    net.outputs = [net.op(name, [source, integers, *bias], net.tensor(*result), **options)]
    data = net.data()
    (copy,) = [tensor for tensor in dissect({"m": data}).lifetimes if not tensor.tensor.startswith("t")]
    assert copy == Lifetime(f"op 0 {name} input as int8", prod(shape), 0, 0)
    assert copy.size in [size for index, (_, size) in places(data).items() if index >= len(net.tensors)]


def test_scratch_memory_is_what_sets_litert_apart() -> None:
    """A dense layer with int8 weights: its scales and offsets a row, and its sums as int32, are not counted."""
    net = Net()
    source = unary(net, net.input(1, 272))
    hidden = net.op("FULLY_CONNECTED", [source, net.constant(np.ones((80, 272)), "INT8"), -1], net.tensor(1, 80))
    net.outputs = [unary(net, hidden)]
    scratch = tuple(Lifetime(name, size, 1, 1) for name, size in {"scale": 4, "offset": 4, "sums": 4 * 80}.items())
    assert_as_litert(net, scratch=scratch)


def test_variables_behind_handles_live_throughout() -> None:
    """As streaming models of Keras have them: one subgraph puts zeros there, once; each run adds to them."""
    net, first = Net(), Net()
    for graph in (net, first):
        handle = graph.tensor(kind="RESOURCE")
        graph.op("VAR_HANDLE", [], handle, sharedName="state")
    first.op("ASSIGN_VARIABLE", [0, first.constant(np.zeros((1, 96)))])
    source = unary(net, net.input(1, 96))
    total = join(net, "ADD", net.op("READ_VARIABLE", [0], net.tensor(1, 96)), source)
    net.op("ASSIGN_VARIABLE", [0, total])
    net.outputs = [unary(net, total)]
    model, once = net.model_of(), schema.SubGraphT()
    once.tensors, once.operators, once.inputs, once.outputs = first.tensors, first.operators, [], []
    for tensor in once.tensors[1:]:
        tensor.buffer = len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = np.zeros(4 * 96, np.uint8)
    model.subgraphs.append(once)
    call, code = schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.CALL_ONCE, 127
    call.opcodeIndex, call.inputs, call.outputs = len(model.operatorCodes), [], []
    call.builtinOptions, call.builtinOptionsType = schema.CallOnceOptionsT(), schema.BuiltinOptions.CallOnceOptions
    call.builtinOptions.initSubgraphIndex = 1
    model.operatorCodes.append(code)
    for operator in once.operators:  # both list their operators in another order
        operator.opcodeIndex = net.codes[list(first.codes)[operator.opcodeIndex]]
    net.operators.insert(0, call)
    net.model = model
    interpreter = Interpreter(model_content=net.data())
    interpreter.allocate_tensors()
    for run in (1, 2):
        interpreter.set_tensor(net.inputs[0], np.full((1, 96), 9, np.float32))
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(net.outputs[0]), np.tanh(run * np.tanh(9)), rtol=1e-5)
    dissection = assert_as_litert(net)
    assert dissection.unknown == ()
    assert dissection.lifetimes[-1] == Lifetime("variable 'state'", 4 * 96, 0, 6)


def batched(pad: tuple[int, int] = (0, 1), merged: bool = False, axis: int = 0) -> Net:
    """Keras' way: what depends on the batch has -1 in its signature and 1 in its shape."""
    net = Net()
    source = unary(net, net.input(1, 2, 32))
    width = 32 + sum(pad) if pad[0] == 0 else 32
    padding = [[pad[0], 0], [0, 0], [0, pad[1]]]
    padded = net.op("PAD", [source, net.constant(padding, "INT32")], net.tensor(1, 2, width))
    shape = [1, width] if merged else [1, 2 * width]
    flat = net.op("RESHAPE", [padded, net.constant([-1, shape[1]], "INT32")], net.tensor(*shape), newShape=shape)
    net.outputs = [dense(net, unary(net, flat), 5)]
    for tensor in net.tensors:
        if not tensor.buffer:
            at = axis if len(tensor.shape) > axis else 0
            tensor.shapeSignature = [-1 if i == at else size for i, size in enumerate(tensor.shape)]
    return net


def test_a_free_batch_is_counted_as_one() -> None:
    net = batched()
    dissection = assert_as_litert(net)
    assert dissection.unknown == ()
    assert dissection.notes == ("activations are those of a batch of 1, whose size the file leaves open",)


@pytest.mark.parametrize("net", [batched(merged=True), batched(pad=(1, 0)), batched(axis=1)], ids=str)
def test_what_else_is_free_is_unknown(net: Net) -> None:
    """Items that a reshape makes more of, or padding, and a length: LiteRT allots more than the file's shapes say."""
    dissection = dissect({"m": net.data()})
    assert "the size of activation 't1'" in dissection.unknown
    assert dissection.notes == ()


def test_subgraphs_that_are_run_are_unknown_with_their_reason() -> None:
    net = Net()
    source = net.input(1)
    net.outputs = [net.op("IF", [net.constant([True], "BOOL"), source], net.like(source), thenSubgraphIndex=1)]
    model = net.model_of()
    for name in ("then", "other"):
        branch = schema.SubGraphT()
        branch.name, branch.operators, branch.inputs, branch.outputs = name, [], [0], [0]
        branch.tensors = [schema.TensorT()]
        branch.tensors[0].shape = [1]
        model.subgraphs.append(branch)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "train", 2
    model.signatureDefs = [signature]
    net.model = model
    assert dissect({"m": net.data()}).unknown == (
        "the activations of subgraph 1 'then', which 'op 0 IF' runs",
        "the activations of subgraph 2 'other', the signature 'train'",
    )


@pytest.mark.parametrize("integers", [False, True])
def test_convolutions_are_unfolded_only_by_the_builtin_kernels(integers: bool) -> None:
    """Kernels of 5, 1 and 3 over time, stride 2, 1 and 1, as a student has; the second needs no unfolding."""
    kind, width = ("INT8", 1) if integers else ("FLOAT32", 4)
    net, length, channels, scratch = Net(), 64, 3, []
    at = net.tensor(1, 1, length, channels, kind=kind)
    net.inputs = [at]
    for step, (kernel, stride, filters) in enumerate([(5, 2, 8), (1, 1, 24), (3, 1, 10)]):
        weights = net.constant(np.ones((filters, 1, kernel, channels)), kind)
        length = (length - kernel) // stride + 1
        if kernel > 1:
            scratch.append(Lifetime(f"unfolded {step}", length * kernel * channels * width, step, step))
        bias = net.constant(np.zeros(filters), "INT32" if integers else "FLOAT32")
        result = net.tensor(1, 1, length, filters, kind=kind)
        options = {"padding": 1, "strideW": stride, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
        at, channels = net.op("CONV_2D", [at, weights, bias], result, **options), filters
    net.outputs = [at]
    dissection = assert_as_litert(net, scratch=tuple(scratch))
    most = max(scratch, key=lambda tensor: tensor.size)
    assert dissection.notes == (
        f"without XNNPACK, 'op {most.first} CONV_2D' takes {most.size:,} bytes of scratch memory more, "
        "which are not counted",
    )


def test_the_reference_student_lies_where_litert_puts_it() -> None:
    """In float, as phiz writes it: eight convolutions, each unfolded by the builtin kernels, and three dense layers."""
    pytest.importorskip("torch")
    from compile import capture
    from compile.simplify.pipeline import simplify
    from distill.students import folder as students
    from targets.tflite.lower import lower

    captured = capture.from_module(*students.load(Path(__file__).parents[3] / "examples" / "reference"))
    (data,) = lower(simplify(captured).model).files.values()
    net = Net.read(data)
    scratch = []
    for step, operator in enumerate(net.operators):
        weights = net.shape(operator.inputs[-2]) if len(operator.inputs) == 3 else ()
        if len(weights) == 4:
            positions = prod(net.shape(operator.outputs[0])[:3])
            scratch.append(Lifetime(f"unfolded {step}", 4 * positions * prod(weights[1:]), step, step))
    assert len(scratch) == 8
    dissection = assert_as_litert(net, scratch=tuple(scratch))
    made = plan(dissection.lifetimes, ALIGNMENT)
    assert made.size == made.bound


STEPS = ["unary", "softmax", "ADD", "MUL", "DIV", "MAXIMUM", "RESHAPE", "EXPAND_DIMS", "SQUEEZE", "dense"]
STEPS += ["concatenate", "split", "slice", "constant"]


@st.composite
def networks(draw: st.DrawFn) -> tuple[Net, tuple[int, ...]]:
    """Up to 24 operators over a few inputs, each reading anything that was there before; and what is kept."""
    net, kept = Net(), []
    widths = st.integers(2, 400)
    values = [net.input(1, draw(widths)) for _ in range(draw(st.integers(1, 3)))]
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=24)):
        source = draw(st.sampled_from(values))
        shape = net.shape(source)
        alike = [index for index in values if net.shape(index) == shape]
        if step in ("ADD", "MUL", "DIV", "MAXIMUM"):
            values.append(join(net, step, source, draw(st.sampled_from(alike))))
        elif step in ("RESHAPE", "EXPAND_DIMS", "SQUEEZE"):
            if len(shape) < 5:
                values.append(reshape(net, source, step))
        elif step == "dense":
            values.append(dense(net, source, draw(widths)))
        elif step == "concatenate":
            width = shape[-1] * 2
            joined = net.tensor(*shape[:-1], width)
            values.append(net.op("CONCATENATION", [source, draw(st.sampled_from(alike))], joined, axis=len(shape) - 1))
        elif step == "split" and shape[-1] > 2:
            sizes = [1, shape[-1] - 1]
            parts = [net.tensor(*shape[:-1], size) for size in sizes]
            axis = net.constant(len(shape) - 1, "INT32")
            net.op("SPLIT_V", [source, net.constant(sizes, "INT32"), axis], *parts, numSplits=2)
            values += parts
        elif step == "slice":
            part = (*shape[:-1], (shape[-1] + 1) // 2)
            bounds = [net.constant(bound, "INT32") for bound in ([0] * len(shape), part)]
            values.append(net.op("SLICE", [source, *bounds], net.tensor(*part)))
        elif step == "constant":
            half = net.constant(np.ones(shape), "FLOAT16")
            kept.append(net.op("DEQUANTIZE", [half], net.tensor(*shape)))
            values.append(join(net, "ADD", source, kept[-1]))
        else:
            name = "SOFTMAX" if step == "softmax" else "TANH"
            values.append(net.op(name, [source], net.like(source), **({"beta": 1.0} if step == "softmax" else {})))
    if not net.operators:
        values.append(unary(net, values[0]))
    made = [index for operator in net.operators for index in operator.outputs if index not in kept]
    net.outputs = sorted(draw(st.sets(st.sampled_from(made), min_size=1, max_size=3)))
    return net, tuple(kept)


@settings(max_examples=150)
@given(networks())
def test_any_network_lies_where_litert_puts_it(drawn: tuple[Net, tuple[int, ...]]) -> None:
    net, kept = drawn
    note(repr(net))
    assert_as_litert(net, kept)
