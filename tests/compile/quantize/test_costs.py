"""Bytes are counted exactly; times keep the proportions that were measured."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from compile.quantize.costs import Cost, cost
from compile.quantize.scheme import Scheme


def node(operator, weight, source, result, **attributes):
    """A product alone in a graph, with the given shapes."""
    ports = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, source)]
    ends = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, result)]
    made = helper.make_node(operator, ["x", "w"], ["y"], **attributes)
    weights = [numpy_helper.from_array(np.zeros(weight, np.float32), "w")]
    model = ir.from_proto(helper.make_model(helper.make_graph([made], "g", ports, ends, weights)))
    return next(iter(model.graph))


def test_bytes():
    gemm = node("Gemm", (5, 8), (1, 8), (1, 5), transB=1)
    sizes = {scheme: cost(gemm, scheme).bytes for scheme in Scheme}
    assert sizes[Scheme.FLOAT] == 160
    assert sizes[Scheme.FLOAT16] == 80
    assert sizes[Scheme.W8] == sizes[Scheme.W8_DYNAMIC] == 40 + 5 * 4
    assert sizes[Scheme.W8A8] == 40 + 5 * 8  # the bias has scales of its own
    transposed = node("ConvTranspose", (6, 2, 3), (1, 6, 5), (1, 6, 7), group=3)
    assert cost(transposed, Scheme.FLOAT).bytes == 36 * 4


def test_an_integer_product_is_several_times_faster_where_channels_are_many():
    conv = node("Conv", (48, 24, 10), (1, 24, 818), (1, 48, 203))
    times = {scheme: cost(conv, scheme).microseconds for scheme in Scheme}
    assert 3 < times[Scheme.W8] / times[Scheme.W8A8] < 8  # measured: 62 us against 8 to 14 us
    assert times[Scheme.W8] == pytest.approx(62, rel=0.25)


def test_a_waveform_gains_nothing_from_integers():
    first = node("Conv", (24, 1, 22), (1, 1, 8192), (1, 24, 818))
    assert cost(first, Scheme.FLOAT).microseconds < cost(first, Scheme.W8A8).microseconds


def test_quantising_at_run_time_is_nearly_free_where_weights_are_many():
    gemm = node("Gemm", (296, 1536), (1, 1536), (1, 296), transB=1)
    ratio = cost(gemm, Scheme.W8_DYNAMIC).microseconds / cost(gemm, Scheme.W8A8).microseconds
    assert 1 < ratio < 1.1


def test_other_nodes_cost_nothing():
    relu = next(
        iter(
            ir.from_proto(
                helper.make_model(
                    helper.make_graph(
                        [helper.make_node("Relu", ["x"], ["y"])],
                        "g",
                        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4])],
                        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4])],
                    )
                )
            ).graph
        )
    )
    assert cost(relu, Scheme.W8A8) == Cost(0, 0.0)


def test_arithmetic():
    assert Cost(3, 2.0) + Cost(4, 1.0) - Cost(1, 0.5) == Cost(6, 2.5)
    assert Cost(1, 0.0).share(Cost(100, 10.0)) == pytest.approx(0.1)
    assert Cost(0, 1.0).share(Cost(100, 10.0)) == pytest.approx(0.1)
