"""What the bytes of an ``.mlpackage`` or ``.mlmodel`` are for, read without coremltools and without trust."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from targets.base import Constant, Dissection, Files, Kind, Lifetime, Section
from targets.coreml import mil
from targets.coreml.labels import Labels
from targets.coreml.layers import NETWORKS
from targets.coreml.lifetimes import arguments, timeline
from targets.coreml.network import network
from targets.coreml.specification import PIPELINES, Specification, manifest, root, specification
from targets.coreml.storage import BITS, MAX_NAME, RECORD, record, require
from targets.sections import around, cover

_MAX_DEPTH = 8  # of pipelines in pipelines


def dissect(files: Files) -> Dissection:
    """Label every byte of a package's files or of a model file, and read how long its activations live.

    Constants count in the form in which they are stored, those of constexpr operations included. A model that is
    neither program nor network (a tree ensemble, a scaler) is parameters as a whole.

    Raises:
        UserError: the files are not a well-formed model.
    """
    path = root(files)
    reader = _Reader(files, path)
    data = files[path]
    reader.model(specification(data, path), "", 0)
    sections = [*cover(path, data, around(reader.inner, Section(path, 0, len(data), Kind.GRAPH)))]
    package = manifest(files)
    for other in sorted({*files, *reader.records} - {path}):
        data = files[other]
        if other in reader.records or other.endswith("weight.bin"):
            spans = list(reader.weights(other, data))
        elif other == package or other.endswith(".json"):
            spans = [Section(other, 0, len(data), Kind.METADATA)]
        else:
            spans = []
        sections += cover(other, data, spans)
    return Dissection(
        sizes={name: len(files[name]) for name in sorted({*files, *reader.records})},
        sections=tuple(sorted(sections, key=lambda section: (section.file, section.start))),
        lifetimes=tuple(reader.lifetimes),
        metadata=dict(sorted(reader.metadata.items())),
        unknown=tuple(reader.unknown),
        constants=tuple(reader.constants),
        steps=tuple(reader.steps),
        notes=tuple(dict.fromkeys(reader.notes)),
    )


class _Reader:
    """Collects what a model and the models within it consist of.

    Attributes:
        inner: the labelled bytes of the specification; the rest of it is graph.
        records: by weight file, the constants in it by where their description begins.
    """

    def __init__(self, files: Files, path: str) -> None:
        self.files, self.path = files, path
        self.inner: list[Section] = []
        self.records: dict[str, dict[int, Section]] = {}
        self.constants: list[Constant] = []
        self.lifetimes: list[Lifetime] = []
        self.steps: list[str] = []
        self.unknown: list[str] = []
        self.notes: list[str] = []
        self.metadata: dict[str, str] = {}

    def model(self, model: Specification, name: str, depth: int) -> None:
        """One model; ``name`` says where in its pipeline, if it is in one."""
        self.inner += (Section(self.path, start, end, Kind.METADATA) for start, end in model.asides)
        self.inner += model.strangers
        self.metadata.update({f"{name}{key}": value for key, value in model.metadata.items()})
        if model.kind == "mlProgram":
            self.program(model, name)
        elif model.kind in NETWORKS:
            self.network(model, name)
        elif model.kind in PIPELINES:
            self.pipeline(model, name, depth)
        else:
            layer, body = f"{name}{model.kind}", model.body
            self.inner.append(Section(self.path, body.start, body.end, Kind.WEIGHTS, layer, operator=model.kind))
            self.unknown.append(f"the memory of '{layer}', which is no network")

    def program(self, model: Specification, name: str) -> None:
        """An ML program, whose larger constants lie in weight files."""
        functions = mil.functions(self.files, self.path, model.body)
        for _, function in sorted(functions.items()):
            labels = Labels(function)
            self.inner += (_within(name, section) for section in labels.sections(self.path))
            for label in labels:
                section = _within(name, label.section)
                self.constants.append(replace(label.constant, name=name + label.name))
                if label.stored.record is not None:
                    self.records.setdefault(section.file, {}).setdefault(label.stored.record, section)
            self.unknown += (
                f"the elements of tensor '{name}{operation.name}', which the program does not hold"
                for operation in labels.operations
                if operation.type == "const"
                and operation.attributes.get("val") is None
                and any(output.type.size for output in operation.outputs)
            )
        self.notes += _notes(functions)
        live, before = timeline(functions), len(self.steps)
        self.steps += (name + step for step in live.steps)
        self.lifetimes += (
            replace(life, tensor=name + life.tensor, first=life.first + before, last=life.last + before)
            for life in live.lifetimes
        )
        self.unknown += (f"{entry}{f' of {name[:-1]}' if name else ''}" for entry in live.unknown)

    def network(self, model: Specification, name: str) -> None:
        """A network of the older form."""
        found = network(model.body)
        self.inner += (_within(name, section) for section in found.sections)
        self.constants += (replace(constant, name=name + constant.name) for constant in found.constants)
        self.unknown.append(f"the activations of the {name}{model.kind}, for the form does not store their shapes")

    def pipeline(self, model: Specification, name: str, depth: int) -> None:
        """Models, one after the other."""
        require(depth < _MAX_DEPTH, self.path, "pipelines are nested too deeply")
        body = model.body
        if model.kind != "pipeline":  # that of a classifier or regressor lies in it
            body = body.message(1) or body
        names = body.texts(2)
        for index, field in enumerate(body.all(1)):
            stage = names[index] if index < len(names) else f"model {index}"
            require(len(stage) <= MAX_NAME, self.path, "the name of a model is too long")
            inside = specification(body.data, self.path, field.value, field.end)
            self.model(inside, f"{name}{stage}/", depth + 1)
        self.unknown.append(f"what passes between the models of the {name}{model.kind}")

    def weights(self, path: str, data: bytes) -> Iterator[Section]:
        """A weight file: header, descriptions and data; records that nothing refers to are weights too."""
        require(len(data) >= RECORD, path, "it is too short for a weight file")
        yield Section(path, 0, RECORD, Kind.GRAPH)
        left, position = dict(self.records.get(path, {})), RECORD
        for _ in range(int.from_bytes(data[:4], "little")):
            if position not in left and position + RECORD > len(data):
                break
            dtype, start, end = record(data, position, path)
            section = left.pop(position, None)
            if section is None:
                shape = ((end - start) * 8 // BITS[dtype],)
                name = f"unused at byte {position} of {path}"
                self.constants.append(Constant(name, Kind.WEIGHTS, dtype, shape, ((path, start, end),)))
                section = Section(path, start, end, Kind.WEIGHTS, "unused", dtype)
            yield from _described(position, section)
            position = -(-end // RECORD) * RECORD
        for offset, section in left.items():  # what a miscounting header left out
            yield from _described(offset, section)


def _described(offset: int, section: Section) -> Iterator[Section]:
    """A constant in a weight file, and the description in front."""
    yield replace(section, start=offset, end=offset + RECORD, kind=Kind.GRAPH, dtype="", resident=None)
    yield section


def _within(name: str, section: Section) -> Section:
    """``section`` as one of a model in a pipeline."""
    return replace(section, layer=name + section.layer) if name and section.layer else section


def _notes(functions: Mapping[str, mil.Function]) -> Iterator[str]:
    """What the sizes of a program assume."""
    yield (
        "activations: Core ML does not say how it plans memory; counted as if no operation worked in place and no "
        "reshape shared what it reads"
    )
    states = [value for function in functions.values() for value in function.inputs if value.state]
    if states:
        kept = sum(value.type.size or 0 for value in states)
        yield f"states: Core ML keeps {kept:,} bytes from one prediction to the next, counted with the activations"
    expanded = 0
    for function in functions.values():
        constexpr = [operation for operation in function.operations if operation.type.startswith("constexpr_")]
        others = (operation for operation in function.operations if not operation.type.startswith("constexpr_"))
        read = {name for operation in others for name in arguments(operation)}
        expanded += sum(o.type.size or 0 for operation in constexpr for o in operation.outputs if o.name in read)
    if expanded:
        yield (
            "weights: compressed ones are counted as stored; where Core ML expands them, as it loads the model or as "
            f"it predicts, they take {expanded:,} bytes"
        )
