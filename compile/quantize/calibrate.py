"""What the float model's tensors look like on real input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from compile.errors import UserError
from compile.model import Model
from compile.quantize.ranges import MSE, Method
from targets.onnx.run import REWRITTEN_OR_NOT, Levels, Session

KEPT_VALUES = 1 << 16  # of each activation, to choose its range by
Samples = Mapping[str, NDArray[np.float32]]  # input name -> [count * batch, ...], batch first


@dataclass(frozen=True)
class Ranges:
    """What every activation did over the calibration samples, by name.

    Attributes:
        low: smallest value.
        high: largest value.
        best: the range worth covering, by one of the methods of ``compile.quantize.ranges``.
        unfit: what int8 cannot hold, and why; from ``compile.quantize.relative``.
        streamed: what a stream never has whole at once, so that nothing of it can be quantised at run time; empty where
            nothing streams.
    """

    low: Mapping[str, float]
    high: Mapping[str, float]
    best: Mapping[str, tuple[float, float]]
    unfit: Mapping[str, str] = field(default_factory=dict)
    streamed: frozenset[str] = frozenset()


def observe(
    model: Model,
    samples: Samples,
    progress: Callable[[int, int], None] | None = None,
    method: Method = MSE,
) -> Ranges:
    """Run the float model over all samples and record each activation's range, and how much of it is worth covering.

    What is kept of an activation to choose its range by, does not grow with the number of samples.

    Args:
        model: float, in the hub dialect.
        samples: calibration input.
        progress: called with (batches done, batches).
        method: what is worth covering.

    Raises:
        UserError: an activation became NaN or Inf; names it.
    """
    names = [value.name or "" for node in model.ir.graph for value in node.outputs]
    session = probe(model, names)
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    seen: dict[str, list[NDArray[np.float32]]] = {}
    feeds = list(batches(model, samples))
    for count, feed in enumerate(feeds, start=1):
        for name, array in (*feed.items(), *session.fetch(names, feed).items()):
            least, most = float(np.min(array)), float(np.max(array))
            if not np.isfinite(least) or not np.isfinite(most):
                raise UserError(
                    "it becomes NaN or Inf on the calibration input", where=f"tensor '{name}'", fix="check the model"
                )
            low[name] = min(low.get(name, least), least)
            high[name] = max(high.get(name, most), most)
            flat = np.asarray(array, np.float32).reshape(-1)
            stride = max(len(flat) * len(feeds) // KEPT_VALUES, 1)
            # A copy, for a slice would keep the whole array; other places in every batch, for edges are unlike middles.
            seen.setdefault(name, []).append(flat[7 * (count - 1) % stride :: stride].copy())
        if progress is not None:
            progress(count, len(feeds))
    best = {name: method.choose(np.concatenate(values), low[name], high[name]) for name, values in seen.items()}
    return Ranges(low, high, best)


def probe(model: Model, names: list[str], levels: Levels = REWRITTEN_OR_NOT) -> Session:
    """A session whose outputs are the values called ``names``, and which computes nothing but what they need.

    ``levels`` as for a ``Session``.
    """
    proto = ir.to_proto(model.ir)
    graph, nodes = proto.graph, []
    wanted = dict.fromkeys(names or (output.name for output in graph.output))  # a session has to have some output
    needed = set(wanted)
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    for part, kept in (("node", nodes[::-1]), ("initializer", constants)):
        graph.ClearField(part)
        getattr(graph, part).extend(kept)
    graph.ClearField("output")
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    return Session(proto.SerializeToString(), "the model under calibration", levels)


def batches(model: Model, samples: Samples) -> list[dict[str, NDArray[np.float32]]]:
    """Cut samples into feeds of the model's batch size; a rest that does not fill a batch is left out."""
    ports = {port.name: port for port in model.inputs}
    count = min(len(samples[name]) // port.shape[0] for name, port in ports.items())
    return [
        {name: samples[name][index * port.shape[0] : (index + 1) * port.shape[0]] for name, port in ports.items()}
        for index in range(count)
    ]


def spread(model: Model, samples: Samples, count: int) -> Samples:
    """At most ``count`` batches of the samples, evenly spaced: neighbours overlap, and the first are not typical."""
    return pick(model, samples, slice(None, None, max(-(-len(batches(model, samples)) // count), 1)))


def pick(model: Model, samples: Samples, which: slice) -> Samples:
    """Some batches of the samples."""
    feeds = batches(model, samples)[which]
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]} if feeds else {}


def check_samples(
    model: Model, samples: Mapping[str, NDArray[np.generic]], where: str
) -> dict[str, NDArray[np.float32]]:
    """The samples as float32, after checking names, shapes, number and values against the model's inputs.

    Raises:
        UserError: an input is missing, a shape differs, there are too few samples, or a sample is not finite.
    """
    checked: dict[str, NDArray[np.float32]] = {}
    for port in model.inputs:
        place = f"{where}, array '{port.name}'"
        if port.name not in samples:
            held = ", ".join(sorted(samples)) or "nothing"
            raise UserError(f"it holds {held}, but not the model's input '{port.name}'", where=where)
        array = np.asarray(samples[port.name])
        expected = "x".join(map(str, ("N", *port.shape[1:])))
        if array.ndim != len(port.shape) or array.shape[1:] != port.shape[1:] or array.dtype.kind not in "fiu":
            found = "x".join(map(str, array.shape))
            raise UserError(f"it is {array.dtype} {found}, expected numbers of shape {expected}", where=place)
        if len(array) < 2 * port.shape[0]:
            raise UserError(
                f"it holds {len(array)} samples; the model takes {port.shape[0]} at a time and two such batches are "
                "needed, one to calibrate and one to judge",
                where=place,
            )
        checked[port.name] = array.astype(np.float32)
        if not np.isfinite(checked[port.name]).all():
            raise UserError("it holds NaN or Inf", where=place)
    return checked
