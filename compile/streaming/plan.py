"""What each new hop must compute, and what has to be kept from the hops before: decided here, done elsewhere.

Steps are counted in the window that ends with the newest hop: step 0 is its first, and steps before it are negative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from compile.streaming.timing import Time, Timing


@dataclass(frozen=True)
class Span:
    """Steps ``first`` to ``end - 1`` of a value."""

    first: int
    end: int

    @property
    def count(self) -> int:
        """How many."""
        return self.end - self.first

    def with_(self, other: Span) -> Span:
        """The smallest span that holds both."""
        return Span(min(self.first, other.first), max(self.end, other.end))


@dataclass(frozen=True)
class StreamPlan:
    """How a graph computes one hop.

    Attributes:
        hop: new steps of the input.
        computed: value -> the steps that its node gives in one hop.
        present: value -> the steps that its readers find: those computed, behind what is kept of earlier hops.
        needs: (node, index of an input) -> the steps that the node reads there.
        given: output of the graph -> the steps that it gives.
    """

    hop: int
    computed: Mapping[ir.Value, Span]
    present: Mapping[ir.Value, Span]
    needs: Mapping[tuple[ir.Node, int], Span]
    given: Mapping[ir.Value, Span]

    def kept(self, value: ir.Value) -> int:
        """Steps of ``value`` that are kept from one hop to the next."""
        return self.computed[value].first - self.present[value].first


def plan(graph: ir.Graph, timing: Timing) -> StreamPlan:
    """The least of each value that one hop must compute and keep.

    Readers are asked before what they read. A node gives ``hop / stride`` new steps of its value; what its readers
    need from before these is kept, in integers where there are. The hop is the least common multiple of all strides.
    """
    times = timing.times
    hop = math.lcm(*(time.stride for time in times.values()))
    given = {value: _newest(times[value], hop) for value in graph.outputs if value in times}
    wanted = dict(given)
    computed: dict[ir.Value, Span] = {}
    needs: dict[tuple[ir.Node, int], Span] = {}
    for node in reversed(list(graph)):
        timed = [index for index, value in enumerate(node.inputs) if value in times]
        if not timed:
            continue
        output = node.outputs[0]
        if output in times:
            newest = _newest(times[output], hop)
            computed[output] = wanted.get(output, newest) if _is_made_again(node) else newest
        for index in timed:
            value = node.inputs[index]
            if value is None:
                continue
            reach = timing.reaches[node, index]
            need = Span(0, times[value].length)
            if output in times:
                made = computed[output]
                first, last = (reach.start + step * reach.step for step in (made.first, made.end - 1))
                need = Span(first, last + reach.span)
            needs[node, index] = need
            wanted[value] = need.with_(wanted.get(value, need))
    start = graph.inputs[0]
    computed[start] = _newest(times[start], hop)
    present: dict[ir.Value, Span] = {}
    for value in (start, *(node.outputs[0] for node in graph if node.outputs[0] in times)):
        maker = value.producer()
        source = maker.inputs[0] if maker is not None and maker.op_type == "DequantizeLinear" else None
        if maker is not None and source is not None:  # of integers, which no operator of the hub could cut
            computed[value] = needs[maker, 0] = present[source]
        made = computed[value]
        present[value] = Span(min(made.first, wanted.get(value, made).first), made.end)
    return StreamPlan(hop, computed, present, needs, given)


def _newest(time: Time, hop: int) -> Span:
    return Span(time.length - hop // time.stride, time.length)


def _is_made_again(node: ir.Node) -> bool:
    """Whether older steps of its value are not kept but computed anew, of older steps of what it reads.

    A DQ, for integers are smaller. A Slice, for it then shares what is kept with whoever else reads the same; and the Q
    of its integers.
    """
    reads = node.inputs[0]
    maker = reads.producer() if reads is not None else None
    after_cut = node.op_type == "QuantizeLinear" and maker is not None and maker.op_type == "Slice"
    return after_cut or node.op_type in ("DequantizeLinear", "Slice")
