from __future__ import annotations

from bench.peers.plots import names
from bench.peers.standing import Line


def line(peer: str, least: float, sqnr: float) -> Line:
    return Line(peer, "litert", True, round(1000 * least), least, sqnr, None, None, None, None, None, 1.0)


def test_points_that_lie_on_one_another_share_a_label() -> None:
    found = [line("phiz-onnx", 1.01, 40.0), line("phiz-tflite", 1.02, 40.1), line("phiz-w8a8", 1.02, 27.0)]
    peers = [line("best", 1.04, 30.0), line("beaten", 1.5, 10.0)]
    right_of = {"phiz-onnx, phiz-tflite": (1.02, 40.1), "phiz-w8a8": (1.02, 27.0), "best": (1.04, 30.0)}
    assert dict(names([*found, *peers])) == right_of
    assert names([]) == []
