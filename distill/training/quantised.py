"""A student as the compiler's integers will compute it: batch norms folded, values and weights rounded in place.

Rounding has no useful gradient; it is passed straight through, and none comes back from beyond a value's range.
Source: Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013; Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, section 3.
Like ``network``, this module imports torch at its top and is imported when needed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill.students.network import Convolution, Student, Temporal
from distill.training.qat import Affine, LayerPlan, Plan


class Quantised(nn.Module):
    """The parameters of a trained student's folded layers, in order of execution, and the plan for them."""

    def __init__(self, student: Student, plan: Plan) -> None:
        super().__init__()
        self.student = [student]  # in a list: its own parameters are not to be trained
        self.architecture = student.architecture
        self.plan = plan
        starts = [_start(layer, steps) for layer, steps in zip(layers(student), plan, strict=True)]
        self.weights = nn.ParameterList(nn.Parameter(weight) for weight, _ in starts)
        self.biases = nn.ParameterList(nn.Parameter(bias) for _, bias in starts)
        self.detours = [torch.zeros(())] * len(plan)
        for index, steps in enumerate(plan):
            if steps.start is not None and steps.start.detour is not None:
                self.detours[index] = torch.tensor(steps.start.detour, dtype=torch.float32)

    def sequence(self, audio: Tensor) -> Tensor:
        """``[batch, samples]`` to ``[batch, frames, outputs]`` like ``Student.sequence``, with every rounding."""
        (student,) = self.student
        x, last = audio.unsqueeze(1), len(self.plan) - 1
        for index, layer in enumerate(layers(student)):
            steps, bias = self.plan[index], self.biases[index]
            weight = rounded_weight(self.weights[index], steps.weights, self.detours[index])
            if steps.correction:  # the compiler will correct the trained biases again, so they are not to learn this
                bias = bias + torch.tensor(steps.correction)
            if steps.integer and steps.read is not None:
                bias = rounded_bias(bias, steps.read.scale * weight_scale(self.weights[index]))
            if isinstance(layer, nn.Linear):
                if x.ndim == 3 and layer is first_linear(student):
                    x = x.unfold(2, self.architecture.span, 1).transpose(1, 2).flatten(2)  # [batch, frames, width]
                y = nn.functional.linear(self._read(x, steps), weight, bias)
                y = rounded(y, steps.made)
                x = rounded(torch.relu(y), steps.left) if index < last else y
            else:
                x = self._convolve(layer, x, weight, bias, steps)
        return x

    def write_back(self) -> Student:
        """The student with these weights and batch norms that do nothing, in evaluation mode."""
        (student,) = self.student
        with torch.no_grad():
            for layer, weight, bias in zip(layers(student), self.weights, self.biases, strict=True):
                if isinstance(layer, nn.Linear):
                    layer.weight.copy_(weight)
                    layer.bias.copy_(bias)
                    continue
                layer.convolution.weight.copy_(weight)
                for name, number in (("weight", 1.0), ("running_mean", 0.0), ("running_var", 1 - layer.norm.eps)):
                    getattr(layer.norm, name).fill_(number)
                layer.norm.bias.copy_(bias)
        return student.eval()

    def _convolve(
        self, layer: Convolution | Temporal, x: Tensor, weight: Tensor, bias: Tensor, steps: LayerPlan
    ) -> Tensor:
        y = nn.functional.conv1d(self._read(x, steps), weight, bias, layer.convolution.stride)
        y = rounded(y, steps.made)
        if isinstance(layer, Temporal) and layer.crop:
            y = rounded(y + rounded(x, steps.beside)[:, :, layer.crop : -layer.crop], steps.added)
        return rounded(torch.relu(y), steps.left)

    def _read(self, x: Tensor, steps: LayerPlan) -> Tensor:
        return rounded_at_run_time(x) if steps.dynamic else rounded(x, steps.read)


def layers(student: Student) -> tuple[Convolution | Temporal | nn.Linear, ...]:
    """The layers with weights, in order of execution."""
    return (*student.front, *student.trunk, *student.hidden, student.head)


def first_linear(student: Student) -> nn.Module:
    """The layer in front of which frames are flattened."""
    first: nn.Module = (*student.hidden, student.head)[0]
    return first


def rounded(x: Tensor, steps: Affine | None) -> Tensor:
    """``x`` as int8 holds it; None leaves it alone."""
    if steps is None:
        return x
    low, high = (steps.scale * (end - steps.zero_point) for end in (-128, 127))
    inside = x.clamp(low, high)
    integers = (x.detach() / steps.scale).round().add(steps.zero_point).clamp(-128, 127)
    return inside + ((integers - steps.zero_point) * steps.scale - inside).detach()


def rounded_at_run_time(x: Tensor) -> Tensor:
    """Each frame ``[..., features]`` by a range of its own, as ONNX's DynamicQuantizeLinear does for a window."""
    values = x.detach()
    low, high = values.amin(-1, keepdim=True).clamp(max=0), values.amax(-1, keepdim=True).clamp(min=0)
    scale = ((high - low) / 255).clamp(min=1e-30)
    zero = (-low / scale).round().clamp(0, 255)
    integers = ((values / scale).round() + zero).clamp(0, 255)
    return x + ((integers - zero) * scale - values)


def rounded_weight(weight: Tensor, kind: str, detour: Tensor | float = 0.0) -> Tensor:
    """A weight ``[out, ...]`` as it is stored: ``int8`` per output channel, ``float16`` or ``float32``.

    ``detour`` is added to the nearest integers; see ``qat.Start``.
    """
    values = weight.detach()
    if kind == "int8":
        scale = weight_scale(weight).reshape(-1, *[1] * (values.ndim - 1))
        values = ((values / scale).round() + detour).clamp(-127, 127) * scale
    elif kind == "float16":
        values = values.half().float()
    return weight + (values - weight.detach())


def rounded_bias(bias: Tensor, scale: Tensor) -> Tensor:
    """A bias ``[out]`` as multiples of ``scale``, which is what int32 holds."""
    return bias + ((bias.detach() / scale).round() * scale - bias.detach())


def weight_scale(weight: Tensor) -> Tensor:
    """Symmetric scales ``[out]`` as ``compile.quantize.scheme.weight_scale`` chooses them for the finished weights."""
    largest = weight.detach().flatten(1).abs().amax(1)
    return torch.maximum(largest, largest.max() * 2.0**-20) / 127


def _start(layer: Convolution | Temporal | nn.Linear, steps: LayerPlan) -> tuple[Tensor, Tensor]:
    """The weight and bias to begin with: the plan's, or the layer's with its batch norm folded into them."""
    if steps.start is not None:
        return torch.tensor(steps.start.weight), torch.tensor(steps.start.bias)
    if isinstance(layer, nn.Linear):
        return layer.weight.detach().clone(), layer.bias.detach().clone()
    norm = layer.norm
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("a student's batch norms keep statistics")
    gain = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    weight = layer.convolution.weight.detach() * gain[:, None, None]
    return weight, norm.bias.detach() - norm.running_mean * gain
