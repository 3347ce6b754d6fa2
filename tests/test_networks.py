"""Random networks in the spellings that ONNX allows, from capture to every target.

The reference is onnxruntime on the network as it was drawn, without rewrites. Each seed draws one network of up to ten
operators on inputs of one to four axes: odd paddings and ceilings, shared, dead and huge weights, constants on either
side, outputs that are also read inside, several names for one value. Those with integers are compared in every scheme;
networks of the whole table, and of what is brought to it, in float.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from compile import capture
from compile.model import Model
from compile.quantize.apply import apply
from compile.quantize.calibrate import Ranges, observe
from compile.quantize.correct import correct_biases
from compile.quantize.decide import decide
from compile.quantize.recipe import PROFILES
from compile.quantize.scheme import QuantPlan
from compile.simplify.pipeline import simplify
from targets.c.run import COMPILERS
from targets.catalogue import TARGETS, USUAL

pytest.importorskip("ai_edge_litert")
pytest.importorskip("coremltools")

SEEDS, WIDE_SEEDS = range(40), range(60)
SHAPES = [(1, 64), (1, 1, 64), (1, 3, 40), (2, 4, 16), (1, 4, 9, 8), (2, 3, 8, 8), (4, 10), (1, 8, 20)]
CALIBRATION = 48
# float32: sums in another order and weights rounded once more by folding; relative to the output's size.
FLOAT = 1e-4
# Kernels may round a tie inside the network either way, and a gain behind it widens that: of 300 networks drawn here
# none had an output more than 3 steps from the quantised graph. On average they are closer.
MOST_STEPS, MEAN_STEPS = 3.0, 1.0
Array = NDArray[np.float32]


class Drawn:
    """A network in the making; ``shapes`` are those of its activations, by name, in order."""

    def __init__(self, seed: int, wide: bool = False) -> None:
        self.choose, self.random = Random(seed), np.random.default_rng(seed)
        self.opset = self.choose.randint(13, 22)
        shape = self.choose.choice(SHAPES)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.weights: dict[tuple[int, ...], str] = {}
        self.inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)]
        self.shapes: dict[str, tuple[int, ...]] = {"x": shape}
        self.wide = wide
        while len(self.shapes) < 11:
            source = self.choose.choice(list(self.shapes)[-3:])
            rank = len(self.shapes[source])
            spatial = [conv, conv, conv, pool, batchnorm, mean] * (rank in (3, 4))
            usual = [*spatial, *[conv_transpose] * (rank in (3, 4)), *[gemm, matmul] * (rank == 2), *ANYWHERE]
            wider = [*WIDE, *[conv_transpose, resize, channel_norm] * (rank in (3, 4))]
            step = self.choose.choice(wider if wide and self.maybe(0.7) else usual)
            step(self, source, self.shapes[source])

    def constant(self, data: object, dtype: type[np.generic] = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(data, dtype), name))
        return name

    def noise(self, *shape: int) -> Array:
        return self.random.normal(size=shape).astype(np.float32)

    def weight(self, *shape: int) -> str:
        """Sometimes one that another node has; with a dead or a loud channel now and then."""
        if shape in self.weights and self.maybe(0.5):
            return self.weights[shape]
        data = self.noise(*shape) * np.prod(shape[1:]) ** -0.5
        if self.maybe(0.2):
            data[self.choose.randrange(shape[0])] *= self.choose.choice([0, 30])
        self.weights[shape] = self.constant(data)
        return self.weights[shape]

    def maybe(self, share: float) -> bool:
        return self.choose.random() < share

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        """The output of one more node; empty, as is one of its inputs, where it would be empty, large or malformed."""
        name = f"v{len(self.nodes)}"
        node = helper.make_node(operator, inputs, [name], name=f"node{len(self.nodes)}", **attributes)
        try:
            inferred = onnx.shape_inference.infer_shapes(
                self.proto([*self.nodes, node], [name]), check_type=True, strict_mode=True, data_prop=True
            )
        except onnx.shape_inference.InferenceError:
            return ""
        tensor = inferred.graph.output[0].type.tensor_type
        shape = tuple(axis.dim_value for axis in tensor.shape.dim)
        if not shape or not 0 < np.prod(shape) < 4000:
            return ""
        self.nodes.append(node)
        if tensor.elem_type == onnx.TensorProto.FLOAT:
            self.shapes[name] = shape
        return name

    def proto(self, nodes: list[onnx.NodeProto], outputs: list[str]) -> onnx.ModelProto:
        known = self.shapes
        infos = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, known[name])
            if name in known
            else helper.make_empty_tensor_value_info(name)
            for name in outputs
        ]
        graph = helper.make_graph(nodes, "drawn", self.inputs, infos, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def model(self) -> onnx.ModelProto:
        """Its outputs are the last value and up to two others, which may be read inside as well."""
        values = [name for name in self.shapes if name != "x"]
        outputs = list(dict.fromkeys([values[-1], *self.choose.sample(values, self.choose.randint(0, 2))]))
        if self.wide:  # a sum over one element is its input, and an output that nothing computes is refused
            outputs = [self.add("Mul", name, self.constant(0.5)) for name in outputs]
        return self.proto(self.nodes, outputs)


def conv(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    channels, axes = shape[1], len(shape) - 2
    group = net.choose.choice([1, 1, channels, max(n for n in range(1, channels + 1) if channels % n == 0 and n < 3)])
    filters = group * net.choose.choice([1, 2, 3])
    kernel, strides, pads = (
        [net.choose.choice(of) for _ in range(axes)] for of in ((1, 2, 3, 5), (1, 1, 2, 3), (0, 1))
    )
    padding = net.choose.choice(["", "", "SAME_UPPER", "SAME_LOWER", "VALID"])
    attributes: dict[str, object] = {"group": group, "strides": strides}
    if padding.startswith("SAME"):  # onnxruntime has no such convolutions with dilation
        attributes["auto_pad"] = padding
    else:
        dilations = [net.choose.choice([1, 1, 2]) for _ in range(axes)]
        attributes |= {"dilations": dilations, **({"auto_pad": padding} if padding else {"pads": [*pads, *pads[::-1]]})}
        reach = [(size - 1) * dilation for size, dilation in zip(kernel, dilations, strict=True)]
        if any(far >= size for far, size in zip(reach, shape[2:], strict=True)):
            return
    bias = [net.constant(net.noise(filters))] if net.maybe(0.6) else []
    net.add("Conv", x, net.weight(filters, channels // group, *kernel), *bias, **attributes)


def pool(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    axes = len(shape) - 2
    kernel = [net.choose.choice([2, 3]) for _ in range(axes)]
    strides = [net.choose.randint(1, size) for size in kernel]
    pads = [net.choose.choice([0, 1]) for _ in range(2 * axes)]
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if net.maybe(0.5):
        net.add("MaxPool", x, **attributes, ceil_mode=int(fits(shape, kernel, strides, pads)))
    else:
        ceiling, counted = int(fits(shape, kernel, strides, pads)), net.choose.choice([0, 1])
        net.add("AveragePool", x, **attributes, ceil_mode=ceiling, count_include_pad=counted)


def fits(shape: tuple[int, ...], kernel: list[int], strides: list[int], pads: list[int]) -> bool:
    """Whether with ceil_mode every window still holds input; the others have no meaning, and phiz refuses them."""
    axes = len(kernel)
    ends = zip(shape[2:], kernel, strides, pads[:axes], pads[axes:], strict=True)
    return all(-(-(n + a + b - k) // s) * s < n + a for n, k, s, a, b in ends)


def batchnorm(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    mean, shift = net.noise(2, shape[1])
    gain, variance = net.random.uniform(0.5, 2, (2, shape[1]))
    net.add("BatchNormalization", x, *(net.constant(array) for array in (gain, shift, mean, variance)))


def mean(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    axes = [net.choose.choice([axis, axis - len(shape)]) for axis in range(2, len(shape))]
    keep = {"keepdims": net.choose.choice([0, 1])}
    if net.maybe(0.3):
        net.add("GlobalAveragePool", x)
    elif net.opset >= 18:
        net.add("ReduceMean", x, net.constant(axes, np.int64), **keep)
    else:
        net.add("ReduceMean", x, axes=axes, **keep)


def gemm(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    turned, units = net.maybe(0.3), net.choose.choice([1, 3, 8])
    given = {"transA": 1} if net.maybe(0.2) else {}
    rows, size = reversed(shape) if given else shape
    factors = {"alpha": 0.5, "beta": 2.0} if net.maybe(0.3) else {}
    weight = net.weight(units, size) if turned else net.weight(size, units)
    bias = [net.constant(net.noise(*net.choose.choice([(units,), (1, units), (1,), (), (rows, 1)])))]
    net.add("Gemm", x, weight, *bias[: net.choose.choice([0, 1])], transB=int(turned), **given, **factors)


def matmul(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    units = net.choose.choice([1, 3, 8])
    if len(shape) > 1 and net.maybe(0.2):
        net.add("MatMul", net.weight(units, shape[-2]), x)
    else:
        net.add("MatMul", x, net.weight(shape[-1], units))


def function(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    net.add(net.choose.choice(["Relu", "LeakyRelu", "Sigmoid", "Tanh"]), x)


def by_constant(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    some = [size if net.maybe(0.5) else 1 for size in shape[net.choose.randint(0, len(shape)) :]]
    operands = [x, net.constant(net.noise(*some))]
    net.choose.shuffle(operands)
    net.add(net.choose.choice(["Add", "Mul"]), *operands)


def join(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    """With another value, or with itself."""
    alike = [name for name, other in net.shapes.items() if other == shape]
    others = [net.choose.choice(alike) for _ in range(net.choose.choice([1, 1, 2]))]
    if len(others) == 1 and net.maybe(0.6):
        net.add(net.choose.choice(["Add", "Mul"]), x, *others)
    else:
        net.add("Concat", x, *others, axis=net.choose.randint(-len(shape), len(shape) - 1))


def slice_(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    axis = net.choose.randrange(len(shape))
    start = net.choose.randrange(shape[axis])
    end = net.choose.choice([net.choose.randint(start + 1, shape[axis]), 2**63 - 1])
    numbers = [
        [start - shape[axis] * net.choose.choice([0, 1])],
        [end],
        [axis - len(shape)],
        [net.choose.choice([1, 2])],
    ]
    net.add("Slice", x, *(net.constant(number, np.int64) for number in numbers))


def pad(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    value = net.constant(net.choose.choice([0.0, 0.0, 0.7]))
    if net.opset >= 18 and net.maybe(0.5):
        net.add("Pad", x, net.constant([1, 2], np.int64), value, net.constant([-1], np.int64))
    else:
        net.add("Pad", x, net.constant([net.choose.choice([0, 0, 1]) for _ in range(2 * len(shape))], np.int64), value)


def axes(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    kind = net.choose.choice(
        ["Transpose", "Flatten", "Reshape", *["Squeeze"] * bool(ones), *["Unsqueeze"] * (len(shape) < 4)]
    )
    if kind == "Transpose":
        net.add(kind, x, perm=net.choose.sample(range(len(shape)), len(shape)))
    elif kind == "Flatten":
        net.add(kind, x, axis=net.choose.randint(-len(shape), len(shape)))
    elif kind == "Reshape":
        net.add(kind, x, net.constant(net.choose.choice([[0, -1], [1, -1, 4], [-1, 2]]), np.int64))
    else:
        axis = net.choose.choice(ones) if kind == "Squeeze" else net.choose.randint(-len(shape) - 1, len(shape))
        net.add(kind, x, net.constant([axis], np.int64))


def copy(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    net.add(net.choose.choice(["Identity", "Dropout"]), x)


def select(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    axis = net.choose.randrange(len(shape))
    kind = net.choose.choice(["Gather", "Gather", "Expand", "Tile"])
    if kind == "Gather":
        indices = [net.choose.randrange(-shape[axis], shape[axis]) for _ in range(net.choose.randint(1, 6))]
        net.add(kind, x, net.constant(indices if net.maybe(0.8) else indices[0], np.int64), axis=axis)
    elif kind == "Expand":
        net.add(kind, x, net.constant([net.choose.randint(1, 3), *[1] * len(shape)], np.int64))
    else:
        net.add(kind, x, net.constant([2 if at == axis else 1 for at in range(len(shape))], np.int64))


def conv_transpose(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    axes = len(shape) - 2
    group = net.choose.choice([1, 1, 1, shape[1]])
    kernel, strides, pads, dilations = (
        [net.choose.choice(of) for _ in range(axes)] for of in ((1, 2, 3, 4), (1, 2, 3), (0, 0, 1), (1, 1, 2))
    )
    extra = [net.choose.randrange(stride) for stride in strides]
    bias = [net.constant(net.noise(2 * group))] if net.maybe(0.5) else []
    given = {"group": group, "strides": strides, "dilations": dilations, "output_padding": extra}
    net.add("ConvTranspose", x, net.weight(shape[1], 2, *kernel), *bias, pads=[*pads, *pads[::-1]], **given)


ANYWHERE: list[Callable[[Drawn, str, tuple[int, ...]], None]] = [
    *(function, function, by_constant, join, slice_, select, pad, axes, copy, matmul),
]


def tame(net: Drawn, x: str, low: float) -> str:
    """Within ``[low, low + 2]``, where functions with poles and powers are well-conditioned."""
    return net.add("Add", net.add("Tanh", x), net.constant(low + 1))


def smooth(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    """Activations, some of which the hub has and some are formulas there."""
    since = {"HardSwish": 14, "Mish": 18, "Gelu": 20}
    names = ["Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Mish", "Gelu", "Abs", "Neg"]
    kind = net.choose.choice([name for name in names if net.opset >= since.get(name, 0)])
    given = {"approximate": net.choose.choice(["none", "tanh"])} if kind == "Gelu" else {}
    net.add(kind, x, **given)


def analytic(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    kind = net.choose.choice(["Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Pow", "Div"])
    if kind == "Pow":
        net.add(kind, tame(net, x, 0.1), net.constant(net.choose.choice([-1.5, 0.5, 1.7, 2.0, 3.0])))
    elif kind == "Div":
        net.add(kind, net.constant(net.noise(shape[-1])), tame(net, x, 0.2))
    else:
        net.add(kind, x if kind in ("Sin", "Cos") else tame(net, x, 0.1))


def steps(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    """Functions with steps, of what is exact: the input."""
    net.add(net.choose.choice(["Floor", "Ceil", "Round", "Sign"]), "x")


def bounds(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    low, high = net.choose.choice([(0.0, 6.0), (-1.0, 1.0), (0.0, 1.0), (-0.5, 2.0)])
    inputs = [net.constant(low), net.constant(high)]
    if net.maybe(0.3):
        inputs[net.choose.choice([0, 1])] = ""
    net.add("Clip", x, *inputs)


def slopes(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    by_channel = (shape[1], *[1] * (len(shape) - 2)) if len(shape) > 1 else (1,)
    net.add("PRelu", x, net.constant(net.noise(*net.choose.choice([by_channel, (1,)]))))


def either(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    """Differences and extremes with another value or a constant."""
    alike = [name for name, other in net.shapes.items() if other == shape]
    operands = [x, net.choose.choice([*alike, net.constant(net.noise(shape[-1]))])]
    net.choose.shuffle(operands)
    net.add(net.choose.choice(["Sub", "Max", "Min"]), *operands)


def choice(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    """A branch for each element, by a comparison of what is exact."""
    comparison = net.choose.choice(["Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
    condition = net.add(comparison, "x", net.constant(0.3))
    if net.maybe(0.3):
        condition = net.add(net.choose.choice(["And", "Or"]), condition, net.add("Greater", net.constant(0.9), "x"))
    if net.maybe(0.3):
        condition = net.add("Not", condition)
    if net.maybe(0.3):
        net.add("Cast", condition, to=onnx.TensorProto.FLOAT)
    elif shape == net.shapes["x"]:
        net.add("Where", condition, *net.choose.sample([x, net.constant(net.noise(shape[-1]))], 2))


def reduction(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    kind = net.choose.choice(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceSumSquare"])
    axes = net.choose.sample(range(-len(shape), 0), net.choose.randint(1, len(shape)))
    keep = {"keepdims": net.choose.choice([0, 1])}
    if net.opset >= 18 or kind == "ReduceSum":
        net.add(kind, x, net.constant(axes, np.int64), **keep)
    else:
        net.add(kind, x, axes=axes, **keep)


def normal(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    axis = net.choose.randint(-len(shape), -1)
    if shape[axis] == 1:  # what is normalised over one element is constant
        return
    if net.opset >= 17 and net.maybe(0.5):
        gain, shift = (net.constant(net.noise(*shape[axis:])) for _ in range(2))
        net.add("LayerNormalization", x, gain, shift, axis=axis, epsilon=0.01)
    else:
        net.add(net.choose.choice(["Softmax", "Softmax", "LogSoftmax"]), x, axis=axis)


def channel_norm(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    if shape[-1] == 1:
        return
    gain, shift = (net.constant(net.noise(shape[1])) for _ in range(2))
    groups = net.choose.choice([n for n in range(1, shape[1] + 1) if shape[1] % n == 0])
    if net.opset >= 21 and net.maybe(0.5):
        net.add("GroupNormalization", x, gain, shift, num_groups=groups, epsilon=0.01)
    else:
        net.add("InstanceNormalization", x, gain, shift, epsilon=0.01)


def attend(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    """A product of a value with its own transposition."""
    if len(shape) > 1:
        turned = net.add("Transpose", x, perm=[*range(len(shape) - 2), len(shape) - 1, len(shape) - 2])
        net.add("MatMul", *net.choose.sample([x, turned], 2))


def resize(net: Drawn, x: str, shape: tuple[int, ...]) -> None:
    mode = net.choose.choice(["linear", "linear", "nearest"])
    if mode == "linear":
        spelling = {"coordinate_transformation_mode": net.choose.choice(["half_pixel", "align_corners"])}
    else:
        spelling = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if net.maybe(0.5):
        sizes = [*shape[:2], *(net.choose.randint(1, 12) for _ in shape[2:])]
        net.add("Resize", x, "", "", net.constant(sizes, np.int64), mode=mode, **spelling)
    else:
        net.add("Resize", x, "", net.constant([1, 1, *[2.0] * (len(shape) - 2)]), mode=mode, **spelling)


WIDE = [
    *(smooth, smooth, analytic, analytic, steps, bounds, slopes, either, either, choice, reduction, reduction),
    *(normal, normal, attend, select, select),
]


class Network:
    """A drawn network, its reference, and what simplify and calibration made of it."""

    def __init__(self, seed: int, folder: Path, wide: bool = False) -> None:
        self.folder = folder
        proto = Drawn(seed, wide).model()
        onnx.save(proto, folder / "drawn.onnx")
        self.model = simplify(capture.from_onnx(folder / "drawn.onnx")).model
        random = np.random.default_rng(seed)
        port = self.model.inputs[0]
        self.samples = {"x": random.normal(size=(CALIBRATION * port.shape[0], *port.shape[1:])).astype(np.float32)}
        self.feeds = [{"x": random.normal(size=port.shape).astype(np.float32)} for _ in range(4)]
        self.ranges: Ranges | None = None if wide else observe(self.model, self.samples)
        self.expected = run_as_written(proto, self.feeds)
        compiler = any(shutil.which(name) for name in COMPILERS)
        self.targets = TARGETS if compiler and seed % 10 == 0 else USUAL  # a source costs a call of the compiler

    def quantise(self, profile: str) -> tuple[QuantPlan, Model]:
        plan = decide(self.model, self.ranges, PROFILES[profile].recipe)
        plan = correct_biases(self.model, plan, self.samples)
        return plan, apply(self.model, plan)

    def check_floats(self) -> None:
        found = self.run(self.model)
        for name in self.expected[0]:
            size = max(float(np.abs(want[name]).max()) for want in self.expected) or 1.0
            for target, outputs in found.items():
                for got, want in zip(outputs, self.expected, strict=True):
                    np.testing.assert_allclose(got[name], want[name], rtol=0, atol=FLOAT * size, err_msg=target)

    def run(self, hub: Model) -> dict[str, list[dict[str, Array]]]:
        """Outputs of every target, from the files it wrote."""
        outputs = {}
        for target in self.targets:
            artifact = target.lower(hub)
            for name, data in artifact.files.items():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).write_bytes(data)
            runner = target.load(self.folder / artifact.name)
            outputs[target.name] = [runner.run(feed) for feed in self.feeds]
        return outputs


def run_as_written(proto: onnx.ModelProto, feeds: list[dict[str, Array]]) -> list[dict[str, Array]]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    names = [value.name for value in session.get_outputs()]
    return [dict(zip(names, session.run(names, feed), strict=True)) for feed in feeds]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_target_computes_what_was_drawn(seed: int, tmp_path: Path) -> None:
    network = Network(seed, tmp_path)
    quantised = {profile: network.quantise(profile) for profile in ("w8", "w8a8")}
    network.check_floats()
    for plan, hub in quantised.values():
        meaning = run_as_written(onnx.load_from_string(hub.to_bytes()), network.feeds)
        for target, outputs in network.run(hub).items():
            for got, want in zip(outputs, meaning, strict=True):
                for name, array in want.items():
                    extent = max(network.ranges.high[name], 0.0) - min(network.ranges.low[name], 0.0)
                    step = plan.activations[name].scale if name in plan.activations else extent / 255
                    apart = np.abs(got[name] - array) - FLOAT * np.abs(array).max()
                    assert apart.max() <= MOST_STEPS * step, target
                    assert apart.mean() <= MEAN_STEPS * step, target


@pytest.mark.parametrize("seed", WIDE_SEEDS)
def test_every_target_computes_what_was_drawn_of_the_whole_table(seed: int, tmp_path: Path) -> None:
    Network(seed, tmp_path, wide=True).check_floats()
