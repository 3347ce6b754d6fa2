"""Reports with everything in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from compile.audit.budget import Budget, Check, Status
from compile.audit.claims import Parity
from compile.audit.difference import Change, Difference
from compile.audit.findings.finding import Finding
from compile.audit.library import Library
from compile.audit.report import Report, Row
from compile.audit.sizes import Sizes
from compile.memory import plan
from targets.base import Dissection, Kind, Lifetime, Section

HOSTILE = (
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onfocus='alert(1)",
    "<!--",
    "]]>",
    "&lt;b&gt; &amp;",
    "javascript:alert(1)",
    "url(https://example.com/x.png)",
    "\x00\x1b[31m\u202egnp.exe\ud800\ufffe",
    "[3 others]",
    "weights",
    "a" * 5_000,
    "",
)


def dissection(names: Sequence[str], file: str = "m.tflite") -> Dissection:
    """A layer a name: int8 weights, a float32 scale, 8 bytes of graph; a chain of activations with one long branch."""
    sections: list[Section] = []
    end = 0
    for index, name in enumerate(names):
        sizes = (
            (Kind.WEIGHTS, "int8", 1_000 + 997 * index % 5_003),
            (Kind.QUANTIZATION, "float32", 4),
            (Kind.GRAPH, "", 8),
        )
        for kind, dtype, size in sizes:
            sections.append(Section(file, end, end + size, kind, name, dtype, operator=f"{name[:9]}Conv"))
            end += size
    sections.append(Section(file, end, end + 300, Kind.METADATA))
    last = len(names)
    alive = [Lifetime(f"{name}:{index}", 64 * (index % 7 + 1), index, index + 1) for index, name in enumerate(names)]
    alive.append(Lifetime("skip", 640, 0, last))
    steps = tuple(f"op {index} {name}" for index, name in enumerate((*names, "ADD")))
    return Dissection({file: end + 300}, tuple(sections), tuple(alive), {}, steps=steps)


def row_of(found: Dissection, target: str = "tflite", **others: Any) -> Row:
    """A row with the sizes of ``found``; nothing was compressed, so that is by rule of thumb."""
    arena = plan(found.lifetimes, found.alignment)
    weights = sum(s.end - s.start for s in found.sections if s.kind in (Kind.WEIGHTS, Kind.QUANTIZATION))
    file = sum(found.sizes.values())
    sizes = Sizes(file, file * 9 // 10, weights, arena.size, arena.bound, found.unknown)
    return Row(target, next(iter(found.sizes)), sizes, dissection=found, arena=arena, **others)


def _check(subject: str, status: Status, measured: int | None, limit: int | None, detail: str) -> Check:
    origin = f"phiz.toml, [budget.mobile] {subject}"
    return Check("mobile", subject, status, measured, limit, detail, origin, "ask the runtime team")


def everything() -> Report:
    """A page with every part: each status, a difference, findings, unknown sizes, an artefact that is not there."""
    plain = row_of(dissection([f"encoder/block.{index}/conv" for index in range(12)]))
    unknown = tuple(f"the shape of activation 'x{index}'" for index in range(9))
    open_ended = replace(dissection(["a", "b", "c"], "m.onnx"), unknown=unknown)
    changes = {
        "section": (Change("weights", 9_000, 12_345), Change("graph", 500, 100), Change("metadata", 0, 77)),
        "layer": tuple(Change(f"layer {index}", 100 * (index % 3), 7_000 - 100 * index) for index in range(40)),
    }
    assert plain.sizes is not None
    metrics = {"file": (90_000, plain.sizes.file), "download": (None, plain.sizes.download), "brotli": (None, None)}
    rows = (
        replace(
            plain,
            ratio=1.0123,
            parity=Parity("run", 36.31, 0.25),
            checks=(
                _check("file", Status.PASS, plain.sizes.file, 100_000, ""),
                _check("footprint", Status.WARN, 980_000, 1_000_000, "its footprint of 980 kB is 98 % of the cap"),
                _check("download", Status.FAIL, 3_400_001, 3_400_000, "its download exceeds the cap by 1 byte"),
                _check("growth of file", Status.PASS, -1_200, 5_000, ""),
            ),
            findings=(Finding("duplicate-tensors", "'a' and 'b' are the same", "store one", 1_204, ("a", "b")),),
            difference=Difference("git:main (1a2b3c4)", "m.tflite", metrics, changes, "the baseline is stale"),
            notes=("it was not measured",),
        ),
        row_of(
            open_ended,
            "onnx",
            checks=(_check("footprint", Status.UNKNOWN, None, 1_000_000, f"its footprint is not known: {unknown[0]}"),),
        ),
        Row("coreml", "m.mlpackage", None, reasons=("'m.mlpackage' is missing",)),
    )
    return Report(
        "student", rows, (Budget("mobile", warn=0.95, origin="phiz.toml"),), Library("libtflite.so", 3_100_000)
    )


@pytest.fixture(scope="session")
def report() -> Report:
    return everything()


@pytest.fixture(scope="session")
def hostile() -> Report:
    """Names that want to be more than names, wherever a report has one."""
    name = "\n".join(HOSTILE[:5])
    difference = Difference(
        name, name, {"file": (1, 2)}, {"layer": tuple(Change(one, 1, 9) for one in HOSTILE)}, stale=name
    )
    rows = tuple(
        row_of(
            dissection([*HOSTILE, "</script>"], file),
            file,
            reasons=(name,),
            checks=(Check(name, name, Status.FAIL, 2, 1, name, name, name),),
            findings=(Finding(name, name, name, 9, HOSTILE),),
            difference=difference,
            notes=HOSTILE,
            parity=Parity("run", 1.0, 1.0, evaluated_with=name, runtime=name),
        )
        for file in HOSTILE[:4]
    )
    return Report(name, rows, library=Library(name, 1))


@pytest.fixture(scope="session")
def made() -> Callable[[Sequence[str]], Dissection]:
    """A dissection with a layer for each name."""
    return dissection


@pytest.fixture(scope="session")
def row() -> Callable[..., Row]:
    """A row of a dissection, with its sizes and an arena."""
    return row_of
