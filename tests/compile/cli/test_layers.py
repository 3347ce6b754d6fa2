"""What ``phiz compile --errors`` shows of a report."""

from __future__ import annotations

import io
import math
import re

import pytest
from rich.console import Console

from compile.cli.layers import show_errors
from compile.quantize.layers import Layer, LayerErrors
from compile.quantize.noise import Kind

NAMES = ("conv11 (trunk.1.norm)", "gemm20 (hidden.1)")
ADVICE = (
    "gemm20 causes 50% of the error. Worth trying: --rule 'w8 on Conv under conv1' --rule 'w8 on Conv under conv3'" * 2
)
REPORT = LayerErrors(
    targets=("tflite",),
    sqnr_db=40.0,
    explained=1.0,
    layers=(
        Layer("conv11", "trunk.1.norm", "Conv", "w8a8", math.inf, 35.5, {Kind.INPUT: 0.3, Kind.OUTPUT: 0.2}),
        Layer("gemm20", "hidden.1", "Gemm", "w8-dynamic", 35.5, 39.7, {Kind.WEIGHTS: 0.5}),
    ),
    advice=ADVICE,
)


@pytest.mark.parametrize(("width", "bars"), [(80, False), (120, True)])
def test_no_name_and_no_figure_is_cut(width, bars):
    file = io.StringIO()
    show_errors(REPORT, Console(file=file, width=width))
    lines = [line.rstrip() for line in file.getvalue().split("\n")]
    assert lines.count(ADVICE) == 1  # rules can be copied from it
    lines.remove(ADVICE)
    assert max(map(len, lines)) <= width
    assert "…" not in file.getvalue()
    rows = [next(line for line in lines if line.startswith(name)) for name in NAMES]
    between = r"\s+"
    assert re.search(between.join(["w8a8", "exact", "35.5 dB", "50.0%", "30.0%", "20.0%"]), rows[0])
    assert re.search(between.join(["w8-dynamic", "35.5 dB", "39.7 dB", "50.0%", "50.0%"]), rows[1])
    assert all(("█" * 20 in row) == bars for row in rows)
