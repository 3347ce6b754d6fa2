"""Rounded lips, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from distill.controls import ARKIT
from distill.corpus.espeak import Phone
from distill.evaluate.base import Case
from distill.evaluate.rounding import Rounding

PUCKER, FUNNEL = ARKIT.index("mouthPucker"), ARKIT.index("mouthFunnel")


def rounded(u: float, o: float, a: float = 0.0) -> np.ndarray:
    """Lips as round as this on the u (0.6 to 0.8 s), the o (1.36 to 1.6 s), and everywhere else."""
    curves = np.zeros((100, 52), np.float32)
    curves[:, PUCKER] = a
    curves[30:41, PUCKER] = u
    curves[68:81, PUCKER], curves[68:81, FUNNEL] = o / 2, o / 2
    return curves


def figures_of(ours: np.ndarray, theirs: np.ndarray, phones) -> dict[str, float]:
    family = Rounding(ARKIT)
    return {name: float(value) for name, value in family.figures(family.sums(Case(ours, theirs, phones))).items()}


def test_by_hand(phones) -> None:
    found = figures_of(rounded(0.6, 0.3), rounded(0.8, 0.8), phones)
    assert found["rounding.recall"] == 1 / 2
    assert found["rounding.depth"] == pytest.approx((0.6 + 0.3) / (0.8 + 0.8))
    # The a at 0.8 and at 1.6 s begin in a frame that is still round: 1 of 21, of 21 and of 26 frames.
    edges = lambda before, after: (0 + before / 21 + after / 20) / 3  # noqa: E731
    expected = (0.45 - edges(0.6, 0.3)) / (0.8 - edges(0.8, 0.8))
    assert found["rounding.contrast"] == pytest.approx(expected, rel=1e-3)


def test_lips_that_are_always_round_have_no_contrast(phones) -> None:
    found = figures_of(rounded(0.8, 0.8, a=0.8), rounded(0.8, 0.8), phones)
    assert found["rounding.recall"] == 1
    assert found["rounding.depth"] == pytest.approx(1, abs=1e-6)
    assert found["rounding.contrast"] == pytest.approx(0, abs=1e-6)


def test_the_teacher_and_the_unknown(phones) -> None:
    curves = rounded(0.7, 0.6, a=0.1)
    assert set(figures_of(curves, curves, phones).values()) == {1}
    assert all(np.isnan(value) for value in figures_of(curves, curves, None).values())


def test_a_diphthong_that_becomes_round_is_no_unrounded_vowel() -> None:
    spoken = [Phone("a", 0.0, 0.2), Phone("aʊ", 0.6, 0.8), Phone("o", 1.36, 1.6)]
    found = figures_of(rounded(0.6, 0.3), rounded(0.8, 0.8), spoken)
    assert found["rounding.contrast"] == pytest.approx(0.45 / 0.8)
