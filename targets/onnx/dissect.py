"""What the bytes of an ``.onnx`` file, and of the files it keeps weights in, are for."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from compile.errors import UserError
from targets.base import Dissection, Files, Section
from targets.onnx.labels import Labels
from targets.onnx.lifetimes import ALIGNMENT, Graph, Node, lifetimes
from targets.onnx.proto import TYPES, Message, parse
from targets.onnx.readers import bodies, layer_of
from targets.sections import cover


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
    labels = Labels(model, files)
    for section in labels.sections:
        spans.setdefault(section.file, []).append(section)
    spans.setdefault(name, [])
    known, steps, unknown = lifetimes(_by_names(graph, _sizes(graph, data)))
    return Dissection(
        sizes={file: len(files[file]) for file in sorted(spans)},
        sections=tuple(section for file in sorted(spans) for section in cover(file, files[file], spans[file])),
        lifetimes=known,
        metadata=_metadata(model),
        unknown=(
            *(f"the elements of tensor '{name}', which the file does not hold" for name in labels.absent),
            *(f"the size of activation '{value}'" for value in unknown),
            *_hidden(model, graph),
        ),
        constants=tuple(labels.constants),
        steps=steps,
        alignment=ALIGNMENT,
    )


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
            Node(
                n.text("op_type"),
                (*n.texts("input"), *sorted(visible.intersection(_outer(n)))),
                n.texts("output"),
                layer_of(n, number),
            )
            for number, n in enumerate(graph.messages("node"))
            if n.text("op_type") != "Constant"
        ),
        sizes=sizes,
    )


def _outer(node: Message) -> Iterator[str]:
    """Every name that is read in a node's subgraphs."""
    for body in bodies(node):
        for inner in body.messages("node"):
            yield from inner.texts("input")
            yield from _outer(inner)


def _hidden(model: Message, graph: Message) -> Iterator[str]:
    """Activations that the main graph does not show."""
    functions = {(f.text("domain"), f.text("name")) for f in model.messages("functions")}
    for node in graph.messages("node"):
        if any(True for _ in bodies(node)):
            yield f"the activations in the body of {node.text('op_type')} '{node.text('name')}'"
        elif (node.text("domain"), node.text("op_type")) in functions:
            yield f"the activations in function {node.text('op_type')} '{node.text('name')}'"


def _metadata(model: Message) -> dict[str, str]:
    """The model's properties, and its producer's notes, by name."""
    notes = {name: model.text(name) for name in ("producer_name", "producer_version", "doc_string") if model.text(name)}
    properties = {entry.text("key"): entry.text("value") for entry in model.messages("metadata_props")}
    return dict(sorted({**notes, **properties}.items()))
