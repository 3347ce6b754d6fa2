"""Who is compared, as tables: virtual environments with pinned versions, runtimes, and peers.

To add a peer: a function in a file of ``builders/``, a row of ``PEERS``, and, where it needs what no other one has, a
row of ``ROOMS`` or ``RUNTIMES`` with a file of ``runtimes/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PHIZ = "phiz"
TORCH, NUMPY = "torch==2.13.0", "numpy==2.4.6"
LITERT = "ai-edge-litert==2.3.0"
ONNX = ("onnx==1.23.2", "onnxruntime==1.31.1")
SYMPY = "sympy==1.14.0"  # onnxruntime's quant_pre_process wants it and does not say so

# Virtual environment: what pip installs into it. HERE is this checkout.
HERE = "HERE"
ROOMS: Mapping[str, tuple[str, ...]] = {
    "phiz": (
        f"{HERE}[torch,tflite,coreml]",
        *(TORCH, *ONNX, "onnx-ir==1.1.0", "onnxsim==0.8.1", "onnxscript==0.7.2"),
        *(LITERT, "coremltools==9.0", NUMPY),
    ),
    "onnxruntime": (*ONNX, SYMPY),
    "olive": ("olive-ai==0.13.0", *ONNX, TORCH, "requests==2.34.2"),  # requests: as above
    "nncf": ("nncf==3.4.0", "openvino==2026.4.1", *ONNX, SYMPY),
    "litert": (*("litert-torch==0.10.0", "ai-edge-quantizer==0.10.0", LITERT, "cattrs==25.2.0", TORCH),),
    "ai-edge-litert": (LITERT, NUMPY),  # what executes; the tools above take gigabytes
    "executorch": ("executorch==1.5.1", TORCH),
    "coremltools": ("coremltools==9.0", TORCH),
    "ncnn": ("ncnn==1.0.20261020", "pnnx==20261020", NUMPY, TORCH),
    "mnn": ("MNN==3.6.1", NUMPY),
}


@dataclass(frozen=True)
class Runtime:
    """What executes artefacts.

    Attributes:
        room: where it is installed; None: the benchmark's own environment.
        timed: whether its speed means anything here.
    """

    room: str | None
    timed: bool = True


# By the name of its file in ``runtimes/``.
RUNTIMES: Mapping[str, Runtime] = {
    "onnxruntime": Runtime("onnxruntime"),
    "litert": Runtime("ai-edge-litert"),
    "openvino": Runtime("nncf"),
    "executorch": Runtime("executorch"),
    "coreml": Runtime(None, timed=False),
    "ncnn": Runtime("ncnn"),
    "mnn": Runtime("mnn"),
}


@dataclass(frozen=True)
class Peer:
    """A way to a small model that a user could take.

    Attributes:
        name: its own in all tables.
        room: where its tool is installed.
        builder: ``file:function`` in ``builders/``.
        takes: ``onnx``, ``pt2``, ``jit`` or ``student``: the same network, as a file of that kind.
        makes: artefact: its runtime. A builder gets the path of the first; others lie beside it.
        about: what is set, in a few words.
        quick: part of ``--quick``.
        int8: False for what is only there to compare with.
    """

    name: str
    room: str
    builder: str
    takes: str
    makes: Mapping[str, str]
    about: str
    quick: bool = False
    int8: bool = True


_ORT, _TFLITE = {"model.onnx": "onnxruntime"}, {"model.tflite": "litert"}
_COREML, _OPENVINO = {"model.mlpackage": "coreml"}, {"model.xml": "openvino"}
_ALL = {"student.onnx": "onnxruntime", "student.tflite": "litert", "student.mlpackage": "coreml"}

# Whom nobody is compared with, since no peer makes a stream of a network of windows.
_FLOWING = {"student.stream.onnx": "onnxruntime", "student.stream.tflite": "litert"}
STREAM = Peer("phiz-stream", PHIZ, "phiz:stream", "student", _FLOWING, "ONNX and TFLite, also hop by hop")

PEERS: tuple[Peer, ...] = (
    Peer("phiz", PHIZ, "phiz:everything", "onnx", _ALL, "ONNX, TFLite and Core ML at once", quick=True),
    Peer("phiz-onnx", PHIZ, "phiz:onnx", "onnx", {"student.onnx": "onnxruntime"}, "ONNX alone", quick=True),
    Peer("phiz-tflite", PHIZ, "phiz:tflite", "onnx", {"student.tflite": "litert"}, "TFLite alone", quick=True),
    Peer("phiz-coreml", PHIZ, "phiz:coreml", "onnx", {"student.mlpackage": "coreml"}, "Core ML alone"),
    Peer(
        *("phiz-w8a8", PHIZ, "phiz:integers", "onnx", {"student.onnx": "onnxruntime", "student.tflite": "litert"}),
        *("int8 throughout, as the peers", True),
    ),
    Peer("onnx-float", "onnxruntime", "unchanged:onnx", "onnx", _ORT, "the float model itself", quick=True, int8=False),
    Peer("ort-default", "onnxruntime", "onnxruntime:default", "onnx", _ORT, "quantize_static as it comes", quick=True),
    Peer("ort-u8", "onnxruntime", "onnxruntime:unsigned", "onnx", _ORT, "the same, uint8 activations", quick=True),
    Peer(
        *("ort-tuned", "onnxruntime", "onnxruntime:tuned", "onnx", _ORT),
        *("pre-processed, per channel, uint8, first layer float", True),
    ),
    Peer(
        *("ort-precise", "onnxruntime", "onnxruntime:precise", "onnx", _ORT),
        *("the same, last two layers float too", True),
    ),
    Peer(
        *("ort-percentile", "onnxruntime", "onnxruntime:percentile", "onnx", _ORT),
        "pre-processed, per channel, uint8, percentile ranges",
    ),
    Peer("ort-dynamic", "onnxruntime", "onnxruntime:dynamic", "onnx", _ORT, "pre-processed, quantize_dynamic"),
    Peer("olive", "olive", "olive:default", "onnx", _ORT, "OnnxStaticQuantization as it comes"),
    Peer("nncf-onnx", "nncf", "nncf:onnx_default", "onnx", _ORT, "nncf.quantize as it comes, on ONNX"),
    Peer(
        "nncf-onnx-tuned",
        "nncf",
        "nncf:onnx_tuned",
        "onnx",
        _ORT,
        "pre-processed, min-max ranges",
    ),
    Peer("openvino-float", "nncf", "nncf:openvino_float", "onnx", _OPENVINO, "converted, float16 weights", int8=False),
    Peer("openvino", "nncf", "nncf:openvino_default", "onnx", _OPENVINO, "nncf.quantize as it comes, on OpenVINO"),
    Peer("openvino-tuned", "nncf", "nncf:openvino_tuned", "onnx", _OPENVINO, "min-max ranges, full bias correction"),
    Peer("litert-float", "litert", "litert:floating", "pt2", _TFLITE, "litert-torch, float", int8=False),
    Peer("litert", "litert", "litert:default", "pt2", _TFLITE, "litert-torch, ai-edge-quantizer, float in and out"),
    Peer("litert-minmax", "litert", "litert:true_ranges", "pt2", _TFLITE, "the same, true min-max ranges"),
    Peer("pt2e", "litert", "litert:pt2e", "pt2", _TFLITE, "PT2E, per channel, by litert-torch"),
    Peer("executorch", "executorch", "executorch:default", "pt2", {"model.pte": "executorch"}, "PT2E for XNNPACK"),
    Peer("coreml-float", "coremltools", "coremltools:floating", "jit", _COREML, "float16 as it comes", int8=False),
    Peer("coreml-w8", "coremltools", "coremltools:weights", "jit", _COREML, "linear_quantize_weights"),
    Peer("coreml-w8a8", "coremltools", "coremltools:activations", "jit", _COREML, "linear_quantize_activations too"),
    Peer("ncnn", "ncnn", "ncnn:half", "onnx", {"model.ncnn.param": "ncnn"}, "pnnx, float16 weights", int8=False),
    Peer("ncnn-int8", "ncnn", "ncnn:int8", "onnx", {"model.ncnn.param": "ncnn"}, "ncnn2table, ncnn2int8"),
    Peer("mnn-w8", "mnn", "mnn:weights", "onnx", {"model.mnn": "mnn"}, "mnnconvert, 8-bit weights"),
    Peer("mnn", "mnn", "mnn:default", "onnx", {"model.mnn": "mnn"}, "mnnquant as it comes"),
)
