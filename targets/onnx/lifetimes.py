"""How long the activations of an ONNX graph live, as onnxruntime executes it on a CPU.

What is one kernel is told in ``fusion.py``, when it runs in ``order.py``, what is computed as the model is loaded in
``folding.py``.

Source: onnxruntime's ``allocation_planner.cc`` for which values share memory. Which CPU kernels work in place was
measured (1.31) by the least arena that runs a chain of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from targets.base import Lifetime
from targets.onnx.folding import Folded
from targets.onnx.fusion import Step, fuse
from targets.onnx.graph import Graph
from targets.onnx.order import ordered

# Operators that give their input under another name, or are left out.
ALIASES = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
# Operators whose float kernels write over their first input, if nobody needs it any more and the sizes are equal.
_OVERWRITING = """
    Cast Celu Clip Elu HardSigmoid LeakyRelu LogSoftmax Relu Selu Shrink Sigmoid Softmax Softplus Softsign Tanh
    ThresholdedRelu Trilu
"""
IN_PLACE = frozenset(_OVERWRITING.split())
ALIGNMENT = 256  # bytes; onnxruntime's kAllocAlignment


@dataclass(frozen=True)
class Reading:
    """What lives when.

    Attributes:
        lifetimes: of activations whose size is known.
        steps: the kernels by name.
        unknown: activations whose size is not known.
        folded: constants computed at load whose size is not known.
        resident: constant -> bytes that it takes once loaded, for those from which others are computed.
    """

    lifetimes: tuple[Lifetime, ...]
    steps: tuple[str, ...]
    unknown: tuple[str, ...]
    folded: tuple[str, ...]
    resident: Mapping[str, int]


def lifetimes(graph: Graph) -> Reading:
    """Read a graph, one step a kernel."""
    folded = Folded(graph)
    kernels, graph = fuse(graph, folded.constants)
    steps = ordered(kernels)
    share = _shared(graph, folded.constants, steps)
    final = max(len(steps) - 1, 0)
    alive: dict[str, tuple[int, int]] = {}
    sizes: dict[str, int] = {}

    def touch(names: Sequence[str], step: int) -> None:
        for name in names:
            if name and name not in folded.constants:
                place = share.get(name, name)
                first, last = alive.get(place, (step, step))
                alive[place] = (min(first, step), max(last, step))
                if name in graph.sizes:
                    sizes[place] = graph.sizes[name]

    touch(graph.inputs, 0)
    touch(graph.inputs, final)  # it is the caller's: no kernel may overwrite it
    for number, step in enumerate(steps):
        touch((*step.reads, *step.scratch, *step.writes), number)
    touch(graph.outputs, final)
    known = tuple(Lifetime(name, sizes[name], *span) for name, span in alive.items() if name in sizes)
    unknown = tuple(name for name in alive if name not in sizes)
    loaded = tuple(name for name in folded.kept(steps) if name not in graph.sizes)
    return Reading(known, tuple(step.layer for step in steps), unknown, loaded, folded.resident(steps))


def _shared(graph: Graph, constants: frozenset[str], steps: Sequence[Step]) -> dict[str, str]:
    """Value -> the first one whose memory it is in, for those that are in another's."""
    found: dict[str, str] = {}
    uses = Counter(name for step in steps for name in set(step.reads))
    uses.update((*graph.inputs, *graph.outputs))  # these are the caller's, too
    for step in steps:
        read = step.reads[0] if step.reads else ""
        place, result = found.get(read, read), step.writes[0] if step.writes else ""
        equal = read in graph.sizes and graph.sizes[read] == graph.sizes.get(result)
        overwrites = step.operator in IN_PLACE and not step.integer and uses[place] == 1 and equal
        renames = step.operator in ALIASES and len(step.writes) == 1
        if (renames or overwrites) and read not in constants and result not in graph.outputs:
            found[result] = place
            uses[place] += uses[result]
        uses.subtract(found.get(name, name) for name in set(step.reads))
    return found
