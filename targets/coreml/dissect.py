"""What the bytes of an ``.mlpackage`` are for, read without coremltools and without trust."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from targets.base import Constant, Dissection, Files, Kind, Section
from targets.coreml import mil
from targets.coreml.labels import Label, Labels
from targets.coreml.lifetimes import timeline
from targets.coreml.specification import Specification, manifest, root, specification
from targets.coreml.storage import BITS, RECORD, record, require
from targets.sections import around, cover


def dissect(files: Files) -> Dissection:
    """Label every byte of a package's files, and read how long its activations live.

    Constants of constexpr operations are weights in their stored form.

    Raises:
        UserError: the files are not a well-formed package.
    """
    model = root(files)
    found = specification(files[model], model)
    program = mil.functions(files, model, found.body)
    functions = {name: Labels(function) for name, function in sorted(program.items())}
    labels = [label for function in functions.values() for held in function.labels.values() for label in held]
    constants = [label.constant for label in labels]
    sections: list[Section] = []
    package, stores = manifest(files), {label.stored.file for label in labels}
    for path in sorted(files):
        data = files[path]
        if path == model:
            spans = list(_program_spans(found, functions, labels, path, len(data)))
        elif path == package or path.endswith(".json"):
            spans = [Section(path, 0, len(data), Kind.METADATA)]
        elif path in stores or path.endswith("/weight.bin"):
            weights = _Weights(path, data, labels)
            spans = list(weights.spans())
            constants += weights.unread
        else:
            spans = []
        sections.extend(cover(path, data, spans))
    live = timeline(program)
    return Dissection(
        sizes={path: len(files[path]) for path in sorted(files)},
        sections=tuple(sections),
        lifetimes=live.lifetimes,
        metadata=found.metadata,
        unknown=live.unknown,
        constants=tuple(constants),
        steps=live.steps,
    )


def _program_spans(
    found: Specification, functions: Mapping[str, Labels], labels: list[Label], path: str, size: int
) -> Iterator[Section]:
    """Constants and metadata, and the graph around them."""
    inner = [Section(path, *span, Kind.METADATA) for span in found.asides]
    for function in functions.values():
        inner += function.sections(path)
    inner += [label.section for label in labels if label.stored.record is not None and label.stored.file == path]
    yield from around(inner, Section(path, 0, size, Kind.GRAPH))


class _Weights:
    """A weight file: header, descriptions and data; records that nothing refers to are weights too.

    ``unread`` are the constants of those, once the spans are drawn.
    """

    def __init__(self, path: str, data: bytes, labels: list[Label]) -> None:
        self.path, self.data = path, data
        self.unread: list[Constant] = []
        self.used: dict[int, Label] = {}
        for label in labels:
            if label.stored.file == path and label.stored.record is not None:
                self.used.setdefault(label.stored.record, label)

    def spans(self) -> Iterator[Section]:
        require(len(self.data) >= RECORD, self.path, "it is too short for a weight file")
        yield Section(self.path, 0, RECORD, Kind.GRAPH)
        left, position = dict(self.used), RECORD
        for _ in range(int.from_bytes(self.data[:4], "little")):
            if position not in left and position + RECORD > len(self.data):
                break
            dtype, start, end = record(self.data, position, self.path)
            label = left.pop(position, None)
            yield from self.described(position, label.section if label else self.stranger(dtype, start, end))
            position = -(-end // RECORD) * RECORD
        for offset, label in left.items():  # what a miscounting header left out
            yield from self.described(offset, label.section)

    def described(self, offset: int, section: Section) -> Iterator[Section]:
        yield Section(self.path, offset, offset + RECORD, Kind.GRAPH, section.layer, operator=section.operator)
        yield section

    def stranger(self, dtype: str, start: int, end: int) -> Section:
        name = f"unused, at byte {start}"
        self.unread.append(
            Constant(name, Kind.WEIGHTS, dtype, ((end - start) * 8 // BITS[dtype],), ((self.path, start, end),))
        )
        return Section(self.path, start, end, Kind.WEIGHTS, "unused", dtype)
