"""Generated networks of every operator with an integer form: at most one step from onnxruntime on the same graph.

One network holds them all, each on an input of its own, so that the compiler is called once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

PRODUCTS = ("Conv", "ConvTranspose", "Gemm")
QUICKLY = settings(max_examples=4, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


@pytest.mark.parametrize("scheme", ["float", "w8a8", "w8"])
def test_generated_networks(hub: Any, generated: Any, differences: Callable[..., Any], scheme: str) -> None:
    names = PRODUCTS if scheme == "w8" else tuple(generated)

    @QUICKLY
    @given(st.data())
    def check(data: st.DataObject) -> None:
        h = hub(data.draw(st.integers(0, 99)))
        made = {generated[name](h, data.draw): name for name in names for _ in range(2)}
        found = differences(h.model(*made), h.feeds(), scheme)
        wrong = {made[name.removesuffix("_d")]: off for name, off in found.items() if not off <= 1}
        assert not wrong

    check()


def test_the_largest_sums(hub: Any, differences: Callable[..., Any]) -> None:
    """Products of full scale, more of one sign than 16 bits hold parts of, in more rows than are taken at once."""
    h = hub(0)
    rows, inputs = 9, 2051
    x, signs = h.input(rows, inputs), np.ones((17, inputs))
    signs[1::3] = -1
    signs[2::3] = h.random.choice([-1, 1], inputs)
    model = h.model(h.op("Gemm", x, h.constant(signs), transB=1, transA=0, alpha=1.0, beta=1.0))
    feeds = {x: np.resize(signs[:3], (rows, inputs)).astype(np.float32)}
    assert max(differences(model, feeds, "w8a8").values()) <= 1
