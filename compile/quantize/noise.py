"""Where the error comes from: what each rounding of a plan does to the network's output when it is the only one.

A plan rounds at *places*: the weights of a node, and each value that exists as int8. A value that integer kernels only
move is rounded once, where it was made. Roundings are small and nearly independent, so the powers of what they do to
the output add up to nearly the error of the whole plan; the plan's own error tells how nearly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import Model
from compile.quantize.apply import apply
from compile.quantize.decide import fused_relu
from compile.quantize.measure import collect, noise_to_signal
from compile.quantize.scheme import Decision, QuantPlan, Scheme
from targets.kernels import MOVES
from targets.onnx.run import Session


class Kind(str, Enum):
    """What is rounded at a place."""

    WEIGHTS = "weights"  # the node's constants; where they are rounded with its input at run time, that too
    OUTPUT = "output"  # the value that the node makes
    INPUT = "input"  # a float value that is rounded for the sake of those who read it: the first of them answers for it


@dataclass(frozen=True)
class Place:
    """One rounding: the node that answers for it, what is rounded, and the value's name (empty for weights)."""

    node: str
    kind: Kind
    value: str = ""


def places(model: Model, plan: QuantPlan) -> tuple[Place, ...]:
    """Every place at which ``plan`` rounds something of ``model``, in the order of the graph."""
    graph = model.ir.graph
    integer = {node for node in graph if plan.decisions[_name(node)].scheme == Scheme.W8A8}
    kernel = {node: node for node in graph}  # an activation function inside a kernel belongs to the kernel's node
    kernel.update({relu: node for node in graph if (relu := fused_relu(node, plan.decisions, graph)) is not None})
    constants = {node for node, _ in plan.constants}

    def rounded(values: Sequence[ir.Value], maker: ir.Node | None) -> Iterator[Place]:
        for value in values:
            if value.name not in plan.activations or (maker in integer and maker.op_type in MOVES):
                continue
            if maker in integer:
                yield Place(_name(kernel[maker]), Kind.OUTPUT, value.name or "")
            else:
                reader = next(reader for reader in readers(value) if reader in integer)
                yield Place(_name(reader), Kind.INPUT, value.name or "")

    found = list(rounded(graph.inputs, None))
    for node in graph:
        half = plan.decisions[_name(node)].scheme == Scheme.FLOAT16
        if _name(node) in plan.weights or _name(node) in constants or half:
            found.append(Place(_name(node), Kind.WEIGHTS))
        found += rounded(node.outputs, node)
    return tuple(found)


def only(plan: QuantPlan, chosen: Sequence[Place]) -> QuantPlan:
    """The plan reduced to some of its places; all else is float, and biases are as the float model has them."""
    weighted = {place.node for place in chosen if place.kind == Kind.WEIGHTS}
    values = {place.value for place in chosen}
    return QuantPlan(
        decisions={
            name: Decision(_weights_alone(decision.scheme) if name in weighted else Scheme.FLOAT)
            for name, decision in plan.decisions.items()
        },
        activations={name: parameters for name, parameters in plan.activations.items() if name in values},
        weights={name: scale for name, scale in plan.weights.items() if name in weighted},
        constants={key: parameters for key, parameters in plan.constants.items() if key[0] in weighted},
        corrections={},
        integers={name: integers for name, integers in plan.integers.items() if name in weighted},
    )


def noise_of(
    model: Model,
    plan: QuantPlan,
    feeds: list[dict[str, NDArray[np.float32]]],
    reference: Mapping[str, NDArray[np.float32]],
) -> float:
    """The power of a whole plan's error at the network's output, as a share of the output's own; as :func:`noise`."""
    session = Session(apply(model, plan).to_bytes(), "the quantised graph")
    return noise_to_signal(reference, collect(session, feeds))


def noise(
    model: Model,
    plan: QuantPlan,
    feeds: list[dict[str, NDArray[np.float32]]],
    reference: Mapping[str, NDArray[np.float32]],
    progress: Callable[[int, int], None] | None = None,
) -> dict[Place, float]:
    """What each place of the plan, alone, does to the network's output.

    Args:
        model: float, in the hub dialect.
        plan: for it, with any mixture of schemes.
        feeds: input to measure on.
        reference: what the float model makes of it, from ``collect``.
        progress: called with (places done, places).

    Returns:
        Place -> power of the error over all outputs, as a share of their own power.
    """
    found = {}
    wanted = places(model, plan)
    for count, place in enumerate(wanted, start=1):
        found[place] = noise_of(model, only(plan, [place]), feeds, reference)
        if progress is not None:
            progress(count, len(wanted))
    return found


def _weights_alone(scheme: Scheme) -> Scheme:
    """The scheme that rounds a node's weights as ``scheme`` does and leaves its activations to others."""
    return Scheme.W8 if scheme == Scheme.W8A8 else scheme


def readers(value: ir.Value) -> Iterator[ir.Node]:
    """The nodes that compute with ``value``, past those that only move it; the movers themselves at the very end."""
    movers = []
    for node in dict.fromkeys(usage.node for usage in value.uses()):
        if node.op_type in MOVES:
            movers.append(node)
        else:
            yield node
    for mover in movers:
        yield from readers(mover.outputs[0])
    yield from movers


def _name(node: ir.Node) -> str:
    return node.name or ""
