"""Every byte of a ``.tflite`` file has a label, whoever wrote it, and broken files end in one clear error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from compile.errors import UserError
from compile.memory import plan
from compile.model import Model
from targets.base import Dissection, Kind, Lifetime
from targets.tflite import tables
from targets.tflite.dissect import dissect
from targets.tflite.lower import lower

RNG = np.random.default_rng(3)
FILTER = RNG.integers(-127, 128, (4, 1, 3, 2), np.int8)
BIAS = RNG.integers(-1000, 1000, 4, np.int32)
DENSE = RNG.integers(-127, 128, (5, 4 * 8), np.int8)
SCALES = (0.5, 0.25, 0.125, 0.0625)


def bytes_of(dissection: Dissection, kind: Kind) -> int:
    return sum(section.end - section.start for section in dissection.sections if section.kind is kind)


def assert_covers(dissection: Dissection, sizes: dict[str, int]) -> None:
    """By its own arithmetic: sorted, gapless, each file to its last byte."""
    assert dict(dissection.sizes) == sizes
    ends = dict.fromkeys(sizes, 0)
    for section in dissection.sections:
        assert section.start == ends[section.file] < section.end
        ends[section.file] = section.end
    assert ends == sizes


def quantization(scales: tuple[float, ...]) -> schema.QuantizationParametersT:
    parameters = schema.QuantizationParametersT()
    parameters.scale = list(scales)
    parameters.zeroPoint = [0] * len(scales)
    return parameters


def tensor(
    name: str, shape: tuple[int, ...], kind: str = "INT8", buffer: int = 0, scales: tuple[float, ...] = (0.5,)
) -> schema.TensorT:
    made = schema.TensorT()
    made.name, made.shape, made.buffer = name, list(shape), buffer
    made.type = getattr(schema.TensorType, kind)
    made.quantization = quantization(scales) if scales else None
    return made


def operator(code: int, inputs: list[int], outputs: list[int], options: object, kind: str) -> schema.OperatorT:
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs, made.builtinOptions = code, inputs, outputs, options
    made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
    return made


def code(name: str, version: int) -> schema.OperatorCodeT:
    made = schema.OperatorCodeT()
    made.builtinCode = made.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    made.version = version
    return made


def buffer(data: bytes) -> schema.BufferT:
    made = schema.BufferT()
    made.data = np.frombuffer(data, np.uint8) if data else None
    return made


def model() -> schema.ModelT:
    """conv (int8, fused Relu) -> reshape -> dense, as the schema's own object API writes it."""
    made = schema.ModelT()
    made.version, made.description = 3, "made in a test"
    made.operatorCodes = [code("CONV_2D", 3), code("RESHAPE", 1), code("FULLY_CONNECTED", 4)]
    made.buffers = [buffer(b""), buffer(FILTER.tobytes()), buffer(BIAS.tobytes()), buffer(DENSE.tobytes())]
    made.buffers.append(buffer(b'{"phiz.sample_rate":"16000"}'))
    made.buffers.append(buffer(np.array([1, 32], np.int32).tobytes()))
    graph = schema.SubGraphT()
    graph.name = b"main"
    graph.tensors = [
        tensor("audio", (1, 1, 8, 2)),
        tensor("conv.weight", FILTER.shape, "INT8", 1, SCALES),
        tensor("conv.bias", BIAS.shape, "INT32", 2, tuple(0.5 * scale for scale in SCALES)),
        tensor("", (1, 1, 8, 4)),
        tensor("flat", (1, 32)),
        tensor("", DENSE.shape, "INT8", 3),
        tensor("controls", (1, 5)),
        tensor("flat.shape", (2,), "INT32", 5, ()),
    ]
    conv, reshape, dense = schema.Conv2DOptionsT(), schema.ReshapeOptionsT(), schema.FullyConnectedOptionsT()
    conv.strideH = conv.strideW = conv.dilationHFactor = conv.dilationWFactor = 1
    conv.fusedActivationFunction = schema.ActivationFunctionType.RELU
    reshape.newShape = [1, 32]
    graph.operators = [
        operator(0, [0, 1, 2], [3], conv, "Conv2DOptions"),
        operator(1, [3, 7], [4], reshape, "ReshapeOptions"),
        operator(2, [4, 5, -1], [6], dense, "FullyConnectedOptions"),
    ]
    graph.inputs, graph.outputs = [0], [6]
    made.subgraphs = [graph]
    entry = schema.MetadataT()
    entry.name, entry.buffer = "phiz", 4
    made.metadata = [entry]
    signature, port = schema.SignatureDefT(), schema.TensorMapT()
    port.name, port.tensorIndex = "audio", 0
    signature.signatureKey, signature.inputs, signature.outputs = "serve", [port], []
    made.signatureDefs = [signature]
    return made


def pack(made: schema.ModelT) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(0)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def pack_outside(made: schema.ModelT) -> bytes:
    """As ai-edge-quantizer writes large models: constants behind the flatbuffer, by absolute offset."""
    contents = [bytes(item.data) if item.data is not None else b"" for item in made.buffers]
    for item, content in zip(made.buffers, contents, strict=True):
        if content:
            item.data, item.offset, item.size = None, 2, len(content)  # a placeholder that takes the same space
    start = len(pack(made))
    tail = b""
    for item, content in zip(made.buffers, contents, strict=True):
        if content:
            tail += b"\0" * (-(start + len(tail)) % 16)
            item.offset = start + len(tail)
            tail += content
    return pack(made) + tail


SAMPLE = pack(model())
OUTSIDE = pack_outside(model())


@pytest.fixture(scope="module")
def sample() -> Dissection:
    return dissect({"m.tflite": SAMPLE})


@pytest.mark.parametrize("data", [SAMPLE, OUTSIDE], ids=["inside", "outside"])
def test_every_byte_has_a_label(data: bytes) -> None:
    dissection = dissect({"m.tflite": data})
    assert_covers(dissection, {"m.tflite": len(data)})
    assert bytes_of(dissection, Kind.UNMAPPED) == 0


@pytest.mark.parametrize("data", [SAMPLE, OUTSIDE], ids=["inside", "outside"])
def test_weights_lie_where_the_sections_say(data: bytes) -> None:
    weights = {
        s.layer: (data[s.start : s.end], s.dtype) for s in dissect({"m": data}).sections if s.kind is Kind.WEIGHTS
    }
    assert weights == {
        "conv.weight": (FILTER.tobytes(), "int8"),
        "conv.bias": (BIAS.tobytes(), "int32"),
        "op 2 FULLY_CONNECTED": (DENSE.tobytes(), "int8"),
        "flat.shape": (np.array([1, 32], np.int32).tobytes(), "int32"),
    }


def test_quantisation_parameters_are_the_scales_and_zero_points(sample: Dissection) -> None:
    found: Counter[tuple[str, str]] = Counter()
    for section in sample.sections:
        if section.kind is Kind.QUANTIZATION:
            found[section.layer, section.dtype] += section.end - section.start
    assert found["conv.weight", "float32"] == 4 * 4
    assert found["conv.weight", "int64"] == 4 * 8
    assert found["controls", "float32"] == 4


def test_the_indices_of_a_sparse_weight_are_weights() -> None:
    made = model()
    sparsity, dimension, segments = schema.SparsityParametersT(), schema.DimensionMetadataT(), schema.Uint8VectorT()
    segments.values = [0, 7, 9]
    dimension.arraySegmentsType, dimension.arraySegments = schema.SparseIndexVector.Uint8Vector, segments
    sparsity.traversalOrder, sparsity.dimMetadata = [0, 1], [dimension]
    made.subgraphs[0].tensors[1].sparsity = sparsity
    data = pack(made)
    dissection = dissect({"m": data})
    weights = [s for s in dissection.sections if s.kind is Kind.WEIGHTS and s.layer == "conv.weight"]
    assert sorted(data[s.start : s.end] for s in weights) == sorted(
        [FILTER.tobytes(), bytes([0, 7, 9]), np.array([0, 1], np.int32).tobytes()]
    )
    assert bytes_of(dissection, Kind.UNMAPPED) == 0


def test_metadata_is_read_and_labelled(sample: Dissection) -> None:
    assert sample.metadata == {"description": "made in a test", "phiz.sample_rate": "16000"}
    labelled = b"".join(SAMPLE[s.start : s.end] for s in sample.sections if s.kind is Kind.METADATA)
    assert b"made in a test" in labelled
    assert b'{"phiz.sample_rate":"16000"}' in labelled


def test_the_metadata_of_old_converters_is_labelled_too() -> None:
    made = model()
    index = len(made.buffers)
    made.metadata, made.metadataBuffer = None, [index]
    made.buffers.append(buffer(b"written in 2019 "))
    dissection = dissect({"m": pack(made)})
    found = [s for s in dissection.sections if s.kind is Kind.METADATA and s.layer == "metadata"]
    assert [section.end - section.start for section in found] == [16]
    assert f"buffer {index} (unused)" not in {constant.name for constant in dissection.constants}


def test_operators_and_names_are_the_graph(sample: Dissection) -> None:
    layers = {section.layer for section in sample.sections if section.kind is Kind.GRAPH}
    assert {"op 0 CONV_2D", "op 1 RESHAPE", "op 2 FULLY_CONNECTED", "controls"} <= layers


def test_lifetimes_follow_the_operators(sample: Dissection) -> None:
    assert sample.lifetimes == (
        Lifetime("audio", 16, 0, 2),
        Lifetime("op 0 CONV_2D", 32, 0, 2),  # "flat" is the same memory
        Lifetime("controls", 5, 2, 2),
    )
    assert sample.unknown == ()


def test_activation_sizes_are_the_runtimes(sample: Dissection) -> None:
    interpreter = Interpreter(
        model_content=SAMPLE, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    sizes = {
        d["name"]: int(np.prod(d["shape"])) * np.dtype(d["dtype"]).itemsize for d in interpreter.get_tensor_details()
    }
    for lifetime in sample.lifetimes:
        if lifetime.tensor in sizes:
            assert lifetime.size == sizes[lifetime.tensor]


def test_the_planned_arena_is_as_large_as_the_runtimes() -> None:
    """Against LiteRT's builtin kernels: the extent of the memory in which it placed a chain of dense layers.

    All sizes are multiples of its alignment, 64, so that both must come to the same byte.
    """
    widths = (128, 320, 192, 448, 64)
    made = model()
    graph = made.subgraphs[0]
    graph.tensors = [tensor(f"a{index}", (1, width)) for index, width in enumerate(widths)]
    made.operatorCodes, made.buffers, made.metadata, made.signatureDefs = [made.operatorCodes[2]], [buffer(b"")], [], []
    graph.operators = []
    for step in range(len(widths) - 1):
        made.buffers.append(buffer(bytes(widths[step + 1] * widths[step])))
        graph.tensors.append(tensor(f"w{step}", (widths[step + 1], widths[step]), "INT8", len(made.buffers) - 1))
        operands = [step, len(graph.tensors) - 1, -1]
        graph.operators.append(
            operator(0, operands, [step + 1], schema.FullyConnectedOptionsT(), "FullyConnectedOptions")
        )
    graph.inputs, graph.outputs = [0], [len(widths) - 1]
    data = pack(made)
    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    places = [interpreter.tensor(index)().__array_interface__["data"][0] for index in range(len(widths))]
    extent = max(place + width for place, width in zip(places, widths, strict=True)) - min(places)
    assert plan(dissect({"m": data}).lifetimes, 64).size == extent == 128 + 192 + 448


def _dynamic(made: schema.ModelT) -> None:
    made.subgraphs[0].tensors[4].shapeSignature = [-1, 32]


def _string(made: schema.ModelT) -> None:
    made.subgraphs[0].tensors[4].type = schema.TensorType.STRING


def _second_graph(made: schema.ModelT) -> None:
    made.subgraphs.append(model().subgraphs[0])


@pytest.mark.parametrize(
    ("change", "unknown"),
    [
        (_dynamic, ("the size of activation 'flat'",)),
        (_string, ("the size of activation 'flat'",)),
        (_second_graph, ("the activations of subgraph 1 'main'",)),
    ],
)
def test_what_the_file_does_not_tell_is_unknown(
    change: Callable[[schema.ModelT], None], unknown: tuple[str, ...]
) -> None:
    made = model()
    change(made)
    assert dissect({"m": pack(made)}).unknown == unknown


@pytest.mark.parametrize("index", [1, 2, 5])
def test_elements_that_the_file_does_not_hold_are_unknown(index: int) -> None:
    """As of a file that was stripped of its buffers: LiteRT takes it, and fails as it runs."""
    made = model()
    made.buffers[made.subgraphs[0].tensors[index].buffer].data = None
    data = pack(made)
    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    with pytest.raises(RuntimeError, match=f"Input tensor {index} lacks data"):
        interpreter.invoke()
    found = dissect({"m": data})
    assert [entry.startswith("the elements of tensor") for entry in found.unknown] == [True]


def test_a_variable_lives_throughout() -> None:
    made = model()
    made.subgraphs[0].tensors[4].isVariable = True
    assert Lifetime("flat", 32, 0, 2) in dissect({"m": pack(made)}).lifetimes


def constants(enumeration: type) -> dict[str, object]:
    """The names that flatbuffers gave, without those that Python 3.13 adds to every class."""
    return {name: number for name, number in vars(enumeration).items() if not name.startswith("__")}


def test_every_vector_of_every_option_table_is_mapped() -> None:
    """Each union member of the installed schema, filled with what it can hold, leaves no byte unexplained."""
    made = model()
    graph = made.subgraphs[0]
    for field, union in (("builtinOptions", schema.BuiltinOptions), ("builtinOptions2", schema.BuiltinOptions2)):
        members = {name: number for name, number in constants(union).items() if isinstance(number, int) and number}
        for name, number in members.items():
            options = getattr(schema, f"{name}T")()
            for attribute in vars(options):
                if hasattr(getattr(schema, name), f"{attribute[0].upper()}{attribute[1:]}Length"):
                    setattr(options, attribute, [1, 0, 1])
                elif getattr(options, attribute) is None:
                    setattr(options, attribute, "text")
            extra = schema.OperatorT()
            extra.inputs, extra.outputs = [], []
            setattr(extra, field, options)
            setattr(extra, f"{field}Type", number)
            graph.operators.append(extra)
    data = pack(made)
    dissection = dissect({"m": data})
    assert_covers(dissection, {"m": len(data)})
    assert bytes_of(dissection, Kind.UNMAPPED) == 0


def test_the_tables_follow_the_installed_schema() -> None:
    for name, number in constants(schema.BuiltinOperator).items():
        if isinstance(number, int):
            assert tables.OPERATORS[number] == name
    types = {number: name.lower() for name, number in constants(schema.TensorType).items() if isinstance(number, int)}
    for number, (name, _) in tables.TYPES.items():
        assert types[number] == name
    for union, members in tables.UNIONS.items():
        for number, name in members.items():
            assert getattr(getattr(schema, union), name) == number


def corrupt(position: int, value: int, width: int = 4) -> bytes:
    return SAMPLE[:position] + value.to_bytes(width, "little") + SAMPLE[position + width :]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "not a TFLite file"),
        (b"\x08\x07\x12\x03abc", "not a TFLite file"),
        (SAMPLE[:-8], "malformed|lie outside"),
        (corrupt(0, 0), "malformed at byte 0"),
        (corrupt(0, 2**32 - 1), "malformed"),
        (OUTSIDE[:-8], "lie outside"),
        (OUTSIDE.replace((len(OUTSIDE) - 8).to_bytes(8, "little"), (8).to_bytes(8, "little")), "overlap"),
    ],
)
def test_a_broken_file_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        dissect({"m.tflite": data})


def test_an_unused_tail_is_not_hidden() -> None:
    dissection = dissect({"m": SAMPLE + b"secret"})
    assert bytes_of(dissection, Kind.UNMAPPED) == len(b"secret")
    assert_covers(dissection, {"m": len(SAMPLE) + 6})


@settings(max_examples=400, deadline=2000)
@given(
    st.sampled_from([SAMPLE, OUTSIDE]),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    st.integers(0, 200),
)
def test_a_mutated_file_is_refused_or_covered(data: bytes, edits: list[tuple[int, bytes]], cut: int) -> None:
    mutated = bytearray(data)
    for position, patch in edits:
        at = position % len(data)
        mutated[at : at + len(patch)] = patch
    final = bytes(mutated[: len(mutated) - (cut if cut < 100 else 0)])
    try:
        dissection = dissect({"m": final})
    except UserError:
        return
    assert_covers(dissection, {"m": len(final)})


def test_repeated_references_do_not_multiply_the_work() -> None:
    """40 kB that name one operator of 5,000 inputs 5,000 times: refused, not 25 million reads."""
    import flatbuffers

    builder = flatbuffers.Builder(0)
    builder.StartVector(4, 5_000, 4)
    for _ in range(5_000):
        builder.PrependInt32(0)
    inputs = builder.EndVector()
    schema.OperatorStart(builder)
    schema.OperatorAddInputs(builder, inputs)
    shared = schema.OperatorEnd(builder)
    codes = schema.OperatorCodeT().Pack(builder)
    vectors = []
    for start, item, count in (
        (schema.SubGraphStartOperatorsVector, shared, 5_000),
        (schema.ModelStartOperatorCodesVector, codes, 1),
    ):
        start(builder, count)
        for _ in range(count):
            builder.PrependUOffsetTRelative(item)
        vectors.append(builder.EndVector())
    schema.SubGraphStart(builder)
    schema.SubGraphAddOperators(builder, vectors[0])
    graph = schema.SubGraphEnd(builder)
    schema.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, graphs)
    schema.ModelAddOperatorCodes(builder, vectors[1])
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    with pytest.raises(UserError, match="malformed"):
        dissect({"m": bytes(builder.Output())})


def test_dequantised_weights_stay_for_good(hub, quantize):
    """LiteRT turns a w8 layer's weights into float32 once, at load, and keeps them."""
    net = hub()
    x = net.input(1, 8)
    model = quantize(net.model(net.gemm(net.op("Tanh", net.gemm(x, 16, 8)), 4, 16)), "w8", net.feeds())
    found = dissect(lower(Model(ir.from_proto(model))).files).lifetimes
    final = max(life.last for life in found)
    spans = {(life.first, life.last) for life in found if life.size == 4 * 16 * 8}
    assert spans == {(0, final)}
