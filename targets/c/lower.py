"""From the hub graph to C, operator by operator; nothing is decided here.

The story: the graph is read as integer kernels (``targets/kernels.py``), each of them becomes a commented block of
calls on views of buffers (``emitter.py``, ``operators.py``), the memory planner places the buffers by the blocks that
name them, and the kernels that are called are copied out of ``kernels/`` (``library.py``) in front of it all.
"""

from __future__ import annotations

import re
from dataclasses import replace

from compile.errors import UnsupportedNode, UserError
from compile.memory import check, plan
from compile.model import Model
from targets.base import Artifact, Lifetime
from targets.c.dissect import ALIGNMENT
from targets.c.emitter import Emitter, Step, ctype_of
from targets.c.header import header
from targets.c.interface import Port
from targets.c.movement import enter_state, order_of
from targets.c.operators import LOWER
from targets.c.parts import Parts
from targets.c.source import identifier, quoted, unique
from targets.c.view import dense, is_row_major
from targets.c.weights import filed
from targets.c.writer import source
from targets.capabilities import refusals, scheme_of
from targets.kernels import Kernel, Program, read
from targets.stream import KEY, Stream

DEFAULT_NAME = "student"
MAPPED = "mapped"
_BUFFER = re.compile(r"\bv\d+\b")
_MOST = 2**31 - 1  # bytes: kernels count in int32


def lower(model: Model, form: str = "") -> Artifact:
    """Translate a hub graph into ``NAME.c`` and ``NAME.h``.

    Inputs and outputs are pointers to float32 in ONNX's axis order; ``phiz.*`` metadata are a constant. A stream's
    states are fields of a struct, and lie as the kernels around them want them.

    Args:
        model: in the hub dialect (``docs/hub.md``).
        form: empty, or ``mapped``: the tables are ``NAME.mapped.bin``, and the source is given its address.

    Raises:
        UnsupportedNode: there is no kernel for a node; names it, its reason and the module it came from.
    """
    name = f"{_name(model)}.{form}" if form else _name(model)
    parts = translate(read(model), model.metadata, name)
    if form == MAPPED:
        parts = replace(parts, weights=filed(parts.tables.values()))
    files = {f"{name}.c": source(parts).encode(), f"{name}.h": header(parts).encode()}
    if parts.weights is not None:
        files[f"{name}.bin"] = parts.weights.data
    return Artifact("c", f"{name}.c", files)


def translate(program: Program, metadata: dict[str, str], name: str) -> Parts:
    """A program as what its files are made of; they are called ``name``, and identifiers after it."""
    sources = {kernel.node: kernel.source for kernel in program.kernels}
    for refusal in refusals("c", program):
        raise UnsupportedNode(
            refusal.operator, refusal.node, refusal.reason, source=sources[refusal.node], stage="the C target"
        )
    emitter = Emitter(program)
    ports = _enter(emitter)
    emitter.reserved |= {port.identifier for port in ports}
    pending: list[str] = []  # outputs that are states, not yet given back
    for at, kernel in enumerate(program.kernels):
        for operand in kernel.inputs:
            if operand in program.states.values() and operand not in emitter.places and kernel.operator != "Concat":
                enter_state(emitter, operand, range(len(emitter.tensor(operand).shape)))
        emitter.begin(_title(kernel, program))
        LOWER[kernel.operator](emitter, kernel)
        pending += [kernel.output] if kernel.output in program.states else []
        for state in [output for output in pending if _is_free(emitter, program.states[output], at)]:
            emitter.begin(f"{quoted(state)} state")
            _leave(emitter, state)
            pending.remove(state)
    bound = _outputs(emitter, ports)
    _leave_late(emitter, pending)
    emitter.begin("")
    steps = [_bound(step, bound) for step in emitter.steps if step.lines]
    ports = [_laid_out(port, emitter) for port in ports]
    lifetimes = _lifetimes(emitter, steps)
    placed = plan(lifetimes, ALIGNMENT)
    check(placed, lifetimes)
    if placed.size > _MOST:
        raise UserError("its activations take more than 2 GB", fix="shorten its window")
    offsets = {life.tensor: offset for life, offset in zip(lifetimes, placed.offsets, strict=True)}
    stream = Stream.from_metadata(metadata, "graph") if KEY in metadata else None
    words = set(re.findall(r"\w+", "\n".join(line for step in steps for line in step.lines)))
    tables = {name: table for name, table in emitter.tables.items() if name in words}
    if large := [name for name, table in tables.items() if table.size > _MOST]:
        raise UserError(f"the table '{large[0]}' takes more than 2 GB", fix="split that layer")
    return Parts(name, tuple(ports), steps, tables, emitter.buffers, offsets, placed.size, stream, metadata)


def _enter(e: Emitter) -> list[Port]:
    """Ports of all inputs, outputs and states; inputs lie as the caller gives them, states not yet."""
    program, ports = e.program, []
    after = {before: name for name, before in program.states.items()}
    taken: set[str] = set()
    for kind, names in (("input", program.inputs), ("output", program.outputs)):
        for name in names:
            if kind == "output" and name in program.states:
                continue
            own = "state" if name in after else kind
            tensor, word = e.tensor(name), unique(identifier(name), taken)
            taken.add(word)
            ctype = ctype_of(tensor)
            ports.append(Port(own, name, ctype, tensor.shape, word, after.get(name, "")))
            if own == "input":
                e.places[name] = dense(word, ctype, tensor.shape)
            elif own == "state":
                e.fields[name] = f"state->{word}"
    return ports


def _is_free(e: Emitter, state: str, at: int) -> bool:
    """Whether nothing reads a state's old elements any more after the kernel ``at``."""
    if state not in e.places:
        return False
    base = e.places[state].base
    same = {name for name, view in e.places.items() if view.base == base}
    later = {name for kernel in e.program.kernels[at + 1 :] for name in kernel.inputs}
    return not same & (later | set(e.program.outputs))


def _leave(e: Emitter, name: str) -> None:
    """Give a state its new elements."""
    e.copy(e.places[e.program.states[name]], e.place(name))


def _leave_late(e: Emitter, names: list[str]) -> None:
    """The states that something read to the end; what one gives may lie in another."""
    for name in names:
        state = e.program.states[name]
        if state not in e.places:
            enter_state(e, state, range(len(e.tensor(state).shape)))
    for name in names:
        e.begin(f"{quoted(name)} state, put aside")
        if e.place(name).base.startswith("state->"):
            e.places[name] = e.copied(e.place(name))
    for name in names:
        e.begin(f"{quoted(name)} state")
        _leave(e, name)


def _outputs(e: Emitter, ports: list[Port]) -> dict[str, str]:
    """Buffers that are the caller's own memory, by name; other outputs are copied there."""
    bound: dict[str, str] = {}
    for port in ports:
        if port.kind != "output":
            continue
        view = e.place(port.name)
        buffer = e.buffers.get(view.base)
        if buffer is not None and is_row_major(view) and buffer.elements == view.elements and view.base not in bound:
            bound[view.base] = port.identifier
            continue
        e.begin(f"{quoted(port.name)} output")
        e.copy(dense(port.identifier, "float", port.shape), view)
    return bound


def _bound(step: Step, bound: dict[str, str]) -> Step:
    return Step(step.title, [_BUFFER.sub(lambda match: bound.get(match[0], match[0]), line) for line in step.lines])


def _laid_out(port: Port, e: Emitter) -> Port:
    """A state's port with its shape as it lies."""
    if port.kind != "state":
        return port
    order = order_of(e.places[port.name])
    return replace(port, shape=tuple(port.shape[axis] for axis in order))


def _lifetimes(e: Emitter, steps: list[Step]) -> list[Lifetime]:
    """From the first step that names a buffer to the last."""
    seen: dict[str, tuple[int, int]] = {}
    for at, step in enumerate(steps):
        for name in _BUFFER.findall("\n".join(step.lines)):
            seen[name] = (seen.get(name, (at, at))[0], at)
    return [Lifetime(name, e.buffers[name].size, *span) for name, span in seen.items()]


def _title(kernel: Kernel, program: Program) -> str:
    """What a block computes: node, operator, scheme, the first shape that goes in and the one that comes out."""
    shapes = [list(program.tensors[name].shape) for name in (kernel.inputs[0], kernel.output)]
    fused = f" with {kernel.activation}" if kernel.activation else ""
    scheme = scheme_of(kernel, program)
    return f"{quoted(kernel.node)} {kernel.operator}{fused}, {scheme}, {shapes[0]} -> {shapes[1]}"


def _name(model: Model) -> str:
    """The graph's name where it can be a file's, else ``student``."""
    name = model.ir.graph.name or ""
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", name) else DEFAULT_NAME
