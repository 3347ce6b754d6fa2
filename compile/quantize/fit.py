"""Ranges by their effect: of each int8 value, the range that hurts the network's output least.

The range with the least squared error of the value itself (``ranges.py``) is only a guess: a network may depend on the
small values of a layer much more than on its peaks. So from the guess and from shares of the whole range that is taken
with which, alone, the output is nearest to the float model's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import Model, shape_of
from compile.quantize.calibrate import Ranges, Samples, batches, probe, spread
from compile.quantize.measure import Outputs, collect, noise_to_signal
from compile.quantize.noise import Kind, places
from compile.quantize.scheme import ACTIVATION_MAX, ACTIVATION_MIN, FIXED_OUTPUT, QuantPlan, Scheme, affine
from targets.kernels import MOVES
from targets.onnx.run import Session

SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2)  # of the whole range
SAMPLES = 64
KEPT_BYTES = 1 << 27  # of values at a time, besides what one of them takes
CLEARLY = 2.0  # times less noise than the guess: smaller gains are luck, and other speech does not repeat them
HOPELESS = 4.0  # times the least noise: a range that cuts off still more is not tried
_INPUT = "phiz.fitted"


def fit_ranges(
    model: Model,
    ranges: Ranges,
    plan: QuantPlan,
    samples: Samples,
    progress: Callable[[int, int], None] | None = None,
) -> Ranges:
    """The ranges with a better ``best`` for every value that ``plan`` rounds.

    Values that keep their peaks or have fixed parameters (graph outputs, Sigmoid, Tanh) stay as they are.

    Args:
        model: float, in the hub dialect.
        ranges: as observed.
        plan: says which values are rounded.
        samples: calibration input; a part of it is used.
        progress: called with (values done, values).
    """
    feeds = batches(model, spread(model, samples, SAMPLES))
    reference = collect(Session(model.to_bytes(), "the float model"), feeds)
    fixed = {value.name for node in model.ir.graph if node.op_type in FIXED_OUTPUT for value in node.outputs}
    fixed |= {value.name for value in model.ir.graph.outputs}
    names = [place.value for place in places(model, plan) if place.kind != Kind.WEIGHTS and place.value not in fixed]
    best, count = dict(ranges.best), 0
    for group in _groups(model, names, len(feeds)):
        values = _values(model, group, feeds)
        for name in group:
            tail = Session(_tail(model, name).to_bytes(), "the rest of the network")
            found = _fit(tail, feeds, values[name], reference, (ranges.low[name], ranges.high[name]), best[name])
            best.update(dict.fromkeys([name, *_moved(model, plan, name)], found))
            count += 1
            if progress is not None:
                progress(count, len(names))
    return replace(ranges, best=best)


def _groups(model: Model, names: list[str], feeds: int) -> Iterator[list[str]]:
    """The names in runs whose values fit ``KEPT_BYTES``, or of one: images have values of many megabytes."""
    graph = model.ir.graph
    known = (*graph.inputs, *(value for node in graph for value in node.outputs))
    sizes = {value.name: 4 * feeds * int(np.prod(shape_of(value))) for value in known}
    group: list[str] = []
    for name in names:
        if group and sum(sizes[other] for other in (*group, name)) > KEPT_BYTES:
            yield group
            group = []
        group.append(name)
    if group:
        yield group


def _fit(
    tail: Session,
    feeds: list[dict[str, NDArray[np.float32]]],
    values: list[NDArray[np.float32]],
    reference: Outputs,
    whole: tuple[float, float],
    guess: tuple[float, float],
) -> tuple[float, float]:
    """The best of the guess and the shares of the whole."""

    def noise(reach: tuple[float, float]) -> float:
        parameters = affine(*reach)
        rounded = []
        for feed, array in zip(feeds, values, strict=True):
            integers = np.rint(array / np.float32(parameters.scale)) + parameters.zero_point
            integers = np.clip(integers, ACTIVATION_MIN, ACTIVATION_MAX) - parameters.zero_point
            rounded.append({**feed, _INPUT: np.asarray(integers * np.float32(parameters.scale), np.float32)})
        return noise_to_signal(reference, collect(tail, rounded))

    best, least = guess, noise(guess)
    clearly = least / CLEARLY
    for share in SHARES:
        reach = (share * whole[0], share * whole[1])
        power = noise(reach)
        if power < min(least, clearly):
            best, least = reach, power
        elif power > HOPELESS * least:
            break
    return best


def _values(
    model: Model, names: list[str], feeds: list[dict[str, NDArray[np.float32]]]
) -> Mapping[str, list[NDArray[np.float32]]]:
    """What the float model computes, feed by feed."""
    computed = [name for name in names if name not in {port.name for port in model.inputs}]
    session = probe(model, computed)
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for feed in feeds:
        values = {**feed, **session.fetch(computed, feed)}
        for name in names:
            found[name].append(np.asarray(values[name], np.float32))
    return found


def _tail(model: Model, name: str) -> Model:
    """The model with one value given instead of computed, without what only served to compute it."""
    own = model.clone()
    graph = own.ir.graph
    value = next(v for v in (*graph.inputs, *(v for node in graph for v in node.outputs)) if v.name == name)
    given = ir.Value(name=_INPUT, shape=ir.Shape(shape_of(value)), type=ir.TensorType(ir.DataType.FLOAT))
    for user, index in list(value.uses()):
        user.replace_input_with(index, given)
    graph.inputs.append(given)
    for node in reversed(list(graph)):
        if not any(output.uses() or output.is_graph_output() for output in node.outputs):
            graph.remove(node, safe=True)
    for unused in [key for key, initializer in graph.initializers.items() if not initializer.uses()]:
        del graph.initializers[unused]
    return own


def _moved(model: Model, plan: QuantPlan, name: str) -> list[str]:
    """The values that are ``name`` moved by integer kernels."""
    same = [name]
    for node in model.ir.graph:
        integer = node.op_type in MOVES and plan.decisions[node.name or ""].scheme == Scheme.W8A8
        if integer and any(value is not None and value.name in same for value in node.inputs):
            same += [value.name or "" for value in node.outputs]
    return same[1:]
