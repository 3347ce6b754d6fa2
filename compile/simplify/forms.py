"""The operator table of ``docs/hub.md``, as data.

What an operator reads is one letter an input:

======  ================================================================
letter  meaning
======  ================================================================
``x``   computed float
``c``   constant float
``s``   constant float scalar
``e``   float; of all inputs with this letter at least one is computed
``f``   float, computed or constant
``n``   constant int64 vector
``b``   computed bool
``-``   absent
======  ================================================================

``?`` after a letter: may be absent. ``*``: any number of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """How the hub writes one operator.

    Attributes:
        inputs: one word an input, as above.
        attributes: those that must be there.
        bound: attributes, of these or others, with the only values they may have.
        spatial: whether the first input is ``[N, C, *spatial]`` with 1 or 2 spatial axes.
        result: ``float`` or ``bool``.
    """

    inputs: str
    attributes: tuple[str, ...] = ()
    bound: Mapping[str, tuple[object, ...]] | None = None
    spatial: bool = False
    result: str = "float"


_WINDOW = ("kernel_shape", "strides", "pads")
_POOL = {"auto_pad": ("NOTSET",), "storage_order": (0,)}
_UNARY = Form("x")
_BINARY = Form("e e")
_REDUCTION = Form("x n", ("keepdims",), {"keepdims": (1,), "noop_with_empty_axes": (0,)})
_COMPARISON = Form("e e", result="bool")

FORMS: Mapping[str, Form] = {
    "Conv": Form("x c c?", (*_WINDOW, "dilations", "group"), {"auto_pad": ("NOTSET",)}, spatial=True),
    "ConvTranspose": Form(
        "x c c?",
        (*_WINDOW, "dilations", "group", "output_padding"),
        {"auto_pad": ("NOTSET",), "output_shape": ()},
        spatial=True,
    ),
    "Gemm": Form("x c c?", ("transB",), {"alpha": (1.0,), "beta": (1.0,), "transA": (0,), "transB": (1,)}),
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Abs", "Sin", "Cos"), _UNARY),
    **dict.fromkeys(("Floor", "Ceil", "Round", "Sign"), _UNARY),
    "LeakyRelu": Form("x", ("alpha",)),
    "Elu": Form("x", ("alpha",), {"alpha": (1.0,)}),
    "Gelu": Form("x", ("approximate",), {"approximate": ("none", "tanh")}),
    "Clip": Form("x s s"),
    "PRelu": Form("x c"),
    **dict.fromkeys(("Add", "Mul", "Max", "Min"), _BINARY),
    **dict.fromkeys(("Sub", "Div"), Form("f x")),
    "Pow": Form("x s"),
    "Concat": Form("e*", ("axis",)),
    "Pad": Form("x n s?", (), {"mode": ("constant",)}),
    "Reshape": Form("x n", (), {"allowzero": (0, 1)}),
    "Transpose": Form("x", ("perm",)),
    "Slice": Form("x n n n n"),
    "Gather": Form("x n", ("axis",)),
    "Expand": Form("x n"),
    "MaxPool": Form("x", (*_WINDOW, "dilations", "ceil_mode"), _POOL, spatial=True),
    "AveragePool": Form("x", (*_WINDOW, "count_include_pad", "ceil_mode"), {**_POOL, "dilations": ()}, spatial=True),
    "GlobalAveragePool": Form("x", spatial=True),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), _REDUCTION),
    "Softmax": Form("x", ("axis",)),
    "MatMul": _BINARY,
    "Resize": Form(
        "x - - n",
        ("coordinate_transformation_mode", "mode"),
        {
            "keep_aspect_ratio_policy": ("stretch",),
            "antialias": (0,),
            "coordinate_transformation_mode": ("half_pixel", "align_corners"),
            "mode": ("linear",),
            "axes": (),
        },
    ),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"), _COMPARISON),
    **dict.fromkeys(("And", "Or"), Form("b b", result="bool")),
    "Not": Form("b", result="bool"),
    "Where": Form("b f f"),
    "Cast": Form("b", ("to",), {"to": (1,)}),
}

# Other operators, which passes write with those above.
SPELLINGS = (
    *("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LpNormalization"),
    *("MeanVarianceNormalization", "RMSNormalization", "Cast", "CastLike", "Dropout", "Identity"),
    *("Celu", "HardSigmoid", "HardSwish", "LogSoftmax", "Mish", "Selu", "Shrink", "Softplus", "Softsign", "Swish"),
    *("Erf", "Tan", "ThresholdedRelu", "Xor", "Mean", "Neg", "Reciprocal", "Sum"),
    *(
        "DepthToSpace",
        "Einsum",
        "Flatten",
        "GatherND",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Trilu",
        "Unsqueeze",
    ),
    *("GlobalMaxPool", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
)

# Why operators that people meet have no form, in words that help.
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("QuantizeLinear", "DequantizeLinear"), "the model is already quantised; give phiz the float model"
    ),
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN", "Scan", "Loop"), "it is recurrent; use convolutions, or unroll it over a fixed window"
    ),
    "If": "its branch is chosen at run time",
    **dict.fromkeys(("CumSum", "TopK", "Sort", "ArgMax", "ArgMin"), "no integer or accelerated kernel has it"),
    **dict.fromkeys(("NonZero", "Unique", "Compress", "NonMaxSuppression"), "its output has no fixed size"),
    **dict.fromkeys(
        ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"),
        "what it gives is random",
    ),
    "BatchNormalization": "its statistics are computed at run time; export the network in eval mode",
    "Erf": "it is known only as a part of Gelu",
}
