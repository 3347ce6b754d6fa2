"""What a logarithm reads: values that the steps of one linear scale cannot hold.

int8 divides a range into equal steps, so what is small is rounded away. Most operators do not mind, for they pass an
error on as small as it came. A logarithm does: it asks for relative precision, and so do a root, a power below 1 and a
quotient of its divisor. Nobody can tell from the graph how far back that matters: a sum of many exponentials is never
small. So what such an operator reads, and what that was computed from, is rounded to int8, one value alone, and what
leaves the operator is looked at, up to the first values that do no harm there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import Model, operand
from compile.quantize.apply import apply
from compile.quantize.calibrate import Ranges, Samples, batches, probe, spread
from compile.quantize.measure import decibel
from compile.quantize.scheme import Decision, QuantPlan, Scheme, affine

ASKS = {"Log": 0, "Sqrt": 0, "Pow": 0, "Div": 1}  # operator -> which of its inputs must be right in proportion
LEAST = 25.0  # dB beside the variance of what leaves the operator; int8 itself leaves there more than 40
SAMPLES = 16

Feeds = list[dict[str, NDArray[np.float32]]]


def unfit_for_steps(model: Model, ranges: Ranges, samples: Samples) -> Mapping[str, str]:
    """The values that must not exist as int8, each with its reason.

    Args:
        model: float, in the hub dialect.
        ranges: of its activations.
        samples: calibration input; a part of it is used.
    """
    feeds = batches(model, spread(model, samples, SAMPLES))
    found: dict[str, str] = {}
    for node in model.ir.graph:
        if node.op_type not in ASKS:
            continue
        whole = _outputs(model, node, feeds)
        waiting, seen = [operand(node, ASKS[node.op_type])], set()
        while waiting:
            value = waiting.pop()
            if value in seen or value.const_value is not None or value.dtype != ir.DataType.FLOAT:
                continue
            seen.add(value)
            left = _left(whole, _outputs(apply(model, _alone(model, ranges, value)), node, feeds))
            if left < LEAST:
                share = f"{left:.0f} dB" if left > 0 else "nothing"
                found.setdefault(value.name or "", f"int8 steps of '{value.name}' leave {share} of '{node.name}'")
                maker = value.producer()
                waiting += [other for other in maker.inputs if other is not None] if maker is not None else []
    return found


def _alone(model: Model, ranges: Ranges, value: ir.Value) -> QuantPlan:
    """The plan that rounds one value and nothing else."""
    name = value.name or ""
    decisions = {node.name or "": Decision(Scheme.FLOAT) for node in model.ir.graph}
    return QuantPlan(decisions, {name: affine(*ranges.best[name])}, weights={}, constants={}, corrections={})


def _outputs(model: Model, node: ir.Node, feeds: Feeds) -> NDArray[np.float64]:
    name = node.outputs[0].name or ""
    session = probe(model, [name])
    return np.stack([np.asarray(session.fetch([name], feed)[name], np.float64) for feed in feeds])


def _left(whole: NDArray[np.float64], rounded: NDArray[np.float64]) -> float:
    """The variance beside the power of the error, dB; the logarithm of 0 is an error that leaves nothing."""
    if not np.isfinite(rounded).all():
        return -np.inf
    variance, power = float(np.var(whole)), float(np.mean(np.square(rounded - whole)))
    return decibel(power / variance) if variance else np.inf
