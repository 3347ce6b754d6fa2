"""Whole networks through the pipeline: same function, hub dialect, refusals that name the node."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from compile import capture
from compile.errors import UnsupportedNode
from compile.simplify.dialect import OPERATORS, check
from compile.simplify.pipeline import simplify

torch = pytest.importorskip("torch")
nn = torch.nn

# float32 networks of depth < 10 with outputs of size ~1: a different order of summation moves the last few bits
ATOL = 2e-5


class Student(nn.Module):
    """The shape of phiz's own students, with the layers that exporters spell in many ways."""

    def __init__(self):
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(1, 8, 10, 5, bias=False), nn.BatchNorm1d(8), nn.LeakyReLU(0.1))
        self.mid = nn.Conv1d(8, 8, 5)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 5))

    def forward(self, x):
        x = self.front(x.unsqueeze(1))
        x = self.drop(x[:, :, 2:-2] + torch.relu(self.norm(self.mid(x))))
        return self.head(x.transpose(1, 2)), torch.sigmoid(self.head(x.mean(-1)))


class Image(nn.Module):
    """2-D: grouped, depthwise, dilated, pooled, concatenated, flattened."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depth = nn.Conv2d(8, 8, 3, groups=8, padding="same")
        self.group = nn.Conv2d(8, 8, 3, groups=2, dilation=2, padding=2)
        self.norm = nn.BatchNorm2d(16)
        self.out = nn.Linear(16 * 16, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = self.norm(torch.cat([self.depth(x), self.group(x)], dim=1)) * 0.5
        x = nn.functional.avg_pool2d(nn.functional.max_pool2d(x, 3, 2, 1), 2, ceil_mode=True)
        return self.out(x.flatten(1))


def shake(module):
    """Batch norms with statistics that matter."""
    torch.manual_seed(1)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.bias, -1, 1)
    return module.eval()


NETWORKS = {"student": (Student, (1, 200)), "student batch 3": (Student, (3, 200)), "image": (Image, (1, 3, 31, 31))}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_keep_their_function_and_reach_the_dialect(name):
    factory, shape = NETWORKS[name]
    module, x = shake(factory()), torch.randn(shape)
    before = capture.from_module(module, (x,))
    untouched = before.to_bytes()
    result = simplify(before)
    assert before.to_bytes() == untouched
    check(result.model.ir)
    onnx.checker.check_model(onnx.load_from_string(result.model.to_bytes()), full_check=True)
    assert {node.op_type for node in result.model.ir.graph} <= set(OPERATORS)
    expected = module(x)
    expected = expected if isinstance(expected, tuple) else (expected,)
    session = onnxruntime.InferenceSession(result.model.to_bytes())
    for got, want in zip(session.run(None, {before.inputs[0].name: x.numpy()}), expected, strict=True):
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=0, atol=ATOL)


def test_batchnorms_behind_convolutions_are_gone():
    model = simplify(capture.from_module(shake(Image()), (torch.randn(1, 3, 31, 31),))).model
    operators = [node.op_type for node in model.ir.graph]
    assert "BatchNormalization" not in operators
    assert operators.count("Transpose") == 0


def test_equal_networks_give_equal_bytes():
    module, x = shake(Student()), torch.randn(1, 200)
    first, second = (simplify(capture.from_module(module, (x,))).model.to_bytes() for _ in range(2))
    assert first == second


def test_unsupported_operator_names_node_module_and_targets():
    class Running(nn.Module):
        def __init__(self):
            super().__init__()
            self.sums = Sums()

        def forward(self, x):
            return self.sums(x)

    class Sums(nn.Module):
        def forward(self, x):
            return x.cumsum(1)

    model = capture.from_module(Running(), (torch.randn(1, 4),))
    with pytest.raises(UnsupportedNode, match=r"CumSum at node '\w+' \(from sums\).*onnx, tflite, coreml, c\)"):
        simplify(model)


def test_product_of_two_activations(tmp_path):
    nodes = [helper.make_node("Transpose", ["x"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"], name="gram")]
    model = simplify(load(tmp_path, nodes, [2, 2])).model
    assert [node.op_type for node in model.ir.graph] == ["Transpose", "MatMul"]
    assert model.ir.opset_imports == {"": 20}


def test_two_names_for_one_value_are_kept(tmp_path):
    """Equal nodes are merged, yet both outputs remain; and an output that only copies an input is one."""
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Dropout", ["r"], ["z"]),
        helper.make_node("Identity", ["x"], ["same"]),
    ]
    model = simplify(load(tmp_path, nodes, [2, 3], more=("z", "same"))).model
    assert [node.op_type for node in model.ir.graph] == ["Relu", "Reshape", "Reshape"]
    x = np.array([[-1, 2, -3], [4, -5, 6]], np.float32)
    y, z, same = onnxruntime.InferenceSession(model.to_bytes()).run(None, {"x": x})
    assert y.tolist() == z.tolist() == np.maximum(x, 0).tolist()
    assert same.tolist() == x.tolist()


def test_folding_is_worth_it_when_the_old_weights_go(tmp_path):
    """A pass is judged by what remains: weights that nobody reads any more are no growth."""
    weight = np.random.default_rng(0).normal(size=(8, 3, 5)).astype(np.float32)
    constants = {"w": weight, **dict.fromkeys(("gain", "shift", "mean", "variance"), weight[:, 0, 0] ** 2)}
    nodes = [
        *(helper.make_node("Constant", [], [k], value=onnx.numpy_helper.from_array(v)) for k, v in constants.items()),
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "gain", "shift", "mean", "variance"], ["y"]),
    ]
    simplified = simplify(load(tmp_path, nodes, [1, 8, 16], shape=(1, 3, 20)))
    assert [node.op_type for node in simplified.model.ir.graph] == ["Conv"]
    assert simplified.refusals == ()


def test_an_expanded_parameter_does_not_keep_what_computes_its_shape(tmp_path):
    """As torch's old exporter writes ``gain.expand(1, 8, 32)``: the nodes of the shape go, whatever the result adds."""
    constants = {
        "gain": np.linspace(0.5, 2, 8, dtype=np.float32).reshape(1, 8, 1),
        "rank": np.array([3]),
        "minus": np.array(-1),
        "sizes": np.array([1, 8, 32]),
    }
    nodes = [
        *(helper.make_node("Constant", [], [k], value=onnx.numpy_helper.from_array(v)) for k, v in constants.items()),
        helper.make_node("ConstantOfShape", ["rank"], ["o"], value=onnx.helper.make_tensor("v", 7, [1], [1])),
        helper.make_node("Mul", ["o", "minus"], ["m"]),
        helper.make_node("Equal", ["sizes", "m"], ["q"]),
        helper.make_node("Where", ["q", "o", "sizes"], ["s"]),
        helper.make_node("Expand", ["gain", "s"], ["e"]),
        helper.make_node("Mul", ["e", "x"], ["y"]),
    ]
    model = simplify(load(tmp_path, nodes, [1, 8, 32], shape=(1, 8, 32))).model
    assert [node.op_type for node in model.ir.graph] == ["Mul"]


def test_a_window_without_input_is_refused(tmp_path):
    nodes = [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[1], strides=[2], ceil_mode=1, auto_pad="VALID")]
    with pytest.raises(UnsupportedNode, match="a window without any input"):
        simplify(load(tmp_path, nodes, [1, 2, 11], shape=(1, 2, 20)))


def test_already_quantised_model_is_refused(tmp_path):
    nodes = [
        helper.make_node("Constant", [], ["s"], value_float=0.1),
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    with pytest.raises(UnsupportedNode, match="already quantised"):
        simplify(load(tmp_path, nodes, [2, 3]))


def load(folder, nodes, output, more=(), shape=(2, 3)):
    ports = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", shape), ("y", output), *((name, shape) for name in more))
    ]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "g.onnx")
    return capture.from_onnx(folder / "g.onnx")


# Every kind of rewrite that goes through sets or dictionaries: norms, splits, Gelu, einsum, masks, resizing.
MANY = """<ir_version: 8, opset_import: ["" : 17]> g (float[2,6,8] x, float[2,6,8] z)
=> (float[2,6,8] y, float[2,3,16] u)
<float half = {0.5}, float root = {0.70710678}, float one = {1.0}, int64[3] sizes = {2, 3, 16},
 float[8] gain = {1,2,3,4,5,6,7,8}, float[8,8] w = {WEIGHT}>
{
    n = LayerNormalization (x, gain)
    a = MatMul (n, w) b = MatMul (z, w)
    c = Mul (a, root) d = Erf (c) e = Add (d, one) f = Mul (a, e) h = Mul (f, half)
    p, q = Split <axis = 1> (h) s = Sigmoid (p) t = Mul (s, q)
    m = Einsum <equation = "bij,bkj->bik"> (a, b) o = Einsum <equation = "bik,bkj->bij"> (m, b)
    y = Sum (h, o, x)
    u = Resize <mode = "nearest"> (t, , , sizes)
}"""


def many(folder):
    weight = np.random.default_rng(0).normal(size=64).round(3)
    text = MANY.replace("WEIGHT", ", ".join(map(str, weight)))
    onnx.save(onnx.parser.parse_model(text), folder / "many.onnx")
    return folder / "many.onnx"


def test_shared_weights_stay_one_and_every_port_keeps_its_name(tmp_path):
    path = many(tmp_path)
    model = simplify(capture.from_onnx(path)).model
    assert [port.name for port in model.inputs] == ["x", "z"]
    assert [(port.name, port.shape) for port in model.outputs] == [("y", (2, 6, 8)), ("u", (2, 3, 16))]
    matrices = [value for value in model.ir.graph.initializers.values() if value.const_value.size == 64]
    assert len(matrices) == 1
    assert len(matrices[0].uses()) == 2
    assert "Gelu" in [node.op_type for node in model.ir.graph]
    feed = {name: np.random.default_rng(1).normal(size=(2, 6, 8)).astype(np.float32) for name in ("x", "z")}
    sessions = [onnxruntime.InferenceSession(data) for data in (path.read_bytes(), model.to_bytes())]
    for want, got in zip(*(session.run(None, feed) for session in sessions), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=ATOL * np.abs(want).max())


def test_bytes_do_not_depend_on_the_order_of_sets(tmp_path):
    script = (
        "import sys, hashlib; from pathlib import Path; from compile import capture;"
        "from compile.simplify.pipeline import simplify;"
        "print(hashlib.sha256(simplify(capture.from_onnx(Path(sys.argv[1]))).model.to_bytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, many(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "77")
    }
    assert len(digests) == 1
