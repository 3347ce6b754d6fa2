"""Generated networks for every operator with an integer form: at most one step from onnxruntime on the same graph.

A network is the operator with drawn shapes and attributes, on an input that is quantised, or behind a convolution that
leaves it channels-last. XNNPACK executes it; products with int8 weights alone are compared within float32's rounding.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("ai_edge_litert")

OPERATORS = (
    *("Conv", "ConvTranspose", "Gemm", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Add", "Mul", "Concat", "Pad"),
    *("Reshape", "Transpose", "Slice", "Gather", "Expand", "MaxPool", "AveragePool", "GlobalAveragePool"),
)
CASES = [(name, scheme) for name in OPERATORS for scheme in ("float", "w8a8")]
CASES += [(name, "w8") for name in ("Conv", "ConvTranspose", "Gemm")]


@pytest.mark.parametrize(("operator", "scheme"), CASES)
def test_generated_networks(hub: Any, attempt: Any, generated: Any, operator: str, scheme: str) -> None:
    @settings(max_examples=12, suppress_health_check=[HealthCheck.filter_too_much], phases=[Phase.generate])
    @given(st.data())
    def check(data: st.DataObject) -> None:
        h = hub(data.draw(st.integers(0, 99)))
        model = h.model(generated[operator](h, data.draw))
        trial = attempt(model, h.feeds(), scheme)
        assert trial.excess() <= 1
        assert set(trial.delegation.outside) <= {"GATHER"}

    check()
