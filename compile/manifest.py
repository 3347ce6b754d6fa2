"""What was built, from what, with which versions: ``manifest.json`` and ``golden.npz``.

Both are deterministic: no times, no paths of the machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from compile.model import Model
from compile.parity import Parity, References
from compile.quantize.measure import Outputs, collect
from compile.quantize.scheme import QuantPlan
from targets.base import Artifact
from targets.catalogue import find
from targets.face import Face
from targets.onnx.run import Session
from targets.stream import Stream
from targets.streamed import Streamed, axis_of, cut

FORMAT = 1
GOLDEN_BATCHES = 8
# Whatever may change the bytes of an artefact or the figures about it.
_PACKAGES = ("phiz", "ai-edge-litert", "coremltools", "numpy", "onnx", "onnx-ir", "onnxruntime", "onnxsim", "torch")


def installed_versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str | None]:
    """Versions by distribution name, None for what is not installed; nothing is imported."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def describe(
    captured: Model,
    against: References,
    road: Mapping[str, Any],
    artifacts: Sequence[Artifact],
    parity: Mapping[str, Parity],
    budget: Mapping[str, int | None],
    minimum: Mapping[str, int],
    calibration: Mapping[str, Any],
    records: Mapping[str, bytes],
    streams: Mapping[str, Stream],
) -> dict[str, Any]:
    """The manifest as plain data, ready for JSON.

    The outputs' shapes are those of ``against``, for a captured model need not know them. ``road`` says how the
    artefacts were made, ``minimum`` is by target, ``records`` are further reports in the folder, ``streams`` say how
    the artefacts that stream do so.
    """
    return {
        "format": FORMAT,
        "name": captured.ir.graph.name,
        "model": {
            "sha256": hashlib.sha256(captured.to_bytes()).hexdigest(),
            "inputs": [_port(port.name, port.shape, port.dtype) for port in captured.inputs],
            "outputs": [_port(name, array.shape[1:], "float32") for name, array in against.float_outputs.items()],
            "metadata": captured.metadata,
        },
        **road,
        "calibration": dict(calibration),
        "artifacts": {artifact.target: _artifact(artifact, minimum.get(artifact.target)) for artifact in artifacts},
        "streams": {target: _stream(stream, captured.metadata) for target, stream in streams.items()},
        "parity": {
            target: {
                "status": result.status,
                "sqnr_db": _finite(result.sqnr_db),
                "error_share": _finite(result.error),
                "steps": _finite(result.worst),
                "failures": list(result.failures),
                "steps_from": {other: _finite(steps) for other, steps in result.steps.items()},
                "usual_steps_from": {other: _finite(steps) for other, steps in result.usual.items()},
                "step_sizes": {name: float(f"{size:.7g}") for name, size in result.sizes.items()},
                **_executed(target, result.status),
            }
            for target, result in parity.items()
        },
        "records": {name: _digest(data) for name, data in sorted(records.items())},
        "budget": dict(budget),
        "versions": installed_versions(),
        "platform": {"machine": platform.machine(), "python": platform.python_version()},
    }


def _stream(stream: Stream, metadata: Mapping[str, str]) -> dict[str, Any]:
    """How to stream, and of a face how long that takes: a frame waits for its look-ahead, however fast the machine."""
    try:
        face = Face.from_metadata(metadata, "the model")
    except UserError:  # of another network nobody says how long a step of its input is
        return asdict(stream)
    a_hop = 1000 * stream.hop / face.sample_rate
    times = {"hop_ms": a_hop, "latency_ms": face.look_ahead_ms, "warm_up_ms": stream.warm_up * a_hop}
    return asdict(stream) | times


def _executed(target: str, status: str) -> dict[str, str]:
    """Whether the target's own runtime ran, and what did in its place."""
    known = find(target)
    if status != "run" or not known.emulator:
        return {"runtime": status}
    return {"runtime": f"not run: needs {known.needs}", "evaluated_with": known.emulator}


def schemes(plan: QuantPlan) -> dict[str, Any]:
    """The scheme of every node, and why."""
    return {
        name: {"scheme": decision.scheme.value, "because": decision.because}
        for name, decision in plan.decisions.items()
    }


def to_json(data: Mapping[str, Any]) -> bytes:
    """Sorted, indented, one trailing newline: equal data gives equal bytes."""
    return (json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def golden(
    against: References,
    answers: Mapping[str, Outputs | str],
    flowing: Mapping[str, Model],
    streams: Mapping[str, Stream],
) -> bytes:
    """A few judging inputs with the outputs to expect, for an engine team to check its integration.

    An ``.npz`` without pickles: ``input.NAME``, ``expected.NAME`` (the quantised graph) and ``float.NAME`` (the float
    model), each with one leading axis that counts the examples. A target with a plan of its own, such as Core ML's
    int8 weights in float16, has ``expected.TARGET.NAME``. Where there is no quantised graph, the artefact's own
    ``answers`` are what to expect of it.

    For a stream: ``stream.input.NAME`` and ``stream.expected.NAME``, hop after hop from its reset on, each with one
    leading axis that counts the hops; ``stream.expected.TARGET.NAME`` as above. ``stream.hop`` and ``stream.warm_up``
    are numbers, ``stream.reset.TARGET`` has one for each state, in the order of the artefact's inputs.

    Args:
        against: what was judged by.
        answers: of every artefact.
        flowing: the hub graphs of the artefacts that stream, by target.
        streams: how each of these does so.
    """
    count = min(GOLDEN_BATCHES, len(against.samples))
    picked = np.linspace(0, len(against.samples) - 1, count).round().astype(int)
    arrays: dict[str, NDArray[Any]] = {
        f"input.{name}": np.stack([against.samples[index][name] for index in picked]) for name in against.samples[0]
    }
    arrays |= {f"float.{name}": array[picked] for name, array in against.float_outputs.items()}
    own = {target: given for target, given in answers.items() if not isinstance(given, str)}
    expected = {target: hub.outputs for target, hub in against.hubs.items()} or own
    first = next(iter(expected.values()), {})
    arrays |= {f"expected.{name}": array[picked] for name, array in first.items()}
    for target, outputs in expected.items():
        if outputs is not first:
            arrays |= {f"expected.{target}.{name}": array[picked] for name, array in outputs.items()}
    arrays |= _hops(against, flowing, picked) | _facts(streams)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _facts(streams: Mapping[str, Stream]) -> dict[str, NDArray[Any]]:
    """What an engine must know to push the hops, as numbers."""
    arrays: dict[str, NDArray[Any]] = {}
    for target, stream in streams.items():
        arrays |= {"stream.hop": np.array(stream.hop), "stream.warm_up": np.array(stream.warm_up)}
        arrays[f"stream.reset.{target}"] = np.array([state.reset for state in stream.states], np.int32)
    return arrays


def _hops(against: References, flowing: Mapping[str, Model], picked: NDArray[np.int_]) -> dict[str, NDArray[Any]]:
    """What streams hear and say when the picked samples are pushed one after the other."""
    arrays: dict[str, NDArray[Any]] = {}
    known: list[tuple[Model, Outputs]] = []
    for target, model in flowing.items():
        said = next((said for other, said in known if other is model), None)
        if said is None:
            stream = Stream.from_metadata(model.metadata, target)
            streamed = Streamed(Session(model.to_bytes(), "the streaming graph"), stream)
            ((name, shape),) = streamed.inputs.items()
            axis = axis_of(shape, against.samples[0][name].shape)
            hops = cut(np.concatenate([against.samples[index][name] for index in picked], axis), shape, axis)
            said = collect(streamed, [{name: np.asarray(hop, np.float32)} for hop in hops])
            arrays[f"stream.input.{name}"] = np.stack(hops)
            known.append((model, said))
        own = "" if model is known[0][0] else f"{target}."
        arrays |= {f"stream.expected.{own}{key}": array for key, array in said.items()}
    return arrays


def minimum_bytes(layers: Sequence[tuple[int, int, bool]], width: int) -> int:
    """The least a file can hold: weights, biases of 4 bytes, and for int8 one float32 scale a channel.

    Args:
        layers: (output channels, weights, has a bias) of each weighted layer, shared weights once.
        width: bytes of a weight: 1 for int8, 2 for float16, 4 for float32.
    """
    scales = 1 if width == 1 else 0
    return sum(width * weights + 4 * channels * (scales + bias) for channels, weights, bias in layers)


def _artifact(artifact: Artifact, minimum: int | None) -> dict[str, Any]:
    return {
        "path": artifact.name,
        "minimum_bytes": minimum,
        "files": {name: _digest(data) for name, data in sorted(artifact.files.items())},
    }


def _digest(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _port(name: str, shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "dtype": dtype}


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: equal outputs (infinite SQNR) are written as null beside their 0 steps."""
    return None if value is None or not np.isfinite(value) else round(value, 4)
