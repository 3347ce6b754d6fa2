"""What each target honours: target -> operator -> constraint, as data, apart from the code that emits.

The schemes are those of ``docs/hub.md``; a scheme that is absent here is refused before lowering, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from targets.base import Refusal
from targets.kernels import Kernel, Program
from targets.stream import STREAM, family


@dataclass(frozen=True)
class Constraint:
    """How a target honours an operator.

    Attributes:
        schemes: of ``w8a8``, ``w8-dynamic``, ``w8``, ``float16`` and ``float``, those it can express.
        ranks: allowed ranks of its inputs, of which the highest counts; empty means any.
        ones: attributes that must be 1 throughout.
        naturals: constant inputs, by position, that must not be negative.
    """

    schemes: tuple[str, ...]
    ranks: tuple[int, ...] = ()
    ones: tuple[str, ...] = ()
    naturals: tuple[int, ...] = ()


_ALL = ("w8a8", "w8", "float16", "float")
_NO_WEIGHTS = ("w8a8", "float")
_FLOAT = ("float",)

_COMMON: Mapping[str, Constraint] = {
    "Conv": Constraint(_ALL, (3, 4)),
    "ConvTranspose": Constraint(_ALL, (3, 4)),
    "Gemm": Constraint((*_ALL, "w8-dynamic"), (2,)),
    "Relu": Constraint(_NO_WEIGHTS),
    "LeakyRelu": Constraint(_NO_WEIGHTS),
    "Sigmoid": Constraint(_NO_WEIGHTS),
    "Tanh": Constraint(_NO_WEIGHTS),
    "Add": Constraint(_NO_WEIGHTS),
    "Mul": Constraint(_NO_WEIGHTS),
    "Concat": Constraint(_NO_WEIGHTS),
    "Pad": Constraint(_NO_WEIGHTS),
    "Reshape": Constraint(_NO_WEIGHTS),
    "Transpose": Constraint(_NO_WEIGHTS),
    "Slice": Constraint(_NO_WEIGHTS),
    "Gather": Constraint(_NO_WEIGHTS),
    "Expand": Constraint(_NO_WEIGHTS),
    "MaxPool": Constraint(_NO_WEIGHTS, (3, 4)),
    "AveragePool": Constraint(_NO_WEIGHTS, (3, 4)),
    "GlobalAveragePool": Constraint(_NO_WEIGHTS, (3, 4)),
    **dict.fromkeys(("Elu", "Exp", "Log", "Sqrt", "Abs", "Sin", "Cos", "Floor", "Ceil"), Constraint(_FLOAT)),
    **dict.fromkeys(("Round", "Sign", "Gelu", "Clip", "PRelu"), Constraint(_FLOAT)),
    **dict.fromkeys(("Sub", "Div", "Max", "Min", "Pow"), Constraint(_FLOAT)),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "Softmax"), Constraint(_FLOAT)),
    "MatMul": Constraint(_FLOAT),
    "Resize": Constraint(_FLOAT, (3, 4)),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"), Constraint(_FLOAT)),
    **dict.fromkeys(("And", "Or", "Not", "Where", "Cast"), Constraint(_FLOAT)),
    "QuantizeLinear": Constraint(_NO_WEIGHTS),
    "DequantizeLinear": Constraint(_NO_WEIGHTS),
}

_BROADCASTS = ("Add", "Mul", "Sub", "Div", "Max", "Min", "Pow", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")

# TFLite has no dilated pooling and no cropping PAD; its builtin kernels stop at five dimensions, and some of those that
# broadcast at four, where older ones abort the process.
_TFLITE: Mapping[str, Constraint] = {
    **_COMMON,
    **{
        name: Constraint(_COMMON[name].schemes, (0, 1, 2, 3, 4, 5))
        for name in ("Add", "Mul", "Sub", "Div", "Max", "Min", "Where", "MatMul")
    },
    **{
        name: Constraint(_FLOAT, (0, 1, 2, 3, 4))
        for name in ("Pow", "PRelu", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal", "And", "Or")
    },
    **{name: Constraint(_NO_WEIGHTS, (1, 2, 3, 4, 5)) for name in ("Slice", "Gather", "Expand")},
    "Pad": Constraint(_NO_WEIGHTS, (1, 2, 3, 4, 5), naturals=(1,)),
    "MaxPool": Constraint(_NO_WEIGHTS, (3, 4), ones=("dilations",)),
}

# Core ML's tensors have at most five dimensions; it has no dilated pooling and no cropping pad.
_COREML: Mapping[str, Constraint] = {
    **{name: Constraint(given.schemes, given.ranks or (1, 2, 3, 4, 5)) for name, given in _COMMON.items()},
    **{
        name: Constraint(_COMMON[name].schemes, (0, 1, 2, 3, 4, 5))
        for name in (*_BROADCASTS, "Equal", "And", "Or", "Where")
    },
    "Gemm": Constraint(_ALL, (2,)),
    "PRelu": Constraint(_FLOAT, (2, 3, 4, 5)),
    "MatMul": Constraint(_FLOAT, (2, 3, 4, 5)),
    "Pad": Constraint(_NO_WEIGHTS, (1, 2, 3, 4, 5), naturals=(1,)),
    "MaxPool": Constraint(_NO_WEIGHTS, (3, 4), ones=("dilations",)),
    "AveragePool": Constraint(_NO_WEIGHTS, (3, 4), ones=("dilations",)),
}

# Unity imports ONNX in float only, and ignores with a warning that a pool or a transposed convolution is dilated.
_UNITY: Mapping[str, Constraint] = {
    **{
        name: replace(given, schemes=tuple(scheme for scheme in given.schemes if scheme in ("float16", "float")))
        for name, given in _COMMON.items()
        if name != "QuantizeLinear"
    },
    "MaxPool": Constraint(("float",), (3, 4), ones=("dilations",)),
    "ConvTranspose": Constraint(("float16", "float"), (3, 4), ones=("dilations", "group")),
}

CAPABILITIES: Mapping[str, Mapping[str, Constraint]] = {
    "onnx": _COMMON,
    "onnx:unity": _UNITY,
    "tflite": _TFLITE,
    "coreml": _COREML,
    "c": _COMMON,
}


def scheme_of(kernel: Kernel, program: Program) -> str:
    """The scheme of a kernel, read off its tensors."""
    first = program.tensors[kernel.inputs[0]]
    if first.quantization is not None and kernel.operator != "DequantizeLinear":
        return "w8a8"
    if kernel.operator in ("Conv", "ConvTranspose", "Gemm"):
        if program.tensors[kernel.inputs[1]].quantization is not None:
            return "w8-dynamic"
        producer = next((k for k in program.kernels if k.output == kernel.inputs[1]), None)
        if producer is not None and producer.operator == "DequantizeLinear":
            narrow = program.tensors[producer.inputs[0]].dtype == np.float16
            return "float16" if narrow else "w8"
    return "float"


def refusals(target: str, program: Program) -> tuple[Refusal, ...]:
    """Every kernel that ``target`` cannot honour, with its reason; empty when it can have the program.

    A form (``TARGET:FORM``) without a table of its own can what its target can, and a stream what the window can.
    """
    found = []
    name = target.removesuffix(STREAM)
    table = CAPABILITIES[name] if name in CAPABILITIES else CAPABILITIES[family(target)]
    for kernel in program.kernels:
        reason = _reason(table, kernel, program)
        if reason:
            found.append(Refusal(kernel.operator, kernel.node, reason))
    return tuple(found)


def _reason(table: Mapping[str, Constraint], kernel: Kernel, program: Program) -> str:
    constraint = table.get(kernel.operator)
    if constraint is None:
        return "the target has no such operator"
    scheme = scheme_of(kernel, program)
    if scheme not in constraint.schemes:
        return f"the target has no {scheme} form of it"
    rank = max(len(program.tensors[name].shape) for name in kernel.inputs)
    if constraint.ranks and rank not in constraint.ranks:
        return f"its input has rank {rank}, the target takes {' or '.join(map(str, constraint.ranks))}"
    for name in constraint.ones:
        if (np.asarray(kernel.attributes.get(name, 1)) != 1).any():
            return f"the target needs its {name} to be 1"
    for position in constraint.naturals:
        data = program.tensors[kernel.inputs[position]].data
        if data is not None and (np.asarray(data, np.int64) < 0).any():
            return "the target has no negative form of it; use a Slice"
    return ""
