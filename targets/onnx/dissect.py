"""What the bytes of an ``.onnx`` file, and of the files it keeps weights in, are for."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import PurePosixPath

from compile.errors import UserError
from targets.base import Dissection, Files, Kind, Section
from targets.onnx.lifetimes import Graph, Node, lifetimes
from targets.onnx.proto import MODEL_NOTES, NOTES, TYPES, Item, Message, parse
from targets.sections import cover
from targets.wire import BYTES

# Operator -> which of its inputs are scales and zero points.
_QUANTIZERS = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QLinearMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "QLinearSigmoid": (1, 2, 3, 4),
    "QLinearLeakyRelu": (1, 2, 3, 4),
    "QLinearAveragePool": (1, 2, 3, 4),
    "QLinearGlobalAveragePool": (1, 2, 3, 4),
}
_FIXED = ("raw_data", "float_data", "double_data", "string_data")
_VARINTS = ("int32_data", "int64_data", "uint64_data")
_CONTINUED = bytes(range(128, 256))  # bytes of a varint that are not its last
_EXTERNAL = 1  # TensorProto.data_location
_FIX_LOCATION = "keep a model's data files beside it, under relative names"


def dissect(files: Files) -> Dissection:
    """Label every byte of the ``.onnx`` file in ``files`` and of the external data files that it names.

    Raises:
        UserError: the file is not a well-formed ONNX model, or its external data is missing, outside the model's
            folder or overlapping.
    """
    name = next((name for name in files if name.endswith(".onnx")), None) or next(iter(files))
    data = files[name]
    model = parse(data, name)
    graph = next(model.messages("graph"), None)
    if graph is None:
        raise UserError(
            "not an ONNX model: it holds no graph", where=name, fix="the file is empty or of another format"
        )
    spans: dict[str, list[Section]] = {}
    for section in _Labels(name, files, graph).message(model, ""):
        spans.setdefault(section.file, []).append(section)
    spans.setdefault(name, [])
    known, unknown = lifetimes(_by_names(graph, _sizes(graph, data)))
    return Dissection(
        sizes={file: len(files[file]) for file in sorted(spans)},
        sections=tuple(section for file in sorted(spans) for section in cover(file, files[file], spans[file])),
        lifetimes=known,
        metadata=_metadata(model),
        unknown=(*(f"the size of activation '{value}'" for value in unknown), *_hidden(model, graph)),
    )


class _Labels:
    """Labelled spans of everything in a model."""

    def __init__(self, name: str, files: Files, graph: Message) -> None:
        self.name, self.files = name, files
        self.parameters = {
            tensor
            for node in graph.messages("node")
            for index, tensor in enumerate(node.texts("input"))
            if index in _QUANTIZERS.get(node.text("op_type"), ())
        }

    def message(self, message: Message, layer: str) -> Iterator[Section]:
        """A message's fields; a message inside gives its tag and length, then its own fields."""
        if message.kind == "TensorProto":
            yield from self.tensor(message, message.text("name") or layer)
            return
        nodes = 0
        for item in message.items:
            yield from self.item(message, item, _layer(item, nodes) or layer)
            nodes += item.name == "node"

    def item(self, message: Message, item: Item, layer: str) -> Iterator[Section]:
        start, value, end = item.field.start, item.field.value, item.field.end
        if item.name in NOTES or (message.kind == "ModelProto" and item.name in MODEL_NOTES):
            yield Section(self.name, start, end, Kind.METADATA, layer)
        elif item.message is not None:
            yield Section(self.name, start, value, Kind.GRAPH, layer)
            yield from self.message(item.message, layer)
        else:
            yield Section(self.name, start, end, Kind.GRAPH if item.name else Kind.UNMAPPED, layer)

    def tensor(self, tensor: Message, layer: str) -> Iterator[Section]:
        """A constant: its elements, wherever they are, and its description."""
        kind = Kind.QUANTIZATION if layer in self.parameters else Kind.WEIGHTS
        dtype, bits = TYPES.get(tensor.integer("data_type"), ("", 0))
        for item in tensor.items:
            start, value, end = item.field.start, item.field.value, item.field.end
            if item.name in _FIXED:
                yield Section(self.name, start, value, Kind.GRAPH, layer)
                yield Section(self.name, value, end, kind, layer, dtype)
            elif item.name in _VARINTS:
                packed = item.field.wire == BYTES
                count = len(tensor.data[value:end].translate(None, _CONTINUED)) if packed else 1
                yield Section(self.name, start, value, Kind.GRAPH, layer)
                yield Section(self.name, value, end, kind, layer, dtype, count * max(bits, 8) // 8)
            else:
                yield from self.item(tensor, item, layer)
        if tensor.integer("data_location") == _EXTERNAL:
            yield self.external(tensor, kind, layer, dtype)

    def external(self, tensor: Message, kind: Kind, layer: str, dtype: str) -> Section:
        """The elements of a tensor that lie in another file."""
        where = f"{self.name}: tensor '{layer}'"
        entries = {entry.text("key"): entry.text("value") for entry in tensor.messages("external_data")}
        file = _inside(entries.get("location", ""), self.name, where)
        try:
            size = len(self.files[file])
        except KeyError:
            raise UserError(
                f"its external data file '{file}' is missing", where=where, fix="keep it in the model's folder"
            ) from None
        offset = _number(entries.get("offset", "0"), where)
        length = _number(entries.get("length", str(max(size - offset, 0))), where)
        return Section(file, offset, offset + length, kind, layer, dtype)


def _layer(item: Item, number: int) -> str:
    """What a field of a graph is about: a value's name, a node's name or else its ``number``, a constant's output."""
    inner = item.message
    if inner is None or inner.kind not in ("NodeProto", "ValueInfoProto", "FunctionProto"):
        return ""
    operator = inner.text("op_type")
    if operator == "Constant":
        return inner.text("output")
    return inner.text("name") or f"node {number} {operator}"


def _inside(location: str, name: str, where: str) -> str:
    """The key into ``files`` of an external data file; it may not leave the model's folder."""
    path = PurePosixPath(location)
    if (
        not location
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in location
        or ":" in location
        or "\0" in location
    ):
        raise UserError(f"its external data '{location}' is outside the model's folder", where=where, fix=_FIX_LOCATION)
    return str(PurePosixPath(name).parent / path)


def _number(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise UserError(f"'{text}' is no place in an external data file", where=where, fix="write the model anew")
    return int(text)


def _sizes(graph: Message, data: bytes) -> dict[str, int]:
    """Bytes of each value: as the file declares them, inferred by onnx where it does not."""
    sizes = dict(_declared(graph))
    for tensor in graph.messages("initializer"):
        sizes[tensor.text("name")] = _size(tensor.integer("data_type"), tensor.integers("dims")) or 0
    written = {name for node in graph.messages("node") for name in node.texts("output") if name}
    return sizes if written <= sizes.keys() else {**_inferred(data), **sizes}


def _declared(graph: Message) -> Iterator[tuple[str, int]]:
    for field in ("value_info", "output", "input"):
        for value in graph.messages(field):
            tensor = next((t for kind in value.messages("type") for t in kind.messages("tensor_type")), None)
            shape = next(tensor.messages("shape"), None) if tensor else None
            if tensor is None or shape is None:
                continue
            dimensions = [dimension.integers("dim_value") for dimension in shape.messages("dim")]
            size = _size(tensor.integer("elem_type"), [d[-1] for d in dimensions if d])
            if size is not None and all(dimensions):
                yield value.text("name"), size


def _inferred(data: bytes) -> dict[str, int]:
    """By onnx's shape inference, which is only imported for files that leave shapes out."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(data, data_prop=True).SerializeToString()
    except Exception:  # it fails in many ways on odd graphs; what it cannot tell stays unknown
        return {}
    return dict(_declared(next(parse(inferred, "inferred").messages("graph"))))


def _size(data_type: int, shape: tuple[int, ...] | list[int]) -> int | None:
    """Bytes of a tensor; None for a type or a dimension that has no fixed size."""
    bits = TYPES.get(data_type, ("", 0))[1]
    return (prod(shape) * bits + 7) // 8 if bits and min(shape, default=0) >= 0 else None


def _by_names(graph: Message, sizes: dict[str, int]) -> Graph:
    nodes = [node for node in graph.messages("node") if node.text("op_type") != "Constant"]
    inputs = tuple(value.text("name") for value in graph.messages("input"))
    visible = {*inputs, *(name for node in nodes for name in node.texts("output"))}
    constants = {tensor.text("name") for tensor in graph.messages("initializer")}
    for tensor in graph.messages("sparse_initializer"):
        constants |= {values.text("name") for values in tensor.messages("values")}
    for node in graph.messages("node"):
        if node.text("op_type") == "Constant":
            constants.update(node.texts("output"))
    return Graph(
        inputs=tuple(name for name in inputs if name not in constants),
        outputs=tuple(value.text("name") for value in graph.messages("output")),
        constants=frozenset(constants),
        nodes=tuple(
            Node(n.text("op_type"), (*n.texts("input"), *sorted(visible.intersection(_outer(n)))), n.texts("output"))
            for n in nodes
        ),
        sizes=sizes,
    )


def _bodies(node: Message) -> Iterator[Message]:
    for attribute in node.messages("attribute"):
        yield from attribute.messages("g")
        yield from attribute.messages("graphs")


def _outer(node: Message) -> Iterator[str]:
    """Every name that is read in a node's subgraphs."""
    for body in _bodies(node):
        for inner in body.messages("node"):
            yield from inner.texts("input")
            yield from _outer(inner)


def _hidden(model: Message, graph: Message) -> Iterator[str]:
    """Activations that the main graph does not show."""
    functions = {(f.text("domain"), f.text("name")) for f in model.messages("functions")}
    for node in graph.messages("node"):
        if any(True for _ in _bodies(node)):
            yield f"the activations in the body of {node.text('op_type')} '{node.text('name')}'"
        elif (node.text("domain"), node.text("op_type")) in functions:
            yield f"the activations in function {node.text('op_type')} '{node.text('name')}'"


def _metadata(model: Message) -> dict[str, str]:
    """The model's properties, and its producer's notes, by name."""
    notes = {name: model.text(name) for name in ("producer_name", "producer_version", "doc_string") if model.text(name)}
    properties = {entry.text("key"): entry.text("value") for entry in model.messages("metadata_props")}
    return dict(sorted({**notes, **properties}.items()))
