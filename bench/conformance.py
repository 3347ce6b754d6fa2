"""The public ONNX backend tests on every target: what passes, what is refused and why; nothing may be wrong.

    python -m bench.conformance            # writes docs/conformance.md
    python -m bench.conformance gelu pad   # prints the cases whose names hold one of these words

The cases are the node tests that ship with the installed ``onnx``. Each takes phiz's own road in float: capture,
simplify, lower, and the artefact run from disk (onnxruntime, LiteRT, the evaluator of Core ML packages, the machine's
C compiler). All targets are judged in one run, or none: where something is missing to run one, there is no page.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from compile import capture
from compile.cli.progress import Stages
from compile.errors import MissingExtra, MissingTool, UnsupportedNode, UserError
from compile.files import write_atomically
from compile.model import Model
from compile.quiet import quiet
from compile.simplify.pipeline import simplify
from targets.base import Artifact, Runner
from targets.capabilities import refusals
from targets.catalogue import Target, find
from targets.kernels import read

# Each in a form that computes in float32 throughout.
TARGETS = tuple(find(name) for name in ("onnx", "onnx:unity", "tflite", "coreml:fp32", "c"))
PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"
# float32: sums in another order, relative to the largest element; elements that cancel have no relative precision left.
ATOL = 1e-5
PASS, BAKED, REFUSED, WRONG = "pass", "pass with constant operands", "refused", "wrong"
Arrays = dict[str, np.ndarray]
_TENSORS = (np.ndarray, np.generic, onnx.TensorProto)


@dataclass(frozen=True)
class Case:
    """One backend test.

    Attributes:
        name: onnx's.
        operator: the one under test; an expanded case has that of the case whose function it spells out.
        model: with at most some inputs constant.
        data: inputs by name, and the outputs they must give; several times where the test has several sets.
        rtol: relative tolerance, the test's own.
    """

    name: str
    operator: str
    model: onnx.ModelProto
    data: tuple[tuple[Arrays, Arrays], ...]
    rtol: float


@dataclass(frozen=True)
class Verdict:
    """What became of a case on a target; the reason of a refusal, or what is wrong."""

    status: str
    reason: str = ""


Verdicts = Mapping[str, Verdict]  # by target
Load = Callable[[Target, Artifact], Runner]


def cases() -> list[Case]:
    """All node tests of the installed onnx, by name."""
    from onnx.backend.test.loader import load_model_tests

    with quiet():
        found = {test.name: test for test in load_model_tests(kind="node")}
    return [_case(found[name], found) for name in sorted(found)]


def _case(test: Any, tests: Mapping[str, Any]) -> Case:
    origin = tests.get(re.sub(r"_expanded.*$", "", test.name), test)
    graph = test.model.graph
    data = tuple((_by_name(graph.input, inputs), _by_name(graph.output, outputs)) for inputs, outputs in test.data_sets)
    return Case(test.name, origin.model.graph.node[-1].op_type, test.model, data, test.rtol)


def _by_name(ports: Iterable[onnx.ValueInfoProto], arrays: Iterable[Any]) -> Arrays:
    return {port.name: array for port, array in zip(ports, arrays, strict=False)}


def variants(case: Case) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The case as it stands, then with constant operands: all but the float inputs, all but the first of those."""
    yield PASS, case.model
    names = [port.name for port in case.model.graph.input]
    floats = [
        port.name
        for port in case.model.graph.input
        if port.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and port.type.tensor_type.shape.dim
    ]
    for kept in (floats, floats[:1]):
        frozen = [name for name in names if name not in kept]
        if kept and frozen and len(case.data) == 1 and all(isinstance(case.data[0][0][n], _TENSORS) for n in frozen):
            yield BAKED, _baked(case, kept)
            names = kept


def _baked(case: Case, kept: Sequence[str]) -> onnx.ModelProto:
    """The case's model whose inputs, but those to keep, are constants."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    del model.graph.input[:]
    model.graph.input.extend(port for port in case.model.graph.input if port.name in kept)
    for name, value in case.data[0][0].items():
        if name not in kept:
            tensor = value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(np.asarray(value))
            model.graph.initializer.add().CopyFrom(tensor)
            model.graph.initializer[-1].name = name
    return model


def judge(case: Case, targets: Sequence[Target], folder: Path, load: Load) -> Verdicts:
    """The verdict on every target: the first variant that it takes counts; a refusal has the last one's reason."""
    verdicts: dict[str, Verdict] = {}
    for status, model in variants(case):
        waiting = [target for target in targets if verdicts.get(target.name, Verdict(REFUSED)).status == REFUSED]
        if waiting:
            verdicts |= _attempt(case, status, model, waiting, folder / "case.onnx", load)
    return verdicts


def _attempt(
    case: Case, status: str, model: onnx.ModelProto, targets: Sequence[Target], path: Path, load: Load
) -> Verdicts:
    model.graph.name = path.stem  # networks that differ in their names only are one to ``load``
    path.write_bytes(model.SerializeToString())
    try:
        hub = simplify(capture.from_onnx(path)).model
    except UserError as error:
        return dict.fromkeys((target.name for target in targets), Verdict(REFUSED, _reason(error)))
    except Exception as error:  # whatever it is, it must not reach a user
        return dict.fromkeys((target.name for target in targets), _crash(error))
    return {target.name: _on_target(case, status, hub, target, load) for target in targets}


def _on_target(case: Case, status: str, hub: Model, target: Target, load: Load) -> Verdict:
    for refusal in refusals(target.name, read(hub)):
        return Verdict(REFUSED, f"{refusal.operator}: {refusal.reason}")
    try:
        runner = load(target, target.lower(hub))
        for inputs, outputs in case.data:
            found = runner.run({name: inputs[name] for name in runner.inputs})
            for name, wanted in outputs.items():
                if difference := _difference(found[name], wanted, case.rtol):
                    return Verdict(WRONG, difference)
    except (MissingExtra, MissingTool):  # says nothing about the case
        raise
    except UserError as error:
        return Verdict(REFUSED, _reason(error))
    except Exception as error:  # as above
        return _crash(error)
    return Verdict(status)


def _difference(found: np.ndarray, wanted: np.ndarray, rtol: float) -> str:
    """What differs, or nothing."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return f"{found.dtype} {list(found.shape)} instead of {wanted.dtype} {list(wanted.shape)}"
    finite = np.abs(wanted[np.isfinite(wanted)])
    if np.allclose(found, wanted, rtol=rtol, atol=ATOL * float(finite.max(initial=0)), equal_nan=True):
        return ""
    with np.errstate(invalid="ignore"):
        return f"off by up to {np.nanmax(np.abs(found - wanted)):.3g} of {finite.max(initial=0):.3g}"


def _crash(error: Exception) -> Verdict:
    lines = str(error).splitlines()
    return Verdict(WRONG, f"{type(error).__name__}: {lines[0] if lines else ''}")


_ALIKE = (
    (r" \('[^']*'\)|'[^']*'|\[[^]]*\]", "…"),
    (r"phiz has no form of it.*", "not in the hub dialect"),
    (r"its element type is \w+, phiz takes float32 inputs", "an input is not float32"),
    (r"its opset is \w+, phiz takes (.*)", r"its opset is not \1"),
    (r"its shapes do not fit together.*", "its shapes do not fit together"),
)


def _reason(error: UserError) -> str:
    """Without the names and numbers of the one case."""
    text = f"{error.operator}: {error.reason}" if isinstance(error, UnsupportedNode) else error.what
    for pattern, instead in _ALIKE:
        text = re.sub(pattern, instead, text)
    return text


def run(
    chosen: Sequence[Case], targets: Sequence[Target] = TARGETS, progress: Callable[[int], None] = lambda _: None
) -> dict[str, Verdicts]:
    """Verdicts by the name of the case; MissingExtra or MissingTool where a target's artefacts cannot run here."""
    found = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        load = _loader(folder)
        for count, case in enumerate(chosen):
            progress(count)
            with quiet():
                found[case.name] = judge(case, targets, folder, load)
    return found


def _loader(folder: Path) -> Load:
    """What makes artefacts ready to execute; of equal ones that follow each other only the first.

    Two cases in five are the network of another one with other numbers, and each source in C takes a call of the
    compiler.
    """

    @lru_cache(maxsize=64)
    def ready(target: str, name: str, files: tuple[tuple[str, bytes], ...]) -> Runner:
        for file, content in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        return find(target).load(folder / name)

    return lambda target, artifact: ready(target.name, artifact.name, tuple(sorted(artifact.files.items())))


def page(chosen: Sequence[Case], verdicts: Mapping[str, Verdicts]) -> str:
    """``docs/conformance.md``: equal verdicts give equal text."""
    names = [target.name for target in TARGETS]
    operators: dict[str, list[Verdicts]] = {}
    for case in chosen:
        operators.setdefault(case.operator, []).append(verdicts[case.name])
    taken = {operator: of for operator, of in sorted(operators.items()) if any(_passed(of, target) for target in names)}
    statuses = Counter((target, verdict.status) for of in verdicts.values() for target, verdict in of.items())
    totals = [
        (target.title, *(statuses[target.name, status] for status in (PASS, BAKED, REFUSED, WRONG)))
        for target in TARGETS
    ]
    rows = [(f"`{name}`", len(of), *(_passed(of, target) for target in names), _why(of)) for name, of in taken.items()]
    others = [(f"`{name}`", len(of), _why(of)) for name, of in sorted(operators.items()) if name not in taken]
    titles = [target.title for target in TARGETS]
    return _PAGE.format(
        version=onnx.__version__,
        count=len(chosen),
        totals=_table(["target", PASS, BAKED, REFUSED, WRONG], totals),
        taken=_table(["operator", "cases", *titles, "most of the others are refused because"], rows),
        others=_table(["operator", "cases", "refused because"], others),
    )


def _passed(of: Sequence[Verdicts], target: str) -> int:
    return sum(verdicts[target].status in (PASS, BAKED) for verdicts in of)


def _why(of: Sequence[Verdicts]) -> str:
    """The most common reason of a refusal; which targets share it, unless all do."""
    reasons: Counter[tuple[str, str]] = Counter()
    for verdicts in of:
        refused: dict[str, list[str]] = {}
        for target in TARGETS:
            if verdicts[target.name].status == REFUSED:
                refused.setdefault(verdicts[target.name].reason, []).append(target.title)
        for reason, targets in refused.items():
            reasons["" if len(targets) == len(TARGETS) else f"{', '.join(targets)}: ", reason] += 1
    if not reasons:
        return ""
    (titles, reason), count = min(reasons.items(), key=lambda item: (-item[1], item[0]))
    return f"{count} of {len(of)}: {titles}{reason}".replace("|", "\\|")


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


_PAGE = """\
# Conformance

The {count:,} node tests of ONNX's own backend suite (onnx {version}) on every target, in float. Each takes phiz's whole
road: capture, simplify, lower, and the artefact run from disk (onnxruntime, LiteRT, the numpy evaluator of Core ML
packages, the machine's C compiler). A case *passes* when every output is right to the test's own relative tolerance, is
*refused* with a reason, or is *wrong*; nothing is. Where a test gives weights, axes and the like as inputs, phiz wants
them constant: such a case is tried again with the test's values as constants.

Written by `python -m bench.conformance`; `tests/bench/test_conformance.py` keeps it true.

{totals}

## Operators with passing cases

{taken}

## Operators refused altogether

{others}
"""


def main(words: Sequence[str]) -> None:
    """Judge all cases and write the page, or some and print their verdicts."""
    chosen = [case for case in cases() if not words or any(word in case.name for word in words)]
    if not chosen:
        sys.exit(f"no case's name holds any of: {', '.join(words)}")
    try:
        with Stages() as stages:
            verdicts = run(chosen, progress=lambda count: stages("conformance", count, len(chosen)))
    except UserError as error:
        sys.exit(str(error))
    for case in chosen:
        for target, verdict in verdicts[case.name].items():
            if words or verdict.status == WRONG:
                print(case.name, target, verdict.status, verdict.reason, sep="\t")
    if not words:
        write_atomically(PAGE, page(chosen, verdicts).encode())
        print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
