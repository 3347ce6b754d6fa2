"""The head on an encoder: layers described in ``head.json``, weights in ``head.safetensors``, no code of anybody's.

    {"format": "phiz head 1",
     "controls": ["jawOpen", "mouthClose"],
     "range": [0, 1],
     "layer": -1,
     "layers": [{"kind": "conv", "out": 256, "kernel": 5, "activation": "relu"},
                {"kind": "lstm", "out": 128, "both": true},
                {"kind": "linear", "out": 2, "activation": "sigmoid"}]}

``layers`` map the encoder's hidden states to controls at each frame: ``conv`` over frames (same length, odd kernel),
``lstm`` (``both``: in both directions), ``linear``; each may have an ``activation``. Weights are named
``layers.0.weight`` and so on, as torch names those of an ``nn.ModuleList``. ``range`` clips what leaves (left out:
nothing is clipped), ``layer`` chooses among the encoder's hidden states (left out: the last).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.errors import UserError
from compile.files import contents

if TYPE_CHECKING:
    from torch import Tensor, nn

FACTS, WEIGHTS = "head.json", "head.safetensors"
FORMAT = "phiz head 1"
MOST_LAYERS, WIDEST, LONGEST_KERNEL, LARGEST = 32, 8192, 255, 10_000_000
KINDS = ("conv", "lstm", "linear")
ACTIVATIONS = ("relu", "leaky_relu", "gelu", "tanh", "sigmoid")
_KEYS = {
    "conv": {"kind", "out", "kernel", "activation"},
    "lstm": {"kind", "out", "both", "activation"},
    "linear": {"kind", "out", "activation"},
}


@dataclass(frozen=True)
class Layer:
    """One layer; ``kernel`` is that of a convolution, ``both`` whether an LSTM runs in both directions."""

    kind: str
    out: int
    kernel: int = 1
    both: bool = False
    activation: str = ""

    @property
    def width(self) -> int:
        """How many values leave it a frame."""
        return self.out * 2 if self.both else self.out


@dataclass(frozen=True)
class Head:
    """What ``head.json`` says."""

    controls: tuple[str, ...]
    layers: tuple[Layer, ...]
    range: tuple[float, float] | None = None
    layer: int = -1


def read_head(path: Path) -> Head:
    """Read a ``head.json``.

    Raises:
        UserError: it is missing, malformed, or contradicts itself.
    """
    facts = read_json(path)
    where = str(path)
    if facts.get("format") != FORMAT:
        raise UserError(f"not a '{FORMAT}' file", where=where, fix=f'write "format": "{FORMAT}"; see docs/teachers.md')
    unknown = set(facts) - {"format", "controls", "range", "layer", "layers"}
    if unknown:
        raise UserError(f"unknown key '{min(unknown)[:80]}'", where=where)
    controls = facts.get("controls")
    if not isinstance(controls, list) or not controls or not all(isinstance(name, str) and name for name in controls):
        raise UserError("'controls' must list names", where=where)
    if len(set(controls)) != len(controls):
        raise UserError("'controls' must list different names", where=where)
    layer = facts.get("layer", -1)
    if type(layer) is not int:
        raise UserError("'layer' must be a whole number", where=where)
    described = facts.get("layers")
    if not isinstance(described, list) or not 1 <= len(described) <= MOST_LAYERS:
        raise UserError(f"'layers' must list 1 to {MOST_LAYERS} layers", where=where)
    layers = tuple(_layer(item, f"{where}, layer {index}") for index, item in enumerate(described))
    if layers[-1].width != len(controls):
        raise UserError(f"the last layer gives {layers[-1].width} values for {len(controls)} controls", where=where)
    return Head(tuple(controls), layers, _range(facts.get("range"), where), layer)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UserError: it is missing, too large, or none.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"larger than {LARGEST:,} bytes", where=str(path))
        facts = json.loads(contents(path))
    except FileNotFoundError as error:
        raise UserError("there is no such file", where=str(path), fix="see docs/teachers.md") from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"is not JSON: {error}", where=str(path)) from error
    if not isinstance(facts, dict):
        raise UserError("it is no JSON object", where=str(path))
    return facts


def _layer(item: object, where: str) -> Layer:
    kind = item.get("kind") if isinstance(item, dict) else None
    if not isinstance(item, dict) or kind not in KINDS:
        raise UserError(f"its 'kind' is {str(kind)[:40]!r}", where=where, fix=f"choose one of: {', '.join(KINDS)}")
    unknown = set(item) - _KEYS[kind]
    if unknown:
        raise UserError(f"{kind} has no '{min(unknown)[:80]}'", where=where)
    for key, most in (("out", WIDEST), ("kernel", LONGEST_KERNEL)):
        if type(item.get(key, 1)) is not int or not 1 <= item.get(key, 1) <= most:
            raise UserError(f"'{key}' must be a whole number from 1 to {most}", where=where)
    if "out" not in item:
        raise UserError("it has no 'out'", where=where)
    if item.get("kernel", 1) % 2 == 0:
        raise UserError("'kernel' must be odd, so that a frame stays where it is", where=where)
    if type(item.get("both", False)) is not bool:
        raise UserError("'both' must be true or false", where=where)
    if item.get("activation", "relu") not in ACTIVATIONS:
        raise UserError("unknown 'activation'", where=where, fix=f"choose one of: {', '.join(ACTIVATIONS)}")
    return Layer(**item)


def _range(value: object, where: str) -> tuple[float, float] | None:
    if value is None:
        return None
    numbers = value if isinstance(value, list) and len(value) == 2 else []
    if (
        not numbers
        or any(type(number) not in (int, float) for number in numbers)
        or not -1e9 <= numbers[0] < numbers[1] <= 1e9
    ):
        raise UserError("'range' must be two numbers, the smaller first", where=where)
    return float(numbers[0]), float(numbers[1])


def build(head: Head, width: int) -> nn.Module:
    """The head as a module on the meta device: hidden states [1, frames, width] to controls [1, frames, controls]."""
    import torch
    from torch import nn

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [width, *(layer.width for layer in head.layers)]
            self.layers = nn.ModuleList(
                _module(layer, before) for layer, before in zip(head.layers, widths, strict=False)
            )

        def forward(self, x: Tensor) -> Tensor:
            for layer, module in zip(head.layers, self.layers, strict=True):
                if layer.kind == "conv":
                    x = module(x.transpose(1, 2)).transpose(1, 2)
                else:
                    x = module(x)[0] if layer.kind == "lstm" else module(x)
                if layer.activation:
                    x = functions[layer.activation](x)
            return x if head.range is None else x.clamp(*head.range)

    functions: Mapping[str, Any] = {
        name: getattr(torch if name in ("tanh", "sigmoid") else nn.functional, name) for name in ACTIVATIONS
    }
    with torch.device("meta"):
        return Layers()


def _module(layer: Layer, before: int) -> nn.Module:
    from torch import nn

    if layer.kind == "conv":
        return nn.Conv1d(before, layer.out, layer.kernel, padding=layer.kernel // 2)
    if layer.kind == "lstm":
        return nn.LSTM(before, layer.out, batch_first=True, bidirectional=layer.both)
    return nn.Linear(before, layer.out)
