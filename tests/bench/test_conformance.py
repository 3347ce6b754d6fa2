"""ONNX's own backend tests through every target: nothing is wrong, and ``docs/conformance.md`` says what is so.

Tolerances are the tests' own, see ``bench/conformance.py``. The page is compared where the installed onnx is the one
that it was written with; another has other cases.
"""

from __future__ import annotations

import dataclasses
from importlib.metadata import version

import numpy as np
import onnx
import pytest

from bench import conformance
from bench.conformance import PAGE, REFUSED, TARGETS, WRONG, Case, Verdicts, page, run
from compile.errors import MissingTool

pytest.importorskip("ai_edge_litert")
pytest.importorskip("coremltools")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return conformance.cases()


@pytest.fixture(scope="module")
def verdicts(cases: list[Case], compiler: str) -> dict[str, Verdicts]:
    return run(cases)


def test_every_case_is_right_or_refused(cases: list[Case], verdicts: dict[str, Verdicts]) -> None:
    assert len(cases) > 1000
    assert {name: set(found) for name, found in verdicts.items()} == {
        case.name: {target.name for target in TARGETS} for case in cases
    }
    wrong = [
        (name, target, found) for name, of in verdicts.items() for target, found in of.items() if found.status == WRONG
    ]
    assert wrong == []
    refused = [found for of in verdicts.values() for found in of.values() if found.status == REFUSED]
    assert all(found.reason for found in refused)


def test_the_page_is_true(cases: list[Case], verdicts: dict[str, Verdicts]) -> None:
    written = PAGE.read_text(encoding="utf-8")
    if f"(onnx {onnx.__version__})" not in written:
        pytest.skip("written with another onnx")
    if version("onnxsim") < "0.8":
        pytest.skip("this version of onnxsim, or the onnxruntime of its time, fails on a few cases")
    assert page(cases, verdicts) == written, "run python -m bench.conformance"


def test_a_wrong_result_is_called_wrong(cases: list[Case], compiler: str) -> None:
    """The judge itself: expectations that are off by a hundredth, or of another shape."""
    relu = next(case for case in cases if case.name == "test_relu")
    [(inputs, outputs)] = relu.data
    assert {found.status for found in run([relu])["test_relu"].values()} == {"pass"}
    for spoilt in (np.float32(1.01) * outputs["y"], outputs["y"][..., :1], outputs["y"].astype(np.float64)):
        case = dataclasses.replace(relu, data=((inputs, {"y": spoilt}),))
        assert {found.status for found in run([case])["test_relu"].values()} == {WRONG}


def test_without_a_compiler_there_is_no_page(cases, monkeypatch, tmp_path):
    """It is no verdict on the case that this machine cannot run it."""
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(conformance, "cases", lambda: [case for case in cases if case.name == "test_relu"])
    monkeypatch.setattr(conformance, "PAGE", tmp_path / "conformance.md")
    with pytest.raises(MissingTool):
        run(conformance.cases())
    with pytest.raises(SystemExit, match="no C compiler; install gcc or clang"):
        conformance.main([])
    assert not (tmp_path / "conformance.md").exists()


def test_words_that_no_case_has(monkeypatch):
    monkeypatch.setattr(conformance, "cases", tuple)
    with pytest.raises(SystemExit, match="no case's name holds any of: nonesuch"):
        conformance.main(["nonesuch"])
