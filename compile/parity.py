"""Do the artefacts say what the float model says, and do they say the same?

Judged on samples that calibration never saw. Against the captured float model (before any pass): SQNR and the
largest error as a share of each output's range. Against the quantised hub graph, executed by onnxruntime, and
against each other, as far as they have the same plan: the largest difference in quantisation steps of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, MissingTool
from compile.model import Model
from compile.quantize.calibrate import Ranges, Samples, batches
from compile.quantize.measure import Outputs, collect, sqnr
from compile.quantize.variants import Variant
from targets.base import Artifact, Runner
from targets.catalogue import Target
from targets.onnx.run import AS_WRITTEN, Session
from targets.stream import Stream, family
from targets.streamed import AtTheEnd, Streamed

HUB = "hub"
# How far two of them may stand apart, in steps of the output: one for what their kernels round differently, one for
# a rounding inside the network that falls the other way and grows on its way out. Core ML is evaluated in float
# arithmetic on the same integers, which can flip one more. A pair may differ by the larger of its two limits.
STEP_LIMITS = {HUB: 2.0, "onnx": 2.0, "tflite": 2.0, "coreml": 3.0, "c": 2.0}
# Such a rounding may grow further: onnxruntime is 4 steps from itself where each sample of the input changes by its
# last bits, in a network that turns them into logarithms. It is rare, though, and a wrong translation is not. So one
# value in RARE may be farther apart, up to FAR limits, where all others keep half of it.
RARE, FAR = 500, 8.0

SILENT = 1e-9  # a step of an output that is always 0


@dataclass(frozen=True)
class Parity:
    """What one artefact showed.

    Attributes:
        status: ``run``, or ``not run: <reason>``.
        sqnr_db: signal to quantisation noise against the float model, dB; None when not run, inf when equal.
        error: largest error as a share of the range of the element it occurs in (for a face, of the control).
        steps: largest distance to the hub graph and to each other artefact, by name, in steps of the output.
        failures: why it fails the gate, from :func:`judge`.
        sizes: of a step of each output.
        usual: as ``steps``, of all values but one in ``RARE``.
    """

    status: str
    sqnr_db: float | None = None
    error: float | None = None
    steps: Mapping[str, float] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    sizes: Mapping[str, float] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)

    @property
    def worst(self) -> float | None:
        """The largest of the steps; None when not run."""
        return max(self.steps.values(), default=None)

    def also(self, other: str, steps: float) -> Parity:
        """The same where it was found so many steps from ``other`` once more."""
        return replace(self, steps={**self.steps, other: float(np.maximum(self.steps.get(other, 0.0), steps))})


@dataclass(frozen=True)
class Hub:
    """What a quantised hub graph gives, and the size of a quantisation step of each output."""

    outputs: Outputs
    steps: Mapping[str, float]


@dataclass(frozen=True)
class References:
    """What artefacts are held against, computed once per build.

    Targets of one plan share one hub; what another road made has none.
    """

    samples: list[dict[str, NDArray[np.float32]]]
    float_outputs: Outputs
    hubs: Mapping[str, Hub]


def references(captured: Model, variants: Sequence[Variant], ranges: Ranges, samples: Samples) -> References:
    """Execute the captured float model and the quantised hub graphs on the judging samples.

    Args:
        captured: as the user gave it, before any pass.
        variants: the hub graphs, and the targets that each is for.
        ranges: give a step to float outputs, 1/255 of their calibrated range with 0 in it, as int8 ones have.
        samples: for judging only.
    """
    reference = float_reference(captured, samples)
    hubs: dict[str, Hub] = {}
    for variant in variants:
        steps = {
            port.name: variant.plan.activations[port.name].scale
            if port.name in variant.plan.activations
            else _step(ranges.low[port.name], ranges.high[port.name])
            for port in variant.hub.outputs  # the captured ones may be dynamic until shapes are inferred
        }
        hub = Hub(collect(Session(variant.hub.to_bytes(), "the quantised graph"), reference.samples), steps)
        hubs.update(dict.fromkeys(variant.targets, hub))
    return replace(reference, hubs=hubs)


def _step(low: float, high: float) -> float:
    """Without 0 in the range, an output that hardly moves had steps finer than float32 at its own height."""
    return (max(high, 0.0) - min(low, 0.0)) / 255 or SILENT


def float_reference(captured: Model, samples: Samples) -> References:
    """The captured float model executed on the judging samples; no quantised graphs."""
    feeds = batches(captured, samples)
    return References(feeds, collect(Session(captured.to_bytes(), "the captured model", AS_WRITTEN), feeds), {})


def opened(target: Target, path: Path) -> Runner | str:
    """The artefact at ``path``, as it lies on disk, ready to execute; or why that is not possible here.

    Raises:
        UserError: the runtime is there but refuses the file.
    """
    try:
        return target.load(path)
    except (MissingExtra, MissingTool) as error:
        return f"not run: {error}"


def run(
    runner: Runner | str,
    against: References,
    progress: Callable[[int, int], None] | None = None,
    stream: Stream | None = None,
) -> Outputs | str:
    """What an artefact says to the samples; or why it says nothing, from :func:`opened`.

    One that streams is given each sample hop by hop from its reset on, and answers with what it says at the end.
    """
    if isinstance(runner, str):
        return runner
    if stream is None:
        return collect(runner, against.samples, progress)
    return collect(AtTheEnd(Streamed(runner, stream)), against.samples, progress)


def stream_of(target: Target, artifact: Artifact) -> Stream | None:
    """How an artefact is streamed, as its own bytes say; None for one that takes windows."""
    if not target.streams:
        return None
    return Stream.from_metadata(target.dissect(artifact.files).metadata, artifact.name)


def compare(artefacts: Mapping[str, Outputs | str], against: References) -> dict[str, Parity]:
    """Figures of every artefact from its outputs, or its reason for having none; pure."""
    outputs = {name: given for name, given in artefacts.items() if not isinstance(given, str)}
    results = {}
    for name, given in artefacts.items():
        if isinstance(given, str):
            results[name] = Parity(given)
            continue
        reference = newest(against.float_outputs, given)
        share, noise = error_share(reference, given), sqnr(reference, given)
        sizes = against.hubs[name].steps if name in against.hubs else {}
        apart = _distances(name, outputs, against)
        most = {other: float(distances[-1]) for other, distances in apart.items()}
        usual = {other: float(distances[-1 - len(distances) // RARE]) for other, distances in apart.items()}
        results[name] = Parity("run", noise, share, most, sizes=sizes, usual=usual)
    return results


def _distances(name: str, outputs: Mapping[str, Outputs], against: References) -> dict[str, NDArray[np.float64]]:
    """In steps of the output, from the least to the largest or NaN: to the quantised graph and to what shares it."""
    hub = against.hubs.get(name)
    if hub is None:
        return {}
    siblings = {other: theirs for other, theirs in outputs.items() if other != name and against.hubs[other] is hub}
    return {other: _steps(outputs[name], theirs, hub.steps) for other, theirs in {HUB: hub.outputs, **siblings}.items()}


def newest(outputs: Outputs, like: Outputs) -> Outputs:
    """What a stream gives, too, of outputs of windows: of a sequence, the last steps; of all else, everything."""

    def last(array: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
        return array[tuple(slice(max(has - wanted, 0), None) for has, wanted in zip(array.shape, shape, strict=True))]

    return {name: last(array, like[name].shape) for name, array in outputs.items()}


def _steps(ours: Outputs, theirs: Outputs, steps: Mapping[str, float]) -> NDArray[np.float64]:
    ours, theirs = newest(ours, theirs), newest(theirs, ours)
    apart = [np.abs(ours[name] - array).ravel() / np.float64(steps[name]) for name, array in theirs.items()]
    return np.sort(np.concatenate(apart))


def error_share(reference: Outputs, outputs: Outputs) -> float:
    """The largest error, each relative to the range of its element (last axes) over the samples."""
    shares = [0.0]
    for name, array in reference.items():
        span = array.max(axis=0) - array.min(axis=0)
        error = np.abs(outputs[name] - array).max(axis=0)
        live = span > 1e-6 * (float(np.abs(array).max()) or 1.0)  # a constant element has no range to speak of
        if live.any():
            shares.append(float((error[live] / span[live]).max()))
    return max(shares)


def judge(parities: Mapping[str, Parity], min_sqnr: float | None, max_steps: float | None) -> dict[str, Parity]:
    """The same figures with the reasons why they fail the gate; what could not run fails one that was asked for."""
    return {
        target: replace(parity, failures=tuple(_failures(target, parity, min_sqnr, max_steps)))
        for target, parity in parities.items()
    }


def _failures(target: str, parity: Parity, min_sqnr: float | None, max_steps: float | None) -> Iterator[str]:
    if parity.status != "run":
        if min_sqnr is not None or max_steps is not None:
            yield f"parity was asked for but {parity.status}"
        return
    if not np.isfinite([*parity.steps.values(), parity.error or 0.0]).all() or parity.sqnr_db is None:
        yield "its output is NaN or Inf"
        return
    if min_sqnr is not None and parity.sqnr_db < min_sqnr:
        yield f"SQNR {parity.sqnr_db:.1f} dB is below the {min_sqnr:g} dB asked for"
    for other, steps in parity.steps.items():
        limit = max(STEP_LIMITS[family(name)] for name in (target, other)) if max_steps is None else max_steps
        rare = max_steps is None and parity.usual.get(other, np.inf) <= limit / 2 and steps <= FAR * limit
        if steps > limit + 1e-3 and not rare:
            yield f"{steps:.2f} quantisation steps from {other}, {limit:g} allowed"
