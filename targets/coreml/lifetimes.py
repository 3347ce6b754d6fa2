"""How long the activations of an ML program live, as an integer runtime would run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from targets.base import Lifetime
from targets.coreml import mil

_MOVES = ("reshape", "transpose", "slice_by_size", "slice_by_index", "gather", "tile")
_FUSES_RELU = ("conv", "linear", "add")
_RELUS = ("relu", "relu6")


@dataclass(frozen=True)
class Timeline:
    """Activations of every function; ``unknown`` names those whose size the program leaves open."""

    lifetimes: tuple[Lifetime, ...]
    steps: tuple[str, ...]
    unknown: tuple[str, ...]


def timeline(functions: Mapping[str, mil.Function]) -> Timeline:
    """The functions of a program one after the other, for one runs at a time.

    Core ML does not say how it plans memory. Nothing is taken to work in place or to share what it reads, reshapes
    included; so that a runtime which does needs less. A value that is only dequantised for an operation whose result
    is quantised again exists as int8 alone, and so does that result, also with a ``relu`` or ``relu6`` between; what
    only moves dequantised elements moves int8 there. A ``dequantize`` that feeds anything else, and a ``quantize`` of
    anything else, is a step of its own with a float tensor on its other side. A state lives throughout; ``read_state``
    makes a copy of it.
    """
    lifetimes: list[Lifetime] = []
    steps: list[str] = []
    unknown: list[str] = []
    for name in sorted(functions):
        found = _Steps(functions[name]).timeline()
        prefix = f"{name}: " if len(functions) > 1 else ""
        lifetimes += (
            Lifetime(prefix + life.tensor, life.size, life.first + len(steps), life.last + len(steps))
            for life in found.lifetimes
        )
        steps += (prefix + step for step in found.steps)
        unknown += (prefix + entry for entry in found.unknown)
    return Timeline(tuple(lifetimes), tuple(steps), tuple(unknown))


@dataclass
class _Alive:
    size: int | None
    first: int
    last: int


@dataclass
class _Steps:
    """Counts the kernels of one function."""

    function: mil.Function
    alive: dict[str, _Alive] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.operations = [o for o in self.function.operations if not o.type.startswith(("const", "constexpr_"))]
        self.inputs = [value.name for value in self.function.inputs]
        self.types = {value.name: value.type for value in self.function.inputs}
        self.consumers: dict[str, list[mil.Operation]] = {}
        for operation in self.operations:
            if operation.type != "classify":  # which makes a label and a dictionary for the caller, no tensors
                self.types.update({value.name: value.type for value in operation.outputs})
            for name in arguments(operation):
                self.consumers.setdefault(name, []).append(operation)
        self.outputs = {name: None for name in self.function.outputs if name in self.types}  # the others are constants
        self.dequantized: dict[str, str] = {}  # output of a dequantize -> its int8 value
        self.absorbed: set[int] = set()  # operations that run as part of another

    def timeline(self) -> Timeline:
        for name in self.inputs:
            self.touch(name)
        for operation in self.operations:
            if id(operation) not in self.absorbed:
                self.visit(operation)
        for name in self.outputs:
            self.as_float(name)
            self.touch(name)
        steps = self.steps or ["nothing"]  # what a function returns as it came lives, too
        last = len(steps) - 1
        for name in (*self.inputs, *self.outputs):  # states are inputs, too
            self.alive[name].last = last  # nothing overwrites what the caller gave or is to get
        known = [
            Lifetime(name, a.size, min(a.first, last), min(a.last, last))
            for name, a in self.alive.items()
            if a.size is not None
        ]
        unknown = [f"the size of activation '{name}'" for name, a in self.alive.items() if a.size is None]
        hidden = [f"the activations in the body of '{o.name}' ({o.type})" for o in self.operations if o.blocks]
        return Timeline(tuple(known), tuple(steps), (*unknown, *hidden))

    def visit(self, operation: mil.Operation) -> None:
        names = [name for name in arguments(operation) if name in self.types]
        outputs = [value.name for value in operation.outputs if value.name in self.types]
        if operation.type == "dequantize" and len(names) == len(outputs) == 1:
            self.dequantized[outputs[0]] = names[0]
            return
        if operation.type in _MOVES and len(names) == len(outputs) == 1 and names[0] in self.dequantized:
            self.move(outputs[0], names[0])
            return
        last = self.leaves(operation)
        quantize = self.only_consumer(last, "quantize") if last else None
        if quantize is not None and names and all(name in self.dequantized for name in names):
            self.absorbed.add(id(quantize))
            names = [self.dequantized[name] for name in names]
            outputs = [value.name for value in quantize.outputs]
        else:
            for name in names:
                self.as_float(name)
            outputs = [last] if last else outputs
        self.execute(operation.name, *names, *outputs)

    def execute(self, step: str, *names: str) -> None:
        """One kernel, and what it reads and writes."""
        for name in names:
            self.touch(name)
        self.steps.append(step)

    def move(self, output: str, source: str) -> None:
        """A kernel that moves integers; its result is dequantised where it is used."""
        before, integer = self.dequantized[source], f"{output} (moved)"
        self.types[integer] = mil.Type(self.types[before].dtype, self.types[output].shape)
        self.dequantized[output] = integer
        self.execute(output, before, integer)

    def leaves(self, operation: mil.Operation) -> str:
        """The value that leaves an operation with one result, past a relu that it can absorb."""
        if len(operation.outputs) != 1 or operation.type == "classify":
            return ""
        name = operation.outputs[0].name
        relu = self.only_consumer(name, *_RELUS) if operation.type in _FUSES_RELU else None
        if relu is None or len(relu.outputs) != 1:
            return name
        self.absorbed.add(id(relu))
        return relu.outputs[0].name

    def only_consumer(self, name: str, *kinds: str) -> mil.Operation | None:
        consumers = self.consumers.get(name, [])
        alone = len(consumers) == 1 and name not in self.outputs
        return consumers[0] if alone and consumers[0].type in kinds else None

    def as_float(self, name: str) -> None:
        """Dequantise ``name`` in a step of its own, once, if it exists only as integers."""
        if name in self.dequantized and name not in self.alive:
            self.execute(f"dequantize {name}", self.dequantized[name], name)

    def touch(self, name: str) -> None:
        step = len(self.steps)
        self.alive.setdefault(name, _Alive(self.types[name].size, step, step)).last = step


def arguments(operation: mil.Operation) -> Iterator[str]:
    """The names of values that an operation reads, nested blocks included."""
    for given in operation.inputs.values():
        yield from (name for name in given if isinstance(name, str))
    for block in operation.blocks:
        for inner in block:
            yield from arguments(inner)
