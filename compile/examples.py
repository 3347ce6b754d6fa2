"""Examples that travel with an artefact: a few inputs, and what onnxruntime makes of them.

Inputs are judging samples as whole numbers of 16 bits times a power of two; the quantised graph then hears just these.
So they take few bytes as text, and no reader of them can be off by a rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.model import Model
from compile.parity import HUB, Parity
from compile.quantize.measure import collect
from targets.base import Examples, Runner
from targets.onnx.run import Session
from targets.stream import KEY, Stream
from targets.streamed import Streamed, axis_of, cut

Feed = Mapping[str, NDArray[np.float32]]
NUMBERS = 16_000  # of inputs and outputs together: some 80 kB of text
_MOST = 32  # examples, however small
_LOUDEST = 1e38  # which rounded up is still a float32
_ROUNDING = 1.001  # of what is one step apart, in float32


def examples(hub: Model, samples: Sequence[Feed], steps: Mapping[str, float]) -> Examples:
    """Windows, or where the graph streams hops from its reset on, and what onnxruntime makes of them.

    Args:
        hub: the quantised graph that the artefact was lowered from.
        samples: for judging; the loudest are taken, from all parts of them.
        steps: the size of a step of each output. An answer may be one step off.
    """
    session = Session(hub.to_bytes(), "the quantised graph")
    outputs = sum(math.prod(port.shape) for port in hub.outputs if port.name in steps)
    if KEY not in hub.metadata:
        taken = sum(array.size for array in samples[0].values())
        feeds = _loudest(samples, max(1, min(_MOST, NUMBERS // (taken + outputs))))
        whole, units = _whole(feeds)
        said = collect(session, _inputs(whole, units))
    else:
        stream = Stream.from_metadata(hub.metadata, "the streaming graph")
        ((name, shape),) = Streamed(session, stream).inputs.items()
        axis = axis_of(shape, samples[0][name].shape)
        count = max(stream.warm_up + 1, NUMBERS // (math.prod(shape) + outputs))
        windows = -(-count * shape[axis] // samples[0][name].shape[axis])
        audio = np.concatenate([feed[name] for feed in _loudest(samples, windows)], axis)
        whole, units = _whole([{name: np.asarray(hop, np.float32)} for hop in cut(audio, shape, axis)[:count]])
        said = collect(Streamed(session, stream), _inputs(whole, units))
    count = len(next(iter(said.values())))
    return Examples(count, whole, units, said, {name: _ROUNDING * steps[name] for name in said})


def replayed(given: Examples, runner: Runner, stream: Stream | None) -> float:
    """How many steps an artefact is from what its examples expect, at most: what its self-test will find.

    Args:
        given: its examples.
        runner: of the artefact.
        stream: how it is streamed; None for one that takes windows.
    """
    said = collect(runner if stream is None else Streamed(runner, stream), _inputs(given.inputs, given.units))
    apart = [np.abs(said[name] - expected).max() / given.allowed[name] for name, expected in given.outputs.items()]
    return float(np.max(apart)) * _ROUNDING


def within(given: Examples, parity: Parity) -> Examples:
    """The same where an answer may be as many whole steps off as the artefact was where it ran: 1 or more."""
    apart = parity.steps.get(HUB, 1.0)
    steps = max(1, math.ceil(apart / _ROUNDING)) if math.isfinite(apart) else 1  # what is no number is never right
    return replace(given, allowed={name: steps * one for name, one in given.allowed.items()})


def _loudest(samples: Sequence[Feed], count: int) -> list[Feed]:
    """Of each of ``count`` parts of the samples the one with most power; silence would prove nothing."""

    def power(feed: Feed) -> float:
        return sum(float(np.sum(np.square(array, dtype=np.float64))) for array in feed.values())

    edges = np.linspace(0, len(samples), min(count, len(samples)) + 1).astype(int)
    return [max(samples[start:end], key=power) for start, end in pairwise(edges)]


def _whole(feeds: Sequence[Feed]) -> tuple[dict[str, NDArray[np.int16]], dict[str, float]]:
    """Each input as int16, and what one of its units is: the least power of two with which the largest fits."""
    numbers, units = {}, {}
    for name in feeds[0]:
        array = np.nan_to_num(np.stack([feed[name] for feed in feeds]).astype(np.float64)).clip(-_LOUDEST, _LOUDEST)
        largest = float(np.abs(array).max(initial=0))
        units[name] = 2.0 ** max(math.ceil(math.log2(largest / 32767)), -100) if largest else 1.0
        numbers[name] = np.round(array / units[name]).clip(-32767, 32767).astype(np.int16)
    return numbers, units


def _inputs(whole: Mapping[str, NDArray[np.int16]], units: Mapping[str, float]) -> list[dict[str, NDArray[Any]]]:
    count = len(next(iter(whole.values())))
    return [{name: array[index] * np.float32(units[name]) for name, array in whole.items()} for index in range(count)]
