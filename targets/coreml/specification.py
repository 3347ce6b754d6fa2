"""What a Core ML model is: where its specification lies, what kind of model that describes, and its metadata.

Field numbers are those of ``Model.proto``, which coremltools publishes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from compile.errors import UserError
from targets.base import Files, Section
from targets.coreml import mil
from targets.coreml.message import Message

# Field of Model -> kind of model.
# fmt: off
KINDS: Mapping[int, str] = {
    200: "pipelineClassifier", 201: "pipelineRegressor", 202: "pipeline", 300: "glmRegressor",
    301: "supportVectorRegressor", 302: "treeEnsembleRegressor", 303: "neuralNetworkRegressor",
    304: "bayesianProbitRegressor", 400: "glmClassifier", 401: "supportVectorClassifier",
    402: "treeEnsembleClassifier", 403: "neuralNetworkClassifier", 404: "kNearestNeighborsClassifier",
    500: "neuralNetwork", 501: "itemSimilarityRecommender", 502: "mlProgram", 555: "customModel", 556: "linkedModel",
    560: "classConfidenceThresholding", 600: "oneHotEncoder", 601: "imputer", 602: "featureVectorizer",
    603: "dictVectorizer", 604: "scaler", 606: "categoricalMapping", 607: "normalizer", 609: "arrayFeatureExtractor",
    610: "nonMaximumSuppression", 900: "identity", 2000: "textClassifier", 2001: "wordTagger",
    2002: "visionFeaturePrint", 2003: "soundAnalysisPreprocessing", 2004: "gazetteer", 2005: "wordEmbedding",
    2006: "audioFeaturePrint", 3000: "serializedModel",
}
# fmt: on
PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")
_FIELDS = (1, 2, 10)  # of Model, besides the one that says what it is: version, description, whether it can be updated
_NOTES = {1: "description", 2: "version", 3: "author", 4: "license"}
_MAX_MANIFEST = 1 << 20  # bytes
_FIX = "the package is corrupt: write it anew"


@dataclass(frozen=True)
class Specification:
    """One model.

    Attributes:
        kind: one of ``KINDS``.
        body: the message that this kind of model consists of.
        metadata: user-defined, and description, author, licence and version where given.
        asides: byte ranges that are metadata.
        strangers: bytes of fields that this form does not have.
    """

    kind: str
    body: Message
    metadata: Mapping[str, str]
    asides: tuple[tuple[int, int], ...]
    strangers: tuple[Section, ...]


@dataclass(frozen=True)
class Program:
    """An ML program and its metadata; ``model`` is the file that holds it."""

    model: str
    functions: Mapping[str, mil.Function]
    metadata: Mapping[str, str]


def program(files: Files) -> Program:
    """The model in ``files``, which must be an ML program.

    Raises:
        UserError: it is something else, or not well-formed.
    """
    model = root(files)
    found = specification(files[model], model)
    if found.kind != "mlProgram":
        raise UserError(
            f"it holds no ML program but a {found.kind}", where=model, fix="convert it with convert_to='mlprogram'"
        )
    return Program(model, mil.functions(files, model, found.body), found.metadata)


def manifest(files: Files) -> str | None:
    """The path of the package's manifest: of several files of this name, that which lies highest."""
    found = (path for path in files if PurePosixPath(path).name == "Manifest.json")
    return min(found, key=lambda path: (path.count("/"), path), default=None)


def root(files: Files) -> str:
    """The path of the model's specification: a file of its own, or that which the package's manifest names.

    Raises:
        UserError: there is none.
    """
    if len(files) == 1:
        only = PurePosixPath(next(iter(files)))
        if only.suffix == ".mlmodel" and not any(parent.suffix == ".mlpackage" for parent in only.parents):
            return str(only)
    path = manifest(files)
    if path is None:
        where = min(files, default="the package").split("/")[0]
        raise UserError("not a Core ML package: it has no Manifest.json", where=where, fix="give the .mlpackage folder")
    data = files[path]
    if len(data) > _MAX_MANIFEST:
        raise UserError(f"{len(data):,} bytes are too many for a manifest", where=path, fix=_FIX)
    try:
        told = json.loads(bytes(data))
        items = {key: PurePosixPath(entry["path"]) for key, entry in told["itemInfoEntries"].items()}
        item = items[told["rootModelIdentifier"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("malformed: it names no root model", where=path, fix=_FIX) from error
    for named in items.values():
        if ".." in named.parts or named.is_absolute():
            raise UserError(f"it names '{named}', which is outside the package", where=path, fix=_FIX)
    models = sorted({str(named) for named in items.values() if named.suffix == ".mlmodel"})
    if len(models) > 1:
        raise UserError(f"it names several models: {', '.join(models[:3])}", where=path, fix=_FIX)
    found = str(PurePosixPath(path).parent / "Data" / item)
    if found not in files:
        raise UserError(f"it names '{item}', which is not in the package", where=path, fix="copy the whole folder")
    return found


def specification(data: bytes, where: str, start: int = 0, end: int | None = None) -> Specification:
    """Read the ``Model`` message in ``data[start:end]``.

    Raises:
        UserError: it is not well-formed, or of no known kind.
    """
    model = Message(data, start, len(data) if end is None else end, where)
    found = [number for number in KINDS if number in model.fields]
    number = found[0] if len(found) == 1 else 0
    body = model.message(number)
    if body is None:
        what = "it holds several models at once" if found else "it holds no model of a known kind"
        raise UserError(what, where=where, fix="the file is corrupt, or of another format")
    kind = KINDS[number]
    metadata: dict[str, str] = {}
    asides = [(field.start, field.end) for field in body.all(4)] if kind == "mlProgram" else []
    for description in model.messages(2):
        for field in description.all(100):
            asides.append((field.start, field.end))
            metadata.update(_notes(Message(data, field.value, field.end, where)))
    return Specification(
        kind, body, dict(sorted(metadata.items())), tuple(asides), tuple(model.unknown((*_FIELDS, number)))
    )


def _notes(message: Message) -> Iterator[tuple[str, str]]:
    for number, key in _NOTES.items():
        if text := message.text(number):
            yield key, text
    for entry in message.messages(100):
        yield entry.text(1), entry.text(2)
