"""Parameters cover their range, represent zero exactly, and are no coarser than they must be."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compile.quantize.scheme import affine, weight_scale

bounds = st.floats(-1e4, 1e4, width=32)


@given(bounds, bounds)
def test_affine(first, second):
    low, high = min(first, second, 0.0), max(first, second, 0.0)
    parameters = affine(low, high)
    assert -128 <= parameters.zero_point <= 127
    if high - low < 1e-12:
        return
    reach = [parameters.scale * (edge - parameters.zero_point) for edge in (-128, 127)]
    # rounding the zero point to an integer moves both ends by at most half a step
    assert reach[0] <= low + 0.501 * parameters.scale
    assert reach[1] >= high - 0.501 * parameters.scale
    assert np.isclose(parameters.scale * 255, high - low, rtol=1e-6)


def test_affine_of_nothing_is_usable():
    assert affine(0.0, 0.0).scale > 0


def test_weight_scale_by_channel():
    weight = np.array([[[1.0, -2.0]], [[0.5, 0.25]], [[0.0, 0.0]]], np.float32)
    scale = weight_scale(weight)
    np.testing.assert_allclose(scale[:2], np.array([2, 0.5]) / 127, rtol=1e-6)
    assert 0 < scale[2] < 1e-6
