"""Damaged files: a clear error or a right result. ``python -m bench.fuzz`` does the same for longer, with limits."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz.mutate import mutate
from bench.fuzz.subjects import Subject, subjects
from compile.errors import UserError

for needed in ("torch", "ai_edge_litert", "coremltools"):
    pytest.importorskip(needed)

# Subject -> cases a run, by what they cost. No single one may take 5 seconds.
CASES = {
    "onnx": 60,
    "onnx, nested": 60,
    "onnx, external": 30,
    "onnx, quantised": 40,
    "dissect onnx": 80,
    "dissect tflite": 200,
    "dissect coreml": 80,
    "build folder": 40,
    "pt2": 12,
    "student folder": 30,
}


@cache
def by_name() -> dict[str, Subject]:
    with TemporaryDirectory() as folder:
        return {subject.name: subject for subject in subjects(Path(folder))}


def attempt(subject: Subject, files: dict[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        subject.attempt(files, Path(folder))


def test_every_subject_is_attacked() -> None:
    assert set(by_name()) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_good_files_are_taken(name: str) -> None:
    """Otherwise nothing below would reach far. What phiz never takes is refused for what it is."""
    reasons = {"onnx, nested": "its branch is chosen at run time", "onnx, quantised": "already quantised"}
    subject = by_name()[name]
    if name in reasons:
        with pytest.raises(UserError, match=reasons[name]):
            attempt(subject, dict(subject.files))
    else:
        attempt(subject, dict(subject.files))


@pytest.mark.parametrize("name", CASES)
def test_damaged_files(name: str) -> None:
    subject = by_name()[name]

    @settings(max_examples=CASES[name], deadline=5000, database=None)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        try:
            attempt(subject, mutate(Random(seed), subject.files))
        except UserError:
            return

    check()
