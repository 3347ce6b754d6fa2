"""Networks as people build them, through both of torch's exporters and the whole road, in int8 to every target.

The reference of parity is onnxruntime on the network as exported; ``tests/compile/test_capture.py`` holds that against
torch. Weights are random, batch norms are not trivial, inputs are noise: what matters is that every target agrees with
the quantised graph, within the steps of ``compile/parity.py``, and that what int8 loses stays small.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compile import capture
from compile.audit.budget import Budget
from compile.audit.folder import Folder, names_of
from compile.build import Built, build
from compile.model import Model
from compile.quantize.recipe import PROFILES
from compile.quiet import quiet
from compile.request import Request
from compile.samples import Split
from targets.base import Kind
from targets.catalogue import USUAL

torch = pytest.importorskip("torch")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("coremltools")
nn, functional = torch.nn, torch.nn.functional

MIN_SQNR = 22.0  # dB, all in int8, without refinement: the mixer has 24.8 here, the others more than 31
CALIBRATION, JUDGING = 24, 8  # batches


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, channels // 2, 1), nn.Conv2d(channels // 2, channels, 1)

    def forward(self, x):
        scale = functional.relu(self.down(functional.adaptive_avg_pool2d(x, 1)))
        return x * functional.hardsigmoid(self.up(scale))


class Mobile(nn.Module):
    """After MobileNet v3: inverted residuals, squeeze and excitation, hardswish."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.block = nn.Sequential(
            *(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()),
            *(nn.Conv2d(16, 16, 5, 1, 2, groups=16, bias=False), nn.BatchNorm2d(16), Squeeze(16), nn.ReLU6()),
            *(nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8)),
        )
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.block(x)
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Gated(nn.Module):
    """A temporal convolutional network with gated linear units."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 8, 1)
        self.layers = nn.ModuleList(nn.Conv1d(8, 16, 3, dilation=2**i, padding=2**i) for i in range(3))
        self.head = nn.Conv1d(8, 3, 1)

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = x + functional.glu(layer(x), dim=1)
        return self.head(x)


class Attention(nn.Module):
    """A transformer's encoder block, norms first."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.project, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x):
        batch, time, _ = x.shape
        parts = self.project(self.norm1(x)).reshape(batch, time, 3, 4, 4).permute(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]
        weights = torch.softmax(query @ key.transpose(-1, -2) * 0.5, dim=-1)
        x = x + self.out((weights @ value).transpose(1, 2).reshape(batch, time, 16))
        return x + self.mlp(self.norm2(x))


class Hourglass(nn.Module):
    """A U-Net: down, up by a transposed convolution and by resizing, skips."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, 6, 3, padding=1)
        self.down2 = nn.Conv2d(6, 8, 3, 2, 1)
        self.down3 = nn.Conv2d(8, 8, 3, 2, 1)
        self.up2 = nn.ConvTranspose2d(8, 8, 2, 2)
        self.fuse, self.out = nn.Conv2d(16, 6, 3, padding=1), nn.Conv2d(12, 2, 1)

    def forward(self, x):
        one = torch.relu(self.down1(x))
        two = torch.relu(self.down2(one))
        three = torch.relu(self.down3(two))
        x = torch.relu(self.fuse(torch.cat([self.up2(three), two], 1)))
        x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.out(torch.cat([x, one], 1))


class Keywords(nn.Module):
    """DS-CNN of keyword spotting: depthwise separable convolutions on a spectrogram."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[Any] = [nn.Conv2d(1, 12, (10, 4), (2, 2), (5, 1), bias=False), nn.BatchNorm2d(12), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(12, 12, 3, 1, 1, groups=12, bias=False), nn.BatchNorm2d(12), nn.ReLU()]
            layers += [nn.Conv2d(12, 12, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU()]
        self.trunk = nn.Sequential(*layers, nn.Dropout(0.2))
        self.head = nn.Linear(12, 6)

    def forward(self, x):
        return self.head(self.trunk(x).mean((2, 3)))


class Residual(nn.Module):
    """After ResNet: a pooled stem, one plain and one striding block."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 5, 1, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        self.plain = nn.Sequential(*self.pair(8, 8, 1))
        self.strided, self.short = nn.Sequential(*self.pair(8, 12, 2)), nn.Conv2d(8, 12, 1, 2)
        self.head = nn.Linear(12, 4)

    @staticmethod
    def pair(before: int, after: int, stride: int) -> list[nn.Module]:
        return [
            *(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()),
            *(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)),
        ]

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(x + self.plain(x))
        x = torch.relu(self.short(x) + self.strided(x))
        return torch.softmax(self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1)), dim=1)


class Wave(nn.Module):
    """After WaveNet: dilated causal convolutions, gates, and the sum of all skips."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 8, 1)
        self.gates = nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=2**i) for i in range(4))
        self.skips = nn.ModuleList(nn.Conv1d(8, 6, 1) for _ in range(4))
        self.back = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(4))
        self.out = nn.Conv1d(6, 2, 1)

    def forward(self, x):
        x, total = self.first(x), 0
        for index, (gate, skip, back) in enumerate(zip(self.gates, self.skips, self.back, strict=True)):
            a, b = gate(functional.pad(x, (2**index, 0))).chunk(2, dim=1)
            inside = torch.tanh(a) * torch.sigmoid(b)
            total, x = total + skip(inside), x + back(inside)
        return self.out(torch.relu(total))


class Mixer(nn.Module):
    """An MLP-mixer: patches, mixed along both axes."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.norm1, self.norm2 = nn.LayerNorm(12), nn.LayerNorm(12)
        self.tokens = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.channels = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norm2(x))
        return self.head(x.mean(1))


class Twins(nn.Module):
    """One encoder for two inputs, and two outputs: its weights are read twice and stored once."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv1d(2, 24, 9, 4, 4), nn.SiLU(), nn.Conv1d(24, 32, 5, 2, 2), nn.ELU())
        self.head = nn.Linear(64, 3)

    def forward(self, left, right):
        a, b = self.encoder(left).mean(-1), self.encoder(right).mean(-1)
        return self.head(torch.cat([a, b], 1)), torch.abs(a - b)


# Network, shapes of its inputs, exporter.
NETWORKS: dict[str, tuple[Callable[[], Any], list[tuple[int, ...]], str]] = {
    "mobile": (Mobile, [(1, 3, 24, 24)], "dynamo"),
    "gated": (Gated, [(2, 4, 64)], "script"),
    "attention": (Attention, [(1, 12, 16)], "dynamo"),
    "hourglass": (Hourglass, [(1, 1, 16, 16)], "script"),
    "keywords": (Keywords, [(1, 1, 49, 10)], "script"),
    "residual": (Residual, [(4, 3, 16, 16)], "dynamo"),
    "wave": (Wave, [(1, 1, 128)], "dynamo"),
    "mixer": (Mixer, [(2, 3, 16, 16)], "script"),
    "twins": (Twins, [(3, 2, 64), (3, 2, 64)], "dynamo"),
}


def captured(name: str, folder: Path) -> Model:
    """The network with weights of its own, by its exporter."""
    make, shapes, exporter = NETWORKS[name]
    torch.manual_seed(0)
    module = make().eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.3, 0.3)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    inputs = tuple(torch.randn(shape) for shape in shapes)
    if exporter == "dynamo":
        return capture.from_module(module, inputs)
    with quiet(), torch.no_grad():
        torch.onnx.export(module, inputs, str(folder / "net.onnx"), dynamo=False, opset_version=17)
    return capture.from_onnx(folder / "net.onnx")


def compiled(name: str, folder: Path) -> Built:
    model = captured(name, folder)
    random = np.random.default_rng(1)

    def noise(batches: int) -> dict[str, np.ndarray]:
        return {
            port.name: random.normal(size=(batches * port.shape[0], *port.shape[1:])).astype(np.float32)
            for port in model.inputs
        }

    split = Split(noise(CALIBRATION), noise(JUDGING), "arrays")
    request = Request(USUAL, PROFILES["w8a8"], split, Budget(), MIN_SQNR, None, folder / "build")
    return build(model, request, lambda *_: None)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_compiles_with_parity(name: str, tmp_path: Path) -> None:
    built = compiled(name, tmp_path)
    assert built.failures == ()
    assert [row.parity.status for row in built.report.rows] == ["run"] * len(USUAL)
    assert {decision.scheme.value for decision in built.plan.decisions.values()} <= {"w8a8", "float"}
    weighted = [decision.scheme.value for name, decision in built.plan.decisions.items() if name.startswith(_WEIGHTED)]
    assert len(weighted) > 2
    assert set(weighted) == {"w8a8"}
    if name == "twins":
        assert_stored_once(built.folder, 32 * 24 * 5)


_WEIGHTED = ("conv", "gemm")  # names that simplify gives, also to transposed convolutions


def assert_stored_once(folder: Path, size: int) -> None:
    """The larger weight of the shared encoder, ``size`` numbers of one byte, lies in each artefact once."""
    for target in USUAL:
        artefact = f"student{target.suffix}"
        dissection = target.dissect(Folder(folder, names_of(folder, artefact)))
        large = [s for s in dissection.sections if s.kind is Kind.WEIGHTS and s.end - s.start >= size]
        assert len(large) == 1, f"{target.name}: {large}"
