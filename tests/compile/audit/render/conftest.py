"""Reports that have everything in them, and names that nobody should obey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compile.audit.budget import Amount, Budget, Check, Limit, Status, caps
from compile.audit.claims import Parity
from compile.audit.difference import Change, Difference
from compile.audit.findings.finding import Finding
from compile.audit.library import Library
from compile.audit.measured import Measured
from compile.audit.report import Report, Row
from compile.audit.sizes import Sizes
from targets.base import Dissection, Kind, Section

SNAPSHOTS = Path(__file__).parent / "snapshots"
SCHEMAS = Path(__file__).parent / "schemas"
ORIGIN = "phiz.toml, [budget.mobile]"
MESSAGE = "ask the audio team before you raise it"

# Each would do something, somewhere, if it were printed as it is.
NASTY = {
    "newline": "a\n::error title=x::owned\n##[error]owned",
    "command": "::error title=owned::owned",
    "azure": "##vso[task.setvariable variable=x]owned",
    "cdata": "]]><failure message='owned'/><![CDATA[",
    "backticks": "``` owned ``` `x`",
    "pipes": "a | b || c \\| d",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;",
    "markdown": "[owned](https://example.org) ![x](y) **b** @someone #1 www.example.org https://example.org $x$",
    "ansi": "\x1b[31mred\x1b[0m\x1b]8;;https://example.org\x07\x9b2J",
    "bidi": "\u202eowned\u2066\u200b\u2028\u2029",
    "surrogate": "\ud800\udc80\udfff",
    "noncharacter": "\ufffe\uffff\x00\x0b\x7f\x85",
    "markup": "[bold red]x[/bold red] [/nonsense] :smile:",
    "braces": "{0} {{1}} %0Aowned",
    "long": "x" * 100_000,
    "long and nasty": "\x1b\n<|]]>" * 15_000,
    "empty": "",
    "spaces": "  :: \t x ",
}


def dissection(file: str, layers: dict[str, int]) -> Dissection:
    """One file: these weights in int8, 40 bytes of scales, a graph of 100 and metadata of 60."""
    sections: list[Section] = []
    position = 0
    parts = [(Kind.WEIGHTS, layer, "int8", "CONV_2D", size) for layer, size in layers.items()]
    parts += [(Kind.QUANTIZATION, next(iter(layers)), "float32", "CONV_2D", 40)]
    parts += [(Kind.GRAPH, "", "", "", 100), (Kind.METADATA, "", "", "", 60)]
    for kind, layer, dtype, operator, size in parts:
        sections.append(Section(file, position, position + size, kind, layer, dtype, None, operator))
        position += size
    return Dissection({file: position}, tuple(sections), (), {})


def check(subject: str, status: Status, measured: int | None, limit: int | None, detail: str = "") -> Check:
    return Check("mobile", subject, status, measured, limit, detail, f"{ORIGIN} {subject}", MESSAGE)


def row_of(name: str, layer: str, path: str = "student.tflite") -> Row:
    """A row in which everything is set, and everything is called ``name`` or ``layer``."""
    made = dissection(path, {layer: 600, f"{layer}2": 200})
    return Row(
        name,
        path,
        Sizes(1_000, 900, 840, 640, 600, (f"the size of activation '{layer}'",), 850, 5_600_000),
        1.25,
        Parity("run", 36.31, 0.25, (f"its output '{layer}' is off",), "not run: no runtime", f"numpy {layer}"),
        (f"'{path}' is not the file of the manifest: '{layer}'",),
        (
            check("file", Status.FAIL, 1_000, 990, f"its file '{layer}' of 1,000 bytes exceeds the cap of 990 bytes"),
            check("download", Status.WARN, 900, 910, f"its download '{layer}' of 900 bytes is 98 % of 910 bytes"),
            check("footprint", Status.UNKNOWN, None, 3_000, f"its footprint is not known: '{layer}'"),
            check("weights", Status.PASS, 840, 900),
            check("growth of file", Status.PASS, -100, 20),
        ),
        (
            Finding("duplicate-tensors", f"'{layer}' is stored twice", "store it once", 200, (layer,)),
            Finding("padding", f"5 bytes of zeros follow '{layer}'", "write the file anew", 5, (layer,)),
        ),
        made,
        None,
        Difference(
            f"git:main (1a2b3c4) {layer}",
            path,
            {"file": (1_100, 1_000), "brotli": (None, 850), "weights": (840, 840)},
            {"layer": (Change(layer, 700, 600), Change("gone", 0, 0)), "section": (Change("weights", 900, 800),)},
            f"it is of another model: '{layer}'",
        ),
        (f"not compared with '{layer}'",),
        folder="build",
        measured=Measured(f"LiteRT {layer}", 4_900_000, 5_500_000, 5_600_000, 1_100_000, 120_000, 5, 13_085),
    )


@pytest.fixture
def full() -> Report:
    """A build of three targets: one fails in every way, one passes, one is missing."""
    worst = row_of("tflite", "conv1")
    parity = Parity("run", 36.3, 0.0, (), "run")
    fine = replace(
        row_of("onnx", "Conv_1", "student.onnx"),
        reasons=(),
        findings=(),
        difference=None,
        notes=(),
        measured=None,
        parity=parity,
        sizes=Sizes(1_000, 900, 840, 640, 640, (), 850),
        checks=(check("file", Status.PASS, 1_000, 5_000), check("footprint", Status.PASS, 1_480, 3_000_000)),
    )
    gone = Row("coreml:ios18", "student.mlpackage", None, reasons=("'student.mlpackage' is missing",), folder="build")
    limits = (
        Limit("file", Amount(990), origin=f"{ORIGIN} file"),
        Limit("file", Amount(share=0.02), growth=True, origin=f"{ORIGIN} growth"),
    )
    own = {"onnx": (Limit("file", Amount(5_000), origin=f"{ORIGIN} onnx.file"),)}
    budget = Budget("mobile", limits, ("build/*",), own, 0.95, MESSAGE, "git:main", "int8", ORIGIN)
    return Report("student", (worst, fine, gone), (budget,), Library("libtflite.so", 3_100_000))


@pytest.fixture(params=[pytest.param(name, id=key) for key, name in NASTY.items()])
def hostile(request: pytest.FixtureRequest) -> Report:
    """A report in which everything has one of the nasty names, targets and paths too."""
    name = request.param
    row = row_of(name, name, f"{name}.tflite")
    odd = replace(row.checks[0], budget=name, message=name, origin=name)
    return Report(name, (replace(row, checks=(odd, *row.checks[1:])),), (replace(caps({"file": 9}), origin=name),))


@pytest.fixture
def passing() -> Report:
    """One small file within its limit."""
    made = dissection("tiny.tflite", {"conv": 600})
    sizes = Sizes(800, 700, 640, 64, 64, (), 650)
    found = (Check("", "file", Status.PASS, 800, 1_000, "", "--cap"),)
    return Report("tiny.tflite", (Row("tflite", "tiny.tflite", sizes, checks=found, dissection=made),), (CAPS,))


CAPS = caps({"file": 1_000}, "--cap")
