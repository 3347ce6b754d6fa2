"""A face that is late by a known time."""

from __future__ import annotations

import numpy as np
import pytest

from distill.controls import ARKIT
from distill.evaluate.base import Case
from distill.evaluate.lag import Lag


def lag_of(ours: np.ndarray, theirs: np.ndarray) -> float:
    family = Lag(ARKIT)
    return float(family.figures(family.sums(Case(ours, theirs)))["lag"])


def late(curves: np.ndarray, milliseconds: float) -> np.ndarray:
    """``curves`` shifted in time by the shift theorem, which is exact for what is periodic."""
    frequencies = np.fft.rfftfreq(len(curves), 1 / 50)
    turn = np.exp(-2j * np.pi * frequencies * milliseconds / 1000)[:, None]
    return np.fft.irfft(np.fft.rfft(curves, axis=0) * turn, len(curves), axis=0).astype(np.float32)


# Within 0.3 ms at whole frames: the correlation there is not quite symmetric. Between frames a parabola is not the
# peak's exact shape: 1 ms.
@pytest.mark.parametrize(("shift", "within"), [(0, 0.3), (40, 0.3), (-60, 0.3), (10, 1), (27, 1), (-33, 1)])
def test_a_shifted_face(wandering, shift: float, within: float) -> None:
    theirs = wandering(1, 600)
    assert lag_of(late(theirs, shift), theirs) == pytest.approx(shift, abs=within)
    assert lag_of(0.5 * late(theirs, shift) + 0.2, theirs) == pytest.approx(shift, abs=within)  # whatever its size


def test_what_has_no_lag(wandering) -> None:
    theirs = wandering(1)
    assert np.isnan(lag_of(np.zeros_like(theirs), theirs))  # never moves
    assert np.isnan(lag_of(theirs[:31], theirs[:31]))  # too short
