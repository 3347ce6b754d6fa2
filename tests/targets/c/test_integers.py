"""Generated networks of every operator with an integer form: at most one step from onnxruntime on the same graph.

One network holds them all, each on an input of its own, so that the compiler is called once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
