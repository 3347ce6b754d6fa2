"""Every hub operator, lowered and read back, against onnxruntime on the same graph."""

from __future__ import annotations

import numpy as np
import pytest

from targets.coreml import run

UNARY = ("Relu", "Sigmoid", "Tanh", "Elu", "Exp", "Log", "Sqrt", "Abs", "Sin", "Cos", "Floor", "Ceil", "Round", "Sign")
SHAPES = ((7,), (2, 9), (2, 3, 8), (2, 3, 4, 5), (2, 3, 2, 2, 3))


def unary(operator, shape, **attributes):
    return lambda net: net.op(operator, net.input(*shape), **attributes)


def compare(operator):
    """Read once as numbers and once as a choice."""

    def build(net):
        x, y = net.input(2, 3, 8), net.input(3, 1)
        chosen = net.op("Where", net.op(operator, x, y), net.constant(np.float32([[2], [3], [4]])), x)
        return net.op("Add", chosen, net.op("Cast", net.op(operator, x, net.constant(0.5)), to=1))

    return build


def logic(net):
    x, y = net.input(2, 6), net.input(2, 6)
    both = net.op("And", net.op("Less", x, y), net.op("Greater", x, net.constant(-1.0)))
    either = net.op("Or", net.op("Not", both), net.op("Equal", x, y))
    return net.op("Cast", either, to=1)


def between(kind, *shapes):
    return lambda net: net.op(kind, *(net.input(*shape) for shape in shapes))


def with_constant(kind, left):
    def build(net):
        x, c = net.input(2, 3, 8), net.noise(3, 1)
        return net.op(kind, *((c, x) if left else (x, c)))

    return build


def clip(low, high):
    return lambda net: net.op("Clip", net.input(2, 3, 8), net.constant(low), net.constant(high))


def prelu(shape, slope):
    return lambda net: net.op("PRelu", net.input(*shape), net.noise(*slope))


def turned(shape, o, kernel, **given):
    return lambda net: net.conv_transpose(net.input(*shape), o, shape[1], kernel, **given)


def resized(shape, target, mode):
    return lambda net: net.resize(net.input(*shape), *target, mode=mode)


def norm(net):
    """LayerNormalization in its own arithmetic, around numbers whose squares float16 cannot hold."""
    x = net.op("Mul", net.input(2, 5, 16), net.constant(3000.0))
    centred = net.op("Sub", x, net.reduce("Mean", x, 2))
    variance = net.reduce("Mean", net.op("Mul", centred, centred), 2)
    deviation = net.op("Sqrt", net.op("Add", variance, net.constant(1e-12)))
    return net.op("Mul", net.op("Div", centred, deviation), net.noise(16))


def attention(net):
    x = net.input(2, 6, 8)
    scores = net.op("MatMul", x, net.op("Transpose", x, perm=[0, 2, 1]))
    return net.op("MatMul", net.op("Softmax", net.op("Mul", scores, net.constant(0.35)), axis=2), x)


CASES = {
    **{f"{name}_{len(shape)}d": unary(name, shape) for name in UNARY for shape in SHAPES},
    **{f"gelu_{mode}": unary("Gelu", (2, 3, 8), approximate=mode) for mode in ("none", "tanh")},
    **{f"softmax_{axis}": unary("Softmax", (2, 3, 8), axis=axis) for axis in range(3)},
    "leaky_relu": unary("LeakyRelu", (2, 3, 8), alpha=0.3),
    "elu_alpha": unary("Elu", (2, 3, 8), alpha=0.7),
    **{kind: between(kind, (2, 3, 8), (3, 1)) for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min")},
    **{f"{kind}_grown": between(kind, (8,), (2, 1, 3, 1)) for kind in ("Sub", "Div", "Max", "Min")},
    **{f"{kind}_constant": with_constant(kind, left=False) for kind in ("Max", "Min", "Mul")},
    **{f"constant_{kind}": with_constant(kind, left=True) for kind in ("Sub", "Div", "Max", "Min")},
    **{f"pow_{exponent}": (lambda e: lambda net: net.op("Pow", net.input(2, 9), net.constant(e)))(exponent)
       for exponent in (2.0, 3.0, -1.0, 1.7)},
    "clip": clip(-0.5, 0.75),
    "relu6": clip(0.0, 6.0),
    "prelu_2d": prelu((2, 5), (5,)),
    "prelu_3d": prelu((2, 3, 8), (3, 1)),
    "prelu_4d": prelu((2, 3, 4, 5), (3, 1, 1)),
    "prelu_5d": prelu((2, 3, 2, 2, 3), (3, 1, 1, 1)),
    "prelu_one": prelu((2, 3, 8), (1,)),
    **{f"reduce_{kind.lower()}_{''.join(map(str, axes))}":
       (lambda k, a: lambda net: net.reduce(k, net.input(2, 3, 4, 5), *a))(kind, axes)
       for kind in ("Mean", "Sum", "Max", "Min") for axes in ((0,), (1, 3), (0, 1, 2, 3))},
    "matmul": between("MatMul", (5, 7), (7, 3)),
    "matmul_batches": between("MatMul", (2, 1, 5, 7), (1, 3, 7, 4)),
    "matmul_5d": between("MatMul", (2, 1, 1, 5, 7), (1, 3, 2, 7, 4)),
    "turned": turned((2, 4, 9), 6, (5,), strides=[3]),
    "turned_cropped": turned((2, 4, 9), 6, (5,), strides=[3], pads=[2, 1]),
    "turned_more": turned((2, 4, 9), 6, (5,), strides=[3], pads=[2, 1], output_padding=[1]),
    "turned_most": turned((2, 4, 9), 6, (5,), strides=[3], output_padding=[2]),
    "turned_far": turned((1, 4, 9), 6, (2,), strides=[2], dilations=[4], pads=[0, 1], output_padding=[1]),
    "turned_groups": turned((2, 6, 9), 4, (4,), strides=[2], pads=[1, 1], group=2, bias=False),
    "turned_depthwise": turned((2, 6, 9), 6, (4,), strides=[2], dilations=[2], group=6),
    "turned_2d": turned((2, 4, 5, 6), 3, (3, 2), strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 2]),
    "turned_2d_dilated": turned((1, 4, 5, 6), 4, (3, 3), dilations=[2, 1], pads=[2, 1, 1, 0], group=2),
    "gather": lambda net: net.gather(net.input(2, 5, 4), 1, 4, 0, 0, 2),
    "gather_one": lambda net: net.gather(net.input(7), 0, 3),
    "gather_many": lambda net: net.gather(net.input(2, 5, 4), 2, *([3, 1] * 20)),
    "expand": lambda net: net.expand(net.input(2, 1, 4, 1), 2, 3, 4, 5),
    **{f"resize_{mode}_{len(after)}d_{after[-1]}": resized(before, after, mode)
       for mode in ("half_pixel", "align_corners")
       for before, after in (((2, 3, 8), (2, 3, 19)), ((2, 3, 8), (2, 3, 5)), ((2, 3, 8), (2, 3, 1)),
                             ((2, 3, 1), (2, 3, 4)), ((1, 2, 4, 6), (1, 2, 9, 4)), ((1, 2, 4, 6), (1, 2, 1, 13)))},
    **{kind: compare(kind) for kind in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")},
    "logic": logic,
    "norm": norm,
    "attention": attention,
}  # fmt: skip


def feeds_of(net):
    """Quarters: exact in float16, with ties to round, zeros of both signs, and numbers that are equal."""
    return {name: np.rint(values * 4) / np.float32(4) for name, values in net.feeds().items()}


def check(found, expected, tolerance):
    for name, values in expected.items():
        assert found[name].shape == values.shape
        assert found[name].dtype == values.dtype == np.float32
        finite = np.isfinite(values)
        np.testing.assert_array_equal(found[name][~finite], values[~finite])
        largest = np.abs(values[finite]).max(initial=0.0)
        np.testing.assert_allclose(found[name][finite], values[finite], rtol=0, atol=tolerance * largest)
        assert values.size == 1 or np.ptp(values[finite]) > 8 * tolerance * largest  # else nobody could tell


@pytest.mark.parametrize("case", CASES)
def test_in_float32_it_is_onnxruntimes(case, hub, reference, lowered, saved):
    """Sums of at most 64 products in another order: 64 epsilon of the largest magnitude met, at most 8 times theirs."""
    net = hub(5)
    model, feeds = net.model(CASES[case](net)), feeds_of(net)
    found = run.load(saved(lowered(model).files)).run(feeds)
    check(found, reference(model, feeds), 64 * np.finfo(np.float32).eps * 8)


def narrow(net):
    """Puts a product with float16 weights of 1 behind every input: what follows is float16, with the same numbers."""
    plain = net.input

    def narrowed(*shape):
        x, channels = plain(*shape), shape[1]
        if len(shape) == 2:
            weight = net.op("Cast", net.constant(np.eye(channels), np.float16), to=1)
            return net.op("Gemm", x, weight, transB=1, transA=0, alpha=1.0, beta=1.0)
        ones = [1] * (len(shape) - 2)
        weight = net.op("Cast", net.constant(np.ones((channels, 1, *ones)), np.float16), to=1)
        given = {"kernel_shape": ones, "strides": ones, "dilations": ones, "pads": [0] * 2 * len(ones)}
        return net.op("Conv", x, weight, group=channels, **given)

    net.input = narrowed


HALF = [name for name in CASES if not name.endswith(("1d", "5d", "grown", "one"))]


@pytest.mark.parametrize("form", ["", "ios18"])
@pytest.mark.parametrize("case", HALF)
def test_in_float16_it_is_onnxruntimes(case, form, hub, reference, lowered, saved):
    """Inputs are exact; weights and each of at most five results are rounded by 2^-11 of themselves."""
    net = hub(5)
    narrow(net)
    model, feeds = net.model(CASES[case](net)), feeds_of(net)
    artifact = lowered(model, form)
    found = run.load(saved(artifact.files)).run(feeds)
    check(found, reference(model, feeds), 2.0**-8)
