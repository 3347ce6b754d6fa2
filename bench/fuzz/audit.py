"""The auditor under attack: small files of every format, and everything that ``phiz audit`` does with one.

What comes of each is a refusal in one line, or a report whose numbers add up and that every renderer can show; within
two seconds, 500 MB, and without a look outside the file's folder.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from importlib import import_module
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from bench.fuzz.mutate import Files
from bench.fuzz.subject import Limits, Subject
from compile.audit.auditor import Auditor
from compile.audit.breakdown import BY, breakdown
from compile.audit.budget import SECTIONS, Amount, Budget, Limit
from compile.audit.report import Report, Row
from compile.audit.scope import Scope
from compile.audit.sizes import METRICS

LIMITS = Limits(seconds=2.0, memory=500 * 2**20, confined=True)
# Everything that a budget can ask for.
BUDGET = Budget(
    "all",
    (
        *(Limit(metric, Amount(bytes=4_000)) for metric in METRICS),
        *(Limit(metric, Amount(share=0.02), growth=True) for metric in METRICS),
        *(Limit(section, Amount(share=0.3), section=True) for section in SECTIONS),
    ),
    warn=0.5,
    message="ask somebody",
    dtype="int8",
)
RENDERERS = ("as_json", "markdown", "junit", "sarif", "github", "page.html", "terminal")


def subjects(builds: tuple[Files, ...], networks: tuple[Files, ...]) -> list[Subject]:
    """One of each format.

    Args:
        builds: folders that phiz built, all under ``build/``.
        networks: ``.onnx`` files by other tools, each with what it needs.
    """

    def built(*parts: str) -> tuple[Files, ...]:
        return tuple({name: files[name] for name in files if any(part in name for part in parts)} for files in builds)

    packages = (*built("student.mlpackage"), package(networks_of_layers()[0]))
    seeds: dict[str, tuple[Files, ...]] = {
        "audit tflite": built("student.tflite"),
        "audit onnx": (*built("student.onnx"), *networks),
        "audit mlpackage": packages,
        "audit mlmodel": tuple({"build/student.mlmodel": data} for data in networks_of_layers()),
        "audit safetensors": tuple({"build/student.safetensors": data} for data in tensors()),
        "audit build": (reduced(builds[0], "tflite"), reduced(builds[-1], "coreml")),
    }
    entries = {name: f"build/student.{name.split()[1]}" for name in seeds} | {"audit build": "build"}
    return [Subject(name, first, entries[name], read, tuple(more), LIMITS) for name, (first, *more) in seeds.items()]


def read(path: Path) -> None:
    """Audit the artefact or build folder at ``path`` against every limit, one in four over itself; show the report."""
    draw = Random(sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file()))
    budget = replace(BUDGET, baseline=str(path) if draw.random() < 0.25 else "")
    report = Auditor(Scope((budget,))).audit((path,))
    assert report.rows or report.exit_code, "nothing was audited and nothing is wrong"
    for row in report.rows:
        check(row)
    show(draw.choice(RENDERERS), report, draw.choice(sorted(BY)))


def check(row: Row) -> None:
    """Sections cover every file without gap or overlap, constants lie within, and what adds up adds up."""
    if row.dissection is None or row.sizes is None:
        assert row.failures, "nothing is known of it, and it passes"
        return
    position = dict.fromkeys(row.dissection.sizes, 0)
    for section in row.dissection.sections:
        assert section.start == position[section.file] < section.end, f"{section}"
        position[section.file] = section.end
    assert position == row.dissection.sizes, "the sections do not end where the files do"
    for constant in row.dissection.constants:
        for file, start, end in constant.places:
            assert 0 <= start <= end <= row.dissection.sizes[file], f"{constant}"
    for by in BY:
        assert sum(share.size for share in breakdown(row.dissection, by)) == row.sizes.file, f"by {by}"
    steps = len(row.dissection.steps)
    for life in row.dissection.lifetimes:
        assert 0 <= life.first <= life.last < max(steps, 1), f"{life} of {steps} steps"
    for finding in row.findings:
        assert 0 <= finding.saves <= row.sizes.file, f"{finding}"


def show(renderer: str, report: Report, by: str) -> None:
    """Through one of ``RENDERERS``; what text adds up is ``by`` one of ``BY``."""
    module = import_module(f"compile.audit.render.{renderer}")
    if renderer == "terminal":
        from rich.console import Console

        module.show(report, Console(file=StringIO(), width=100), by)
        return
    data: bytes = module.render(report)
    if renderer in ("as_json", "sarif"):
        json.loads(data)
    else:
        data.decode()


def reduced(files: Files, target: str) -> Files:
    """A build with one artefact, for the manifest is the point, and without what the auditor does not read."""
    manifest = json.loads(files["build/manifest.json"])
    manifest["artifacts"] = {target: manifest["artifacts"][target]}
    names = {f"build/{name}" for name in (*manifest["artifacts"][target]["files"], "audit.json")}
    kept = {name: files[name] for name in sorted(names)}
    return {"build/manifest.json": json.dumps(manifest).encode(), **kept}


def package(model: bytes) -> Files:
    """A Core ML package around a model's specification."""
    item = "com.apple.CoreML/model.mlmodel"
    manifest = {"itemInfoEntries": {"a": {"path": item}}, "rootModelIdentifier": "a", "fileFormatVersion": "1.0.0"}
    files = {"Manifest.json": json.dumps(manifest).encode(), f"Data/{item}": model}
    return {f"build/student.mlpackage/{name}": data for name, data in files.items()}


def networks_of_layers() -> tuple[bytes, ...]:
    """Core ML networks of the older form: weights in every storage, networks in networks, models in a pipeline."""
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model(specificationVersion=4)
    spec.description.metadata.author = "somebody"
    layers = spec.neuralNetwork.layers
    floats = [index / 7 for index in range(40)]
    layers.add(name="conv", input=["x"], output=["y"]).convolution.weights.floatValue.extend(floats)
    layers[0].convolution.bias.float16Value = bytes(range(32))
    dense = layers.add(name="dense").innerProduct.weights
    dense.rawValue = bytes(range(60))
    dense.quantization.numberOfBits = 6
    dense.quantization.linearQuantization.scale.extend(floats[:8])
    dense.quantization.linearQuantization.bias.extend(floats[:8])
    table = layers.add(name="table").embedding.weights
    table.rawValue, table.quantization.numberOfBits = bytes(range(60)), 4
    table.quantization.lookupTableQuantization.floatValue.extend(floats[:16])
    layers.add(name="memory").uniDirectionalLSTM.weightParams.inputGateWeightMatrix.floatValue.extend(floats)
    inner = layers.add(name="loop").loop.bodyNetwork.layers.add(name="choice").branch.ifBranch.layers.add(name="deep")
    inner.activation.PReLU.alpha.floatValue.extend(floats)
    several = Model_pb2.Model(specificationVersion=4)
    several.pipeline.names.extend(["net", "scale"])
    several.pipeline.models.add().CopyFrom(spec)
    several.pipeline.models.add().scaler.scaleValue.extend(floats)
    return spec.SerializeToString(), several.SerializeToString()


def tensors() -> tuple[bytes, ...]:
    """Weights without a graph, with metadata and of several types; and none at all."""

    def file(header: dict[str, Any], size: int) -> bytes:
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + bytes(index % 251 for index in range(size))

    def tensor(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
        return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}

    several = {
        "__metadata__": {"format": "pt", "author": "somebody"},
        "a.weight": tensor("F32", [8, 4], 0, 128),
        "a.bias": tensor("F16", [8], 128, 144),
        "b.weight": tensor("I8", [64], 144, 208),
        "empty": tensor("I64", [0, 3], 208, 208),
    }
    return file(several, 208), file({}, 0)
