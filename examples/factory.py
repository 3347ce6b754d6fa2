"""Any small torch network: `phiz compile examples.factory:keyword_spotter --target tflite --cap 500kB`."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def keyword_spotter() -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A depthwise-separable network over 40 mel bands and 98 frames, and an input to trace it with."""
    layers: list[nn.Module] = [nn.Conv2d(1, 64, (4, 10), stride=2), nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.BatchNorm2d(64), nn.ReLU()]
        layers += [nn.Conv2d(64, 64, 1), nn.BatchNorm2d(64), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12)]
    return nn.Sequential(*layers), (torch.randn(1, 1, 40, 98),)
