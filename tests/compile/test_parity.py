"""Parity's figures by hand, and a gate that can fail."""

from __future__ import annotations

import numpy as np
import pytest

from compile.parity import Parity, References, compare, error_share, failures

HUB = {"y": np.array([[[0.0, 1.0]], [[0.5, 0.2]]], np.float32)}
FLOAT = {"y": HUB["y"] + np.float32(0.01)}
AGAINST = References([], FLOAT, HUB, {"y": 0.1})


def test_equal_outputs():
    result = compare(HUB, AGAINST)
    assert result.steps == 0
    assert result.error == pytest.approx(0.01 / 0.5, rel=1e-3)  # the narrowest element spans 0.5


def test_steps_are_of_the_output():
    assert compare({"y": HUB["y"] + np.float32(0.2)}, AGAINST).steps == pytest.approx(2.0, rel=1e-5)


def test_doubled_output_fails():
    doubled = compare({"y": 2 * HUB["y"]}, AGAINST)
    assert failures({"tflite": doubled}, None, None)


def test_elements_that_never_move_have_no_range():
    flat = {"y": np.zeros((3, 1, 2), np.float32)}
    assert error_share(flat, flat) == 0


@pytest.mark.parametrize(
    ("parity", "sqnr", "steps", "message"),
    [
        (Parity("run", 40.0, 0.01, 1.0), None, None, None),
        (Parity("run", 40.0, 0.01, 1.1), None, None, "1.10 quantisation steps"),
        (Parity("run", 40.0, 0.01, 1.1), None, 2.0, None),
        (Parity("run", 29.9, 0.01, 0.0), 30.0, None, "SQNR 29.9 dB is below"),
        (Parity("not run: needs macOS"), None, None, None),
        (Parity("not run: needs macOS"), 30.0, None, "asked for but not run"),
        (Parity("run", float("nan"), float("nan"), float("nan")), None, None, "NaN or Inf"),
    ],
)
def test_gate(parity, sqnr, steps, message):
    found = failures({"tflite": parity}, sqnr, steps)
    assert (message in found[0]) if message else not found


def test_core_ml_may_stand_two_steps_away():
    assert not failures({"coreml": Parity("run", 40.0, 0.0, 2.0)}, None, None)
    assert failures({"coreml": Parity("run", 40.0, 0.0, 2.1)}, None, None)
