"""A simplified network and samples to quantise it with."""

from __future__ import annotations

import pytest

from compile import capture
from compile.quantize.calibrate import observe
from compile.simplify.pipeline import simplify


@pytest.fixture
def model(tiny_path):
    return simplify(capture.from_onnx(tiny_path)).model


@pytest.fixture
def samples(noise):
    return {"x": noise(48, 512)}


@pytest.fixture
def ranges(model, samples):
    return observe(model, samples)
