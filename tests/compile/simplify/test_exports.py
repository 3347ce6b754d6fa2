"""The networks people have, as torch's two exporters write them, through the pipeline to the hub dialect.

The reference is torch itself. Both compute in float32, in another order of summation; outputs are of size ~1 and the
networks at most 20 layers deep: 5e-5 absolute. What matters more than the last bits: means, roots, masks.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from compile import capture
from compile.errors import UnsupportedNode
from compile.model import Model, source_of
from compile.simplify.dialect import OPERATORS
from compile.simplify.pipeline import simplify

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

ATOL = 5e-5


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class Mobile(nn.Module):
    """MobileNet-V3's block: expand, depthwise, squeeze and excite, project, with hard swish and a skip."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.expand = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.depth = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16), nn.SiLU())
        self.excite, self.project = SqueezeExcite(16), nn.Conv2d(16, 8, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10), nn.LogSoftmax(-1))

    def forward(self, x):
        x = self.stem(x)
        return self.head(x + self.project(self.excite(self.depth(self.expand(x)))))


class Temporal(nn.Module):
    """Gated temporal convolutions: GLU, group norm, channel-wise PReLU, reflected edges, a positional table."""

    def __init__(self):
        super().__init__()
        self.front = nn.Conv1d(1, 16, 10, 5)
        self.gates = nn.ModuleList(nn.Conv1d(8, 16, 3, dilation=d) for d in (1, 2))
        self.norms = nn.ModuleList(nn.GroupNorm(2, 8) for _ in range(2))
        self.act = nn.PReLU(8)
        self.table = nn.Parameter(torch.randn(1, 8, 39))
        self.out = nn.Linear(8, 5)

    def forward(self, x):
        x = F.glu(self.front(x), dim=1) + self.table
        for gate, norm in zip(self.gates, self.norms, strict=True):
            reach = gate.dilation[0]
            x = x + self.act(F.glu(gate(F.pad(norm(x), (reach, reach), mode="reflect")), dim=1))
        first, last = x.chunk(2, dim=1)
        x = torch.cat([F.softplus(first), F.elu(last, 0.7), F.mish(first).neg(), F.softsign(last)], 1)
        return self.out(x[:, ::2].flip(-1).transpose(1, 2)[:, -1])


class Attention(nn.Module):
    """A causal encoder block written by hand, as in most repositories."""

    def __init__(self, width=16, heads=2, length=12):
        super().__init__()
        self.heads, self.qkv = heads, nn.Linear(width, 3 * width)
        self.out, self.up, self.down = nn.Linear(width, width), nn.Linear(width, 32), nn.Linear(32, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.register_buffer("mask", torch.triu(torch.ones(length, length, dtype=torch.bool), 1))

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, -1).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        scores = (q @ k.transpose(-1, -2) / (width / self.heads) ** 0.5).masked_fill(self.mask, float("-inf"))
        heads = torch.einsum("bhij,bhjd->bihd", scores.softmax(-1), v)
        x = x + self.out(heads.reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class UNet(nn.Module):
    """Down, up by ConvTranspose, by nearest and by linear interpolation, skips; instance norm and a pixel shuffle."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)
        self.norm = nn.InstanceNorm2d(16, affine=True)
        self.up = nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1)
        self.mix = nn.Conv2d(16, 8, 3, padding=1, padding_mode="replicate")
        self.last = nn.Conv2d(8, 12, 1)

    def forward(self, x):
        a = F.leaky_relu(self.down1(x))
        b = F.gelu(self.norm(self.down2(a)), approximate="tanh")
        c = self.mix(torch.cat([self.up(b), a], 1))
        c = F.pixel_shuffle(self.last(c), 2)
        coarse = F.interpolate(b[:, :3], scale_factor=4, mode="bilinear", align_corners=False)
        return torch.sigmoid(c) + coarse.clamp(min=-1) + F.interpolate(a[:, :3], scale_factor=2, mode="nearest")


class Sums(nn.Module):
    """Elementwise and reducing arithmetic in the spellings of torch, with two inputs and three outputs."""

    def forward(self, x, y):
        norm = F.normalize(x, dim=1) + (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1)
        chosen = torch.where(x > y, x, y - 1) + torch.minimum(x, y) * torch.maximum(x, y.abs())
        powers = x**2 + (y.abs() + 1) ** -0.5 + (x.abs() + 1) ** 1.7 + torch.exp(y).log1p() + 1 / (2 + x * x)
        picked = powers[:, [2, 0, 1]].sum((1, 2)) + x.logsumexp(-1).amax(1) + y.norm(dim=2).amin(1)
        return norm, chosen + 2 - y / 3 + torch.rsqrt(x * x + 1).expand(2, 3, 4), picked


NETWORKS = {
    "mobile": (Mobile, [(2, 3, 16, 16)]),
    "temporal": (Temporal, [(1, 1, 200)]),
    "attention": (Attention, [(2, 12, 16)]),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), [(1, 12, 16)]),
    "unet": (UNet, [(1, 3, 16, 16)]),
    "sums": (Sums, [(2, 3, 4), (2, 3, 4)]),
}


class Everything(nn.Module):
    """All of them in one graph: torch's newer exporter spends seconds on a graph, and little on a node."""

    def __init__(self):
        super().__init__()
        self.networks = nn.ModuleList(factory() for factory, _ in NETWORKS.values())

    def forward(self, *inputs):
        outputs, left = [], list(inputs)
        for network, (_, shapes) in zip(self.networks, NETWORKS.values(), strict=True):
            output = network(*(left.pop(0) for _ in shapes))
            outputs += output if isinstance(output, tuple) else [output]
        return tuple(outputs)


def trained(module):
    """As after training: parameters and statistics that matter."""
    torch.manual_seed(1)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.ndim == 1 and tensor.is_floating_point():
            with torch.no_grad():
                tensor.uniform_(0.5, 1.5) if "var" in name or "weight" in name else tensor.uniform_(-0.5, 0.5)
    return module.eval()


def old_export(module, inputs: tuple, path: Path, opset: int) -> Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and says so many times; people still have its files
        torch.onnx.export(module, inputs, path, dynamo=False, opset_version=opset)
    return capture.from_onnx(path)


def run(model: Model, inputs: tuple) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.to_bytes(), options)
    return session.run(None, {port.name: x.numpy() for port, x in zip(model.inputs, inputs, strict=True)})


# The old exporter cannot trace the fast path of torch's own encoder layer.
EXPORTS = [
    *(("mobile", 13), ("temporal", 13), ("temporal", 18), ("attention", 14), ("attention", 17), ("unet", 15)),
    *(("sums", 13), ("sums", 20)),
]


@pytest.mark.parametrize(("name", "opset"), EXPORTS)
def test_the_old_exporter(name, opset, tmp_path):
    factory, shapes = NETWORKS[name]
    module, inputs = trained(factory()), tuple(torch.randn(shape) for shape in shapes)
    compare(module, inputs, old_export(module, inputs, tmp_path / "net.onnx", opset))


def test_the_new_exporter():
    module = trained(Everything())
    inputs = tuple(torch.randn(shape) for _, shapes in NETWORKS.values() for shape in shapes)
    compare(module, inputs, capture.from_module(module, inputs))


def compare(module: nn.Module, inputs: tuple, captured: Model) -> None:
    """The captured network reaches the hub, says where its nodes come from, and computes what torch computes."""
    with torch.no_grad():
        wanted = module(*inputs)
    model = simplify(captured).model
    onnx.checker.check_model(onnx.load_from_string(model.to_bytes()), full_check=True)
    assert model.ir.opset_imports == {"": 20}
    assert {node.op_type for node in model.ir.graph} <= set(OPERATORS)
    assert all(source_of(node) for node in model.ir.graph)
    for got, want in zip(run(model, inputs), wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=0, atol=ATOL)


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_layer_is_refused_by_name(layer, tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = layer(4, 3, batch_first=True)

        def forward(self, x):
            return self.memory(x)[0]

    captured = old_export(Net().eval(), (torch.randn(1, 5, 4),), tmp_path / "net.onnx", 17)
    with pytest.raises(UnsupportedNode, match=rf"operator {layer.__name__} .*recurrent; use convolutions"):
        simplify(captured)
