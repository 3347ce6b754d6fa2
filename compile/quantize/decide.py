"""decide(model, ranges, recipe) -> QuantPlan: pure; every choice of quantisation is made here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.errors import Bug
from compile.model import Model, constant, operand, shape_of
from compile.quantize.calibrate import Ranges
from compile.quantize.recipe import Recipe, pinned, schemes
from compile.quantize.scheme import (
    FIXED_OUTPUT,
    FOLLOWING,
    SPEAKS_OF_WEIGHTS,
    WEIGHTED,
    Affine,
    Decision,
    QuantPlan,
    Scheme,
    affine,
    channel_axis,
    unfit_for_float16,
    weight_scale,
)
from targets.kernels import FUSES_RELU, HAS_INTEGERS, MOVES, activation


def decide(model: Model, ranges: Ranges, recipe: Recipe) -> QuantPlan:
    """Choose a scheme for every node and parameters for every int8 tensor.

    Args:
        model: float, in the hub dialect.
        ranges: of its activations.
        recipe: ordered rules; see ``recipe.py``.

    Raises:
        UserError: a rule of the user's matches nothing.
    """
    graph = model.ir.graph
    wanted = schemes(graph, recipe)
    if ranges.unfit:
        wanted |= _spared(graph, wanted, ranges, pinned(graph, recipe))
    decisions = _settle(graph, wanted, ranges.streamed)
    while True:
        groups = _shared(graph, decisions)
        conflict = _conflict(graph, decisions, groups, ranges)
        if conflict is None:
            break
        wanted[conflict] = Decision(Scheme.FLOAT, "what it joins cannot share one scale")
        decisions = _settle(graph, wanted, ranges.streamed)
    activations = _parameters(graph, decisions, groups, ranges)
    return QuantPlan(
        decisions=decisions,
        activations=activations,
        weights=_weights(graph, decisions, activations),
        constants=_constants(graph, decisions),
        corrections={},
    )


def fused_relu(node: ir.Node, decisions: Mapping[str, Decision], graph: ir.Graph) -> ir.Node | None:
    """The Relu that becomes part of ``node``'s integer kernel, if there is one."""
    users = node.outputs[0].uses()
    if node.op_type not in FUSES_RELU or len(users) != 1 or node.outputs[0] in graph.outputs:
        return None
    follower = next(iter(users)).node
    both = all(decisions[_name(n)].scheme == Scheme.W8A8 for n in (node, follower))
    return follower if activation(follower) and both else None


def _spared(
    graph: ir.Graph, wanted: Mapping[str, Decision], ranges: Ranges, given: frozenset[str]
) -> dict[str, Decision]:
    """The nodes, but for those that the user speaks of, that would round what int8 cannot hold: they get float values.

    int8 weights they keep; whether better ones are worth their price is for ``refine`` to say.
    """
    found = {}
    for node in graph:
        scheme = wanted[_name(node)].scheme
        rounds = {Scheme.W8A8: [*map(_value, node.outputs), *_activations(node)], Scheme.W8_DYNAMIC: _activations(node)}
        reason = next((ranges.unfit[name] for name in rounds.get(scheme, ()) if name in ranges.unfit), "")
        if reason and _name(node) not in given:
            found[_name(node)] = Decision(Scheme.W8 if node.op_type in WEIGHTED else Scheme.FLOAT, reason)
    return found


def _settle(graph: ir.Graph, wanted: Mapping[str, Decision], streamed: frozenset[str]) -> dict[str, Decision]:
    """Make the recipe's wishes consistent: who computes in int8 depends on what it reads."""
    decisions: dict[str, Decision] = {}
    for node in graph:
        wish = wanted[_name(node)]
        if wish.scheme == Scheme.W8_DYNAMIC and node.op_type in WEIGHTED and operand(node).name in streamed:
            wish = Decision(Scheme.W8, "a stream never has all at once that would be quantised at run time")
        honour = _weigh if node.op_type in WEIGHTED else _follow
        decisions[_name(node)] = honour(node, wish, wanted, decisions)
    return decisions


def _weigh(node: ir.Node, wish: Decision, _wanted: Mapping[str, Decision], _so_far: Mapping[str, Decision]) -> Decision:
    """What a node with weights may have of what the recipe wishes."""
    if wish.scheme == Scheme.W8_DYNAMIC:
        if node.op_type not in SPEAKS_OF_WEIGHTS[Scheme.W8_DYNAMIC]:
            return Decision(Scheme.W8, f"{node.op_type} has no form that quantises at run time")
        if shape_of(operand(node))[0] > 1:
            return Decision(Scheme.W8, "runtimes differ in whether rows that are quantised at run time share a scale")
    if wish.scheme == Scheme.FLOAT16:
        reason = unfit_for_float16(_weight(node), channel_axis(node.op_type))
        return Decision(Scheme.FLOAT, reason) if reason else wish
    return wish


def _follow(
    node: ir.Node, wish: Decision, wanted: Mapping[str, Decision], decisions: Mapping[str, Decision]
) -> Decision:
    """Whether a node without weights computes in int8: that depends on what it reads, and on who reads it."""
    if wish.scheme != Scheme.W8A8:  # what speaks of weights leaves it in float
        return wish if wish.scheme == Scheme.FLOAT else Decision(Scheme.FLOAT)
    if node.op_type not in HAS_INTEGERS and not _is_absorbed(node, decisions):
        return Decision(Scheme.FLOAT, "it has no integer form")
    if node.op_type == "Concat" and any(constant(value) is not None for value in node.inputs):
        return Decision(Scheme.FLOAT, "one of its parts is a constant")
    if node.op_type == "Pad" and len(node.inputs) > 2 and node.inputs[2] is not None:
        return Decision(Scheme.FLOAT, "its padding is not zero")
    producers = [value.producer() for value in node.inputs if value is not None and value.const_value is None]
    integer = [p is not None and decisions[_name(p)].scheme == Scheme.W8A8 for p in producers]
    if all(integer) or (any(integer) and node.op_type not in FOLLOWING and _feeds_products(node, wanted)):
        return wish
    # With an operand in float and float readers, computing in int8 would only add conversions.
    return Decision(Scheme.FLOAT, "what it reads is float")


def _is_absorbed(node: ir.Node, decisions: Mapping[str, Decision]) -> bool:
    """Whether the node is an activation function that becomes part of the integer kernel before it."""
    producer = operand(node).producer()
    return (
        bool(activation(node))
        and producer is not None
        and producer.op_type in FUSES_RELU
        and decisions[_name(producer)].scheme == Scheme.W8A8
        and len(operand(node).uses()) == 1
        and not operand(node).is_graph_output()
    )


def _feeds_products(node: ir.Node, wanted: Mapping[str, Decision]) -> bool:
    """Whether a product that is to compute in int8 reads the node, directly or past what only follows."""
    readers = [usage.node for value in node.outputs for usage in value.uses()]
    return any(
        wanted[_name(reader)].scheme == Scheme.W8A8
        and (reader.op_type in WEIGHTED or (reader.op_type in FOLLOWING and _feeds_products(reader, wanted)))
        for reader in readers
    )


def _shared(graph: ir.Graph, decisions: Mapping[str, Decision]) -> dict[str, str]:
    """Union-find over int8 values that must have equal parameters: value name -> its group's representative."""
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for node in graph:
        if decisions[_name(node)].scheme == Scheme.W8A8 and node.op_type in MOVES:
            first, *others = [*_activations(node), _value(node.outputs[0])]
            for other in others:
                parent[find(other)] = find(first)
    return {name: find(name) for name in parent}


def _conflict(
    graph: ir.Graph, decisions: Mapping[str, Decision], groups: Mapping[str, str], ranges: Ranges
) -> str | None:
    """A node that joins a value of fixed parameters with one that does not fit them, or None."""
    for node in graph:
        if node.op_type != "Concat" or decisions[_name(node)].scheme != Scheme.W8A8:
            continue
        group = groups[_value(node.outputs[0])]
        fixed = _fixed(graph, decisions, groups, group)
        if len(fixed) > 1:
            return _name(node)
        for parameters in fixed:
            low, high = _bounds((name for name, of in groups.items() if of == group), ranges)
            reach = [parameters.scale * (edge - parameters.zero_point) for edge in (-128, 127)]
            if low < reach[0] - parameters.scale or high > reach[1] + parameters.scale:
                return _name(node)
    return None


def _fixed(graph: ir.Graph, decisions: Mapping[str, Decision], groups: Mapping[str, str], group: str) -> list[Affine]:
    found = {
        FIXED_OUTPUT[node.op_type]
        for node in graph
        if node.op_type in FIXED_OUTPUT and decisions[_name(node)].scheme == Scheme.W8A8
        if groups.get(_value(node.outputs[0]), _value(node.outputs[0])) == group
    }
    return sorted(found, key=lambda parameters: parameters.scale)


def _parameters(
    graph: ir.Graph, decisions: Mapping[str, Decision], groups: Mapping[str, str], ranges: Ranges
) -> dict[str, Affine]:
    """Parameters of every value that exists as int8; members of a group get the same."""
    members: dict[str, list[str]] = {}
    for name in _integer_values(graph, decisions):
        members.setdefault(groups.get(name, name), []).append(name)
    parameters: dict[str, Affine] = {}
    for group, names in members.items():
        fixed = _fixed(graph, decisions, groups, group)
        chosen = fixed[0] if fixed else affine(*_worth_covering(names, graph, ranges))
        parameters.update(dict.fromkeys(names, chosen))
    return parameters


def _integer_values(graph: ir.Graph, decisions: Mapping[str, Decision]) -> list[str]:
    """Names of the values that exist as int8, in graph order without repetition."""
    names: dict[str, None] = {}
    for node in graph:
        if decisions[_name(node)].scheme == Scheme.W8A8:
            names.update(dict.fromkeys(_activations(node)))
            if fused_relu(node, decisions, graph) is None:
                names[_value(node.outputs[0])] = None
    fused = (fused_relu(node, decisions, graph) for node in graph)
    for name in [_value(relu.inputs[0]) for relu in fused if relu is not None]:
        names.pop(name, None)  # it lives inside a kernel
    return list(names)


def _weights(
    graph: ir.Graph, decisions: Mapping[str, Decision], activations: Mapping[str, Affine]
) -> dict[str, NDArray[np.float32]]:
    """Per-channel scales of each quantised weight; nodes that share a weight, and its channels, get the same."""
    users: dict[tuple[ir.Value, int], list[ir.Node]] = {}
    for node in graph:
        weight = node.inputs[1] if node.op_type in WEIGHTED else None
        if weight is not None and decisions[_name(node)].scheme.integer_weights:
            users.setdefault((weight, channel_axis(node.op_type)), []).append(node)
    scales: dict[str, NDArray[np.float32]] = {}
    for (_, axis), nodes in users.items():
        scale = weight_scale(_weight(nodes[0]), axis)
        for node in nodes:
            bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
            if bias is not None and decisions[_name(node)].scheme == Scheme.W8A8:
                # The bias is int32 in units of input scale × weight scale; leave it a factor 2 of room.
                largest = np.abs(bias.reshape(-1, len(scale))).max(axis=0)  # groups of a ConvTranspose share scales
                step = largest / (2.0**30 * activations[_value(node.inputs[0])].scale)
                scale = np.maximum(scale, step.astype(np.float32))
        scales.update({_name(node): scale for node in nodes})
    return scales


def _weight(node: ir.Node) -> NDArray[np.float32]:
    data = constant(node.inputs[1])
    if data is None:
        raise Bug(f"the weight of '{node.name}' is not constant")
    return data


def _constants(graph: ir.Graph, decisions: Mapping[str, Decision]) -> dict[tuple[str, int], Affine]:
    found = {}
    for node in graph:
        if node.op_type in ("Add", "Mul") and decisions[_name(node)].scheme == Scheme.W8A8:
            for index, value in enumerate(node.inputs):
                data = constant(value)
                if data is not None:
                    found[_name(node), index] = affine(float(data.min()), float(data.max()))
    return found


def _activations(node: ir.Node) -> list[str]:
    """The names of the inputs that are computed at run time."""
    return [_value(value) for value in node.inputs if value is not None and value.const_value is None]


def _bounds(names: Iterable[str], ranges: Ranges) -> tuple[float, float]:
    listed = list(names)
    return min(ranges.low[name] for name in listed), max(ranges.high[name] for name in listed)


def _worth_covering(names: Iterable[str], graph: ir.Graph, ranges: Ranges) -> tuple[float, float]:
    """The range to quantise; graph outputs keep their peaks, for they are what the user sees."""
    outputs = {_value(value) for value in graph.outputs}
    ends = [(ranges.low[name], ranges.high[name]) if name in outputs else ranges.best[name] for name in names]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _name(node: ir.Node) -> str:
    return node.name or ""


def _value(value: ir.Value | None) -> str:
    return "" if value is None else value.name or ""
