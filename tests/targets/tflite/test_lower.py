"""Each hub operator in each scheme against onnxruntime: one step in int8, accumulated float32 rounding in float."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from compile.errors import UnsupportedNode
from compile.model import Model
from targets.tflite.lower import lower
from targets.tflite.run import load

pytest.importorskip("ai_edge_litert")

SCHEMES = ("float", "w8", "w8a8")


def flat(h: Any, x: str, *shape: int) -> str:
    """A Gemm over everything but the batch."""
    size = int(np.prod(shape[1:]))
    return h.gemm(h.reshape(x, shape[0], size), 7, size)


WEIGHTED: dict[str, Callable[[Any], str]] = {
    "conv1d": lambda h: h.conv(h.input(1, 3, 50), 8, 3, (5,)),
    "conv1d without bias": lambda h: h.conv(h.input(1, 3, 50), 8, 3, (5,), bias=False),
    "conv1d of one channel": lambda h: h.conv(h.input(1, 1, 200), 8, 1, (22,), strides=[10]),
    "conv1d, strided, padded, batch 2": lambda h: h.conv(h.input(2, 3, 50), 8, 3, (5,), strides=[2], pads=[2, 2]),
    "conv1d, same": lambda h: h.conv(h.input(2, 3, 50), 8, 3, (5,), pads=[2, 2]),
    "conv1d, asymmetric, dilated": lambda h: h.conv(
        h.input(1, 3, 50), 8, 3, (5,), strides=[3], pads=[4, 0], dilations=[2]
    ),
    "conv1d, causal": lambda h: h.conv(h.input(1, 3, 50), 8, 3, (5,), pads=[8, 0], dilations=[2]),
    "conv2d": lambda h: h.conv(h.input(1, 3, 20, 21), 8, 3, (3, 5), strides=[2, 1], pads=[1, 2, 1, 2]),
    "conv2d, asymmetric": lambda h: h.conv(h.input(2, 3, 9, 11), 8, 3, (3, 2), pads=[0, 1, 2, 0], dilations=[1, 2]),
    "conv2d that leaves columns out": lambda h: h.conv(
        h.input(1, 4, 9, 8), 2, 4, (5, 1), strides=[2, 2], pads=[2, 0, 2, 0]
    ),
    "grouped 1-D": lambda h: h.conv(h.input(1, 8, 30), 12, 4, (3,), group=2),
    "grouped 2-D": lambda h: h.conv(h.input(2, 8, 10, 11), 12, 2, (3, 2), group=4),
    "depthwise 1-D": lambda h: h.conv(h.input(1, 8, 30), 8, 1, (3,), group=8, pads=[1, 1]),
    "depthwise without bias": lambda h: h.conv(h.input(1, 8, 30), 8, 1, (3,), group=8, bias=False),
    "depthwise with multiplier": lambda h: h.conv(h.input(1, 8, 30), 24, 1, (3,), group=8, dilations=[2]),
    "depthwise 2-D": lambda h: h.conv(h.input(1, 8, 10, 9), 8, 1, (3, 3), group=8, strides=[2, 2], pads=[1, 1, 0, 0]),
    "conv with relu": lambda h: h.op("Relu", h.conv(h.input(1, 3, 50), 8, 3, (5,))),
    "gemm": lambda h: h.gemm(h.input(3, 20), 7, 20),
    "gemm without bias": lambda h: h.gemm(h.input(3, 20), 7, 20, bias=False),
    "gemm with relu": lambda h: h.op("Relu", h.gemm(h.input(3, 20), 7, 20)),
    "flatten after conv1d": lambda h: flat(h, h.conv(h.input(1, 3, 12), 8, 3, (5,)), 1, 8, 8),
    "flatten after conv1d, batch 2": lambda h: flat(h, h.conv(h.input(2, 3, 12), 8, 3, (5,)), 2, 8, 8),
    "flatten after conv2d": lambda h: flat(h, h.conv(h.input(2, 3, 6, 5), 8, 3, (2, 2)), 2, 8, 5, 4),
    "flatten that splits the channels": lambda h: h.gemm(
        h.reshape(h.conv(h.input(1, 3, 12), 8, 3, (5,)), 4, 16), 7, 16
    ),
    "a product for each frame": lambda h: h.reshape(
        h.gemm(h.reshape(h.op("Transpose", h.conv(h.input(2, 3, 12), 8, 3, (5,)), perm=[0, 2, 1]), 16, 8), 7, 8),
        2,
        8,
        7,
    ),
}

PLAIN: dict[str, Callable[[Any], str]] = {
    "relu": lambda h: h.op("Relu", h.input(1, 3, 50)),
    "leaky relu": lambda h: h.op("LeakyRelu", h.input(1, 3, 50), alpha=0.1),
    "leaky relu, rising on both sides": lambda h: h.op("LeakyRelu", h.input(1, 3, 50), alpha=-0.3),
    "sigmoid": lambda h: h.op("Sigmoid", h.input(1, 3, 50)),
    "tanh": lambda h: h.op("Tanh", h.input(1, 3, 50)),
    "add": lambda h: h.op("Add", h.input(2, 3, 50), h.input(2, 3, 50)),
    "add to itself": lambda h: (lambda x: h.op("Add", x, x))(h.input(2, 3)),
    "add with relu": lambda h: h.op("Relu", h.op("Add", h.input(1, 3, 50), h.input(1, 3, 50))),
    "add, lower rank": lambda h: h.op("Add", h.input(2, 3, 50), h.input(3, 1)),
    "add, outer": lambda h: h.op("Add", h.input(2, 1, 50), h.input(3, 1)),
    "add, scalar": lambda h: h.op("Add", h.input(), h.input(4)),
    "add, five axes": lambda h: h.op("Add", h.input(2, 3, 4, 5, 2), h.input(3, 1, 5, 1)),
    "add constant": lambda h: h.op("Add", h.input(2, 3, 50), h.noise(3, 1)),
    "mul": lambda h: h.op("Mul", h.input(1, 3, 50), h.input(1, 3, 50)),
    "mul by a constant": lambda h: h.op("Mul", h.input(1, 3, 50), h.constant(2.0)),
    "mul by a large constant": lambda h: h.op("Mul", h.input(1, 3, 50), h.noise(3, 50, scale=30.0)),
    "mul of a scalar by a constant": lambda h: h.op("Mul", h.input(), h.constant(3.0)),
    "mul by a constant of higher rank than the memory": lambda h: h.op(
        "Relu", h.op("Mul", h.reshape(h.input(2, 7), 1, 2, 7), h.constant([[[2.0]]]))
    ),
    "add a single element of higher rank than the memory": lambda h: h.op(
        "Add", h.reshape(h.input(2, 7), 1, 2, 7), h.input(1, 1, 1)
    ),
    "concat": lambda h: h.op("Concat", h.input(2, 3, 5), h.input(2, 2, 5), h.input(2, 1, 5), axis=1),
    "concat of unit axes": lambda h: h.op("Concat", h.input(2, 1, 5), h.input(2, 1, 5), axis=1),
    "concat with a constant": lambda h: h.op("Concat", h.noise(2, 2, 5), h.input(2, 3, 5), axis=1),
    "pad": lambda h: h.pad(h.input(2, 3, 10), [0, 0, 2, 0, 1, 3]),
    "pad with a value": lambda h: h.pad(h.input(2, 3, 10), [0, 0, 2, 0, 1, 3], 0.0 if h.exact else 0.5),
    "reshape": lambda h: h.reshape(h.input(2, 3, 10), 5, 12),
    "transpose": lambda h: h.op("Transpose", h.input(2, 3, 50), perm=[2, 0, 1]),
    "transpose of five axes": lambda h: h.op("Transpose", h.input(2, 3, 4, 5, 2), perm=[4, 2, 0, 3, 1]),
    "slice": lambda h: h.slice(h.input(2, 3, 50), 2, 3, 40),
    "slice with a step": lambda h: h.slice(h.input(2, 3, 50), 2, 3, 40, 3),
    "slice with a step to the end": lambda h: h.slice(h.input(2, 3, 50), 2, 3, 46, 7),
    "slice of nothing": lambda h: h.slice(h.input(2, 3, 50), 2, 0, 50),
    "max pool": lambda h: h.pool("MaxPool", h.input(2, 3, 50), (4,)),
    "max pool, padded": lambda h: h.pool("MaxPool", h.input(2, 3, 50), (4,), pads=[2, 1], strides=[3]),
    "max pool, same": lambda h: h.pool("MaxPool", h.input(2, 3, 51), (3,), pads=[1, 1], strides=[2]),
    "max pool 2-D": lambda h: h.pool("MaxPool", h.input(2, 3, 12, 13), (3, 4), pads=[1, 2, 2, 0], strides=[2, 1]),
    "average pool": lambda h: h.pool("AveragePool", h.input(2, 3, 50), (4,)),
    "average pool, padded": lambda h: h.pool("AveragePool", h.input(2, 3, 50), (4,), pads=[2, 1], strides=[3]),
    "average pool, same": lambda h: h.pool("AveragePool", h.input(2, 3, 51), (3,), pads=[1, 1], strides=[2]),
    "average pool, pads counted": lambda h: h.pool(
        "AveragePool", h.input(2, 3, 50), (4,), pads=[2, 1], strides=[3], count_include_pad=1
    ),
    "average pool, same, pads counted": lambda h: h.pool(
        "AveragePool", h.input(2, 3, 51), (3,), pads=[1, 1], strides=[2], count_include_pad=1
    ),
    "average pool 2-D": lambda h: h.pool(
        "AveragePool", h.input(2, 3, 12, 13), (3, 4), pads=[1, 2, 2, 0], strides=[2, 1]
    ),
    "global average pool": lambda h: h.op("GlobalAveragePool", h.input(2, 3, 51)),
    "global average pool 2-D": lambda h: h.op("GlobalAveragePool", h.input(2, 3, 10, 11)),
    "nothing but a reshape": lambda h: h.reshape(h.input(2, 3), 3, 2),
}

AFTER_CONV: dict[str, Callable[[Any, str], str]] = {
    "add constant": lambda h, x: h.op("Add", x, h.noise(8, 46)),
    "add constant by channel": lambda h, x: h.op("Add", x, h.noise(8, 1)),
    "add constant by frame": lambda h, x: h.op("Add", h.noise(46), x),
    "add of another order": lambda h, x: h.op("Add", x, h.input(2, 8, 46)),
    "concat of another order": lambda h, x: h.op("Concat", x, h.input(2, 2, 46), axis=1),
    "slice": lambda h, x: h.slice(x, 2, 3, 40),
    "slice of channels": lambda h, x: h.slice(x, 1, 1, 8, 2),
    "pad": lambda h, x: h.pad(x, [0, 1, 2, 0, 0, 3]),
    "global average pool": lambda h, x: h.reshape(h.op("GlobalAveragePool", x), 2, 8),
    "split channels, transpose": lambda h, x: h.op("Transpose", h.reshape(x, 2, 4, 2, 46), perm=[0, 2, 3, 1]),
    "merge unevenly, transpose": lambda h, x: h.op("Transpose", h.reshape(x, 16, 23, 2), perm=[1, 2, 0]),
    "flatten, add": lambda h, x: h.op("Add", h.reshape(x, 2, 368), h.noise(368)),
    "flatten, scale by row": lambda h, x: h.op("Mul", h.reshape(x, 2, 368), h.constant([[2.0], [3.0]])),
    "flatten, slice": lambda h, x: h.slice(h.reshape(x, 2, 368), 1, 5, 300),
    "a new axis": lambda h, x: h.op("Relu", h.reshape(x, 2, 1, 8, 46)),
}


def check(attempt: Any, h: Any, output: str, scheme: str) -> Any:
    trial = attempt(h.model(output), h.feeds(), scheme)
    assert trial.excess() <= 1
    assert trial.delegation.whole
    return trial


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("case", WEIGHTED)
def test_products_with_weights(hub: Any, attempt: Any, case: str, scheme: str) -> None:
    h = hub(1)
    check(attempt, h, WEIGHTED[case](h), scheme)


@pytest.mark.parametrize("scheme", ["float", "w8a8"])
@pytest.mark.parametrize("case", PLAIN)
def test_operators_without_weights(hub: Any, attempt: Any, case: str, scheme: str) -> None:
    h = hub(2)
    h.exact = False
    check(attempt, h, PLAIN[case](h), scheme)


@pytest.mark.parametrize("scheme", ["float", "w8a8"])
@pytest.mark.parametrize("case", AFTER_CONV)
def test_operators_on_channels_last_memory(hub: Any, attempt: Any, case: str, scheme: str) -> None:
    h = hub(3)
    check(attempt, h, AFTER_CONV[case](h, h.conv(h.input(2, 3, 50), 8, 3, (5,))), scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("case", ["grouped 2-D", "depthwise with multiplier", "flatten after conv2d", "gemm"])
def test_the_builtin_kernels_agree_too(hub: Any, attempt: Any, case: str, scheme: str) -> None:
    """Where XNNPACK is absent the file means the same; those kernels round within 2 steps."""
    h = hub(1)
    model, feeds = h.model(WEIGHTED[case](h)), h.feeds()
    trial = attempt(model, feeds, scheme)
    trial.outputs.update(load(trial.path, delegate=False).run(feeds))
    assert trial.excess() <= 2


def network(h: Any, seed: int) -> str:
    """A random network on ``[1, 4, 64]`` with branches, skips and concatenations."""
    random = np.random.default_rng(seed)
    x, channels, length = h.input(1, 4, 64), 4, 64
    for _ in range(8):
        kind = random.choice(["conv", "skip", "branch", "grouped", "activate", "pool", "slice", "pad", "scale", "turn"])
        if kind == "conv":
            kernel, channels_before = int(random.choice([1, 3, 5])), channels
            channels = int(random.choice([4, 6, 8]))
            x = h.conv(x, channels, channels_before, (kernel,), pads=[kernel - 1, 0])
        elif kind == "skip":
            x = h.op("Relu", h.op("Add", h.conv(x, channels, channels, (3,), pads=[1, 1]), x))
        elif kind == "branch":
            left, right = h.conv(x, 4, channels, (3,), pads=[1, 1]), h.op("Relu", h.conv(x, 2, channels, (1,)))
            x, channels = h.op("Concat", left, right, x, axis=1), channels + 6
        elif kind == "grouped":
            x = h.conv(x, channels, 1, (3,), group=channels, dilations=[2], pads=[2, 2])
        elif kind == "activate":
            operator = str(random.choice(["Relu", "LeakyRelu", "Sigmoid", "Tanh"]))
            x = h.op(operator, x, **({"alpha": 0.1} if operator == "LeakyRelu" else {}))
        elif kind == "pool" and length > 8:
            x, length = h.pool("MaxPool", x, (2,)), length // 2
        elif kind == "slice" and length > 8:
            x, length = h.slice(x, 2, 1, length - 2), length - 3
        elif kind == "pad":
            x, length = h.pad(x, [0, 0, 1, 0, 0, 2]), length + 3
        elif kind == "scale":
            x = h.op("Mul", x, h.noise(channels, 1))
        elif kind == "turn":
            turned = h.op("Add", h.op("Transpose", x, perm=[0, 2, 1]), h.noise(channels))
            x = h.op("Transpose", turned, perm=[0, 2, 1])
    return h.gemm(h.reshape(x, 1, channels * length), 5, channels * length)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("seed", range(8))
def test_random_networks(hub: Any, attempt: Any, operators: Any, seed: int, scheme: str) -> None:
    h = hub(seed)
    trial = check(attempt, h, network(h, seed), scheme)
    assert operators(trial.path).count("TRANSPOSE") == 1  # of the channels-first input


def speech_student(h: Any, leaky: bool = False) -> str:
    """Raw audio, strided convolutions, cropped residuals, two fully connected layers, as distill's students are."""

    def activate(x: str) -> str:
        return h.op("LeakyRelu", x, alpha=0.1) if leaky else h.op("Relu", x)

    x, length, channels = h.reshape(h.input(1, 8192), 1, 1, 8192), 8192, 1
    for wider, kernel, stride in ((16, 22, 10), (32, 10, 4), (64, 7, 4), (72, 4, 2)):
        x = activate(h.conv(x, wider, channels, (kernel,), strides=[stride]))
        length, channels = (length - kernel) // stride + 1, wider
    for kernel in (5, 5, 5, 5, 5):
        x = activate(h.op("Add", h.conv(x, 72, 72, (kernel,)), h.slice(x, 2, 2, length - 2)))
        length -= kernel - 1
    x = activate(h.conv(x, 72, 72, (3,)))
    length -= 2
    return h.op("Sigmoid", h.gemm(activate(h.gemm(h.reshape(x, 1, 72 * length), 72, 72 * length)), 52, 72))


@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_speech_student_is_one_partition_without_transposition(
    hub: Any, attempt: Any, operators: Any, scheme: str, leaky: bool
) -> None:
    h = hub(5)
    trial = check(attempt, h, speech_student(h, leaky), scheme)
    assert "TRANSPOSE" not in operators(trial.path)
    assert operators(trial.path).count("RESHAPE") == 1  # [1, 8192] to [1, 1, 8192, 1]; the Flatten costs nothing


def test_the_file_is_hardly_larger_than_its_numbers(hub: Any, attempt: Any) -> None:
    h = hub(5)
    model = h.model(speech_student(h))
    trial = attempt(model, h.feeds(), "w8a8")
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) > 1]
    # int8 weights, int32 biases, fp32 scales
    minimum = sum(int(np.prod(tensor.dims)) + 8 * tensor.dims[0] for tensor in weights)
    assert trial.path.stat().st_size <= 1.05 * minimum


def test_the_tolerance_notices_a_wrong_output(hub: Any, attempt: Any) -> None:
    h = hub(1)
    trial = attempt(h.model(h.gemm(h.input(3, 20), 7, 20)), h.feeds(), "w8a8")
    for name, values in trial.outputs.items():
        trial.outputs[name] = 2 * values
    assert trial.excess() > 1


def test_mixed_schemes_in_one_graph(hub: Any, quantize: Any, attempt: Any) -> None:
    """A node with int8 weights between integer ones keeps its float activations and its float bias."""
    h = hub(4)
    first = h.conv(h.input(1, 3, 20), 4, 3, (3,))
    model = h.model(h.conv(first, 4, 4, (3,)))
    feeds = h.feeds()
    graph = quantize(model, "w8a8", feeds)
    bias = next(node for node in graph.graph.node if node.name == "n1").input
    scale = {t.name: onnx.numpy_helper.to_array(t) for t in graph.graph.initializer}
    real = (scale[bias[2][:-2] + "_i"] * scale[bias[2][:-2] + "_s"]).astype(np.float32)
    plain = onnx.numpy_helper.from_array(real, "plain_bias")
    graph.graph.initializer.append(plain)
    bias[2] = "plain_bias"
    trial = attempt(graph, feeds)
    assert trial.excess() <= 1
    assert trial.delegation.whole


def test_inputs_and_outputs_keep_names_shapes_and_order(hub: Any, attempt: Any) -> None:
    from ai_edge_litert.interpreter import Interpreter

    h = hub(1)
    a, b = h.input(2, 3, 20), h.input(2, 20, 3)
    sum_ = h.op("Add", h.conv(a, 3, 3, (1,)), h.op("Transpose", b, perm=[0, 2, 1]))
    model = h.model(sum_, h.op("Relu", sum_))
    trial = attempt(model, h.feeds())
    assert trial.excess() <= 1
    interpreter = Interpreter(model_path=str(trial.path))
    assert [(d["name"], d["shape"].tolist()) for d in interpreter.get_input_details()] == [
        ("in0", [2, 3, 20]),
        ("in1", [2, 20, 3]),
    ]
    signature = interpreter.get_signature_list()["serving_default"]
    # LiteRT lists them by name.
    assert signature == {"inputs": ["in0", "in1"], "outputs": sorted(output.name for output in model.graph.output)}


def test_the_graph_names_the_file(hub: Any) -> None:
    h = hub(1)
    model = h.model(h.op("Relu", h.input(2, 3)))
    assert lower(Model(ir.from_proto(model))).name == "net.tflite"
    model.graph.name = "../evil name"
    artifact = lower(Model(ir.from_proto(model)))
    assert (artifact.target, artifact.name, list(artifact.files)) == ("tflite", "student.tflite", ["student.tflite"])


REFUSED: dict[str, tuple[Callable[[Any], str], str]] = {
    "MaxPool": (lambda h: h.pool("MaxPool", h.input(1, 3, 20), (3,), dilations=[2]), "dilations"),
    "Pad": (lambda h: h.pad(h.input(1, 3, 20), [0, 0, -1, 0, 0, 0]), "negative"),
    "Slice": (lambda h: h.slice(h.input(1, 2, 3, 4, 5, 6), 1, 0, 1), "rank 6"),
    "Pow": (lambda h: h.op("Pow", h.input(1, 2, 3, 4, 5), h.constant(0.3)), "rank 5"),
    "Less": (lambda h: h.op("Less", h.input(2), h.input(1, 2, 3, 4, 2)), "rank 5"),
    "Transpose": (
        lambda h: h.op("Transpose", h.input(2, 3, 2, 3, 2, 3, 2), perm=[6, 5, 4, 3, 2, 1, 0]),
        "7 dimensions at once",
    ),
    "Hardmax": (lambda h: h.op("Hardmax", h.input(1, 3), axis=1), "no such operator"),
}


@pytest.mark.parametrize("operator", REFUSED)
def test_what_it_cannot_honour_is_refused_by_name(hub: Any, operator: str) -> None:
    build, reason = REFUSED[operator]
    h = hub(1)
    model = Model(ir.from_proto(h.model(build(h))))
    for node in model.ir.graph:
        node.metadata_props["phiz.source"] = "trunk.3"
    with pytest.raises(UnsupportedNode, match=rf"{operator} at node '(n0' \(from trunk.3\)|v_n0').*TFLite.*{reason}"):
        lower(model)


def test_the_same_bytes_whatever_the_hash_seed(hub: Any, quantize: Any, tmp_path: Any) -> None:
    h = hub(5)
    model = h.model(network(h, 3), metadata={"phiz.b": "2", "phiz.a": "1"})
    path = tmp_path / "model.onnx"
    path.write_bytes(quantize(model, "w8a8", h.feeds()).SerializeToString())
    program = (
        "import hashlib, sys, onnx_ir as ir\n"
        "from compile.model import Model\n"
        "from targets.tflite.lower import lower\n"
        "files = lower(Model(ir.load(sys.argv[1]))).files\n"
        "print(hashlib.sha256(b''.join(files.values())).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(digests) == 1
