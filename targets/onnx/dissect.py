"""What the bytes of an ``.onnx`` file, and of the files it keeps weights in, are for."""

from __future__ import annotations

from compile.errors import UserError
from targets.base import Dissection, Files, Section
from targets.onnx.graph import by_names, hidden
from targets.onnx.labels import Labels
from targets.onnx.lifetimes import ALIGNMENT, lifetimes
from targets.onnx.proto import Message, parse
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
    graphs = list(model.messages("graph"))
    if len(graphs) != 1:
        what = f"not an ONNX model: it holds {'several graphs' if graphs else 'no graph'}"
        raise UserError(what, where=name, fix="the file is empty or of another format")
    spans: dict[str, list[Section]] = {}
    reading = lifetimes(by_names(model, graphs[0]))
    labels = Labels(model, files, reading.resident)
    for section in labels.sections:
        spans.setdefault(section.file, []).append(section)
    spans.setdefault(name, [])
    return Dissection(
        sizes={file: len(files[file]) for file in sorted(spans)},
        sections=tuple(section for file in sorted(spans) for section in cover(file, files[file], spans[file])),
        lifetimes=reading.lifetimes,
        metadata=_metadata(model),
        unknown=(
            *(f"the elements of tensor '{layer}', which the file does not hold" for layer in labels.absent),
            *(f"the size of constant '{value}', which is computed as the model is loaded" for value in reading.folded),
            *(f"the size of activation '{value}'" for value in reading.unknown),
            *hidden(model, graphs[0]),
        ),
        constants=tuple(labels.constants),
        steps=reading.steps,
        alignment=ALIGNMENT,
    )


def _metadata(model: Message) -> dict[str, str]:
    """The model's properties, and its producer's notes, by name."""
    notes = {name: model.text(name) for name in ("producer_name", "producer_version", "doc_string") if model.text(name)}
    properties = {entry.text("key"): entry.text("value") for entry in model.messages("metadata_props")}
    return dict(sorted({**notes, **properties}.items()))
