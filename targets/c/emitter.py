"""What a program becomes while it is lowered: buffers, constant tables, and steps of C.

Lowering a kernel appends one :class:`Step`, a commented block of calls, and says where its output lies. Offsets are not
known yet: every buffer is an identifier, and which steps name it is how long it lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import Bug, UnsupportedNode
from targets.c.nest import aligned, by_memory, merged, render
from targets.c.source import CTYPES, WIDTHS, identifier, unique
from targets.c.view import Dim, View, dense, expanded, is_row_major, packed, reshaped
from targets.kernels import Kernel, Program, Tensor

COPIES = {"float": "phiz_copy_f32", "int8_t": "phiz_copy_s8", "uint8_t": "phiz_copy_u8"}


@dataclass(frozen=True)
class Buffer:
    """Memory for a value or what a kernel works with."""

    name: str
    ctype: str
    elements: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.elements * WIDTHS[self.ctype]


@dataclass(frozen=True)
class Table:
    """A constant."""

    name: str
    ctype: str
    data: NDArray[Any]

    @property
    def size(self) -> int:
        """In bytes."""
        return int(self.data.size) * WIDTHS[self.ctype]


@dataclass
class Step:
    """One block of C: its title, and its lines."""

    title: str
    lines: list[str] = field(default_factory=list)


def ctype_of(tensor: Tensor) -> str:
    """The C type of a tensor's elements."""
    return "float" if tensor.quantization is None else "int8_t"


class Emitter:
    """The state of one lowering."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.places: dict[str, View] = {}  # of values that are computed or given
        self.buffers: dict[str, Buffer] = {}
        self.tables: dict[str, Table] = {}
        self.steps: list[Step] = []
        self.dequantized: dict[str, str] = {}  # a weight in float -> the narrow constant that it stands for
        self.reserved: set[str] = set()  # identifiers that no table may have
        self.fields: dict[str, str] = {}  # where the elements of a state lie, by its name
        self._stored: dict[tuple[str, bytes], str] = {}

    def tensor(self, name: str) -> Tensor:
        """A value of the program."""
        return self.program.tensors[name]

    def begin(self, title: str) -> None:
        """Let what follows be a new step; one that stays empty vanishes."""
        if self.steps and not self.steps[-1].lines:
            self.steps.pop()
        self.steps.append(Step(title))

    def emit(self, *lines: str) -> None:
        """Append lines to the current step."""
        self.steps[-1].lines += lines

    def numbers(self, name: str) -> list[int]:
        """A constant operand of integers."""
        data = self.tensor(name).data
        if data is None:
            raise Bug(f"'{name}' should be constant")
        return [int(number) for number in np.asarray(data).reshape(-1)]

    def constant(self, name: str) -> NDArray[Any] | None:
        """The data of a constant in the type that it is read as: a weight that is stored narrow as float32."""
        if name not in self.dequantized:
            return self.tensor(name).data
        stored = self.tensor(self.dequantized[name])
        data = np.asarray(stored.data)
        if stored.quantization is None:
            return data.astype(np.float32)
        axis = stored.quantization.axis
        shape = [-1 if at == axis else 1 for at in range(data.ndim)]
        scale, zero = (part.reshape(shape) for part in (stored.quantization.scale, stored.quantization.zero_point))
        return np.asarray((data - zero).astype(np.float32) * scale, np.float32)

    def table(self, hint: str, array: NDArray[Any]) -> str:
        """The name of a table of these elements; equal tables are one."""
        data = np.ascontiguousarray(array)
        if data.dtype == np.float16:
            data = data.view(np.uint16)
        ctype = CTYPES[data.dtype.name]
        key = (ctype, data.tobytes())
        if key not in self._stored:
            name = unique(identifier(hint), self.tables.keys() | self.reserved)
            self._stored[key] = name
            self.tables[name] = Table(name, ctype, data)
        return self._stored[key]

    def scratch(self, ctype: str, elements: int) -> str:
        """A new buffer."""
        name = f"v{len(self.buffers) + 1}"
        self.buffers[name] = Buffer(name, ctype, elements)
        return name

    def fresh(self, ctype: str, shape: tuple[int, ...], order: Sequence[int] | None = None) -> View:
        """A new buffer for a value, which goes through the axes in ``order``."""
        return dense(self.scratch(ctype, prod(shape)), ctype, shape, order)

    def place(self, name: str) -> View:
        """Where a value lies; a constant gets a table in its row-major order."""
        if name in self.places:
            return self.places[name]
        data = self.constant(name)
        if data is None:
            raise Bug(f"'{name}' is read before it is computed")
        array = np.asarray(data)
        self.places[name] = dense(self.table(f"{name}_data", array), CTYPES[array.dtype.name], tuple(array.shape))
        return self.places[name]

    def fixed(self, value: float) -> View:
        """A number as a value without axes."""
        return dense(self.table("number", np.array([value], np.float32)), "float", ())

    def copied(self, view: View, order: Sequence[int] | None = None) -> View:
        """A dense copy that goes through the axes in ``order``, or else lies row-major."""
        if order is None:
            copy = packed(self.scratch(view.ctype, view.elements), view.ctype, view.shape, view.dims)
        else:
            copy = self.fresh(view.ctype, view.shape, order)
        self.copy(copy, view)
        return copy

    def copy(self, to: View, view: View) -> None:
        """Copy a view onto another of the same shape."""
        dims = aligned([to, view])
        if dims is None and is_row_major(view):
            raise Bug(f"{view} and {to} do not fit")
        if dims is None:  # by way of the row-major order, which can be cut anywhere
            self.copy(to, self.copied(view))
        else:
            self.emit(*render(COPIES[to.ctype], [to, view], merged(by_memory(dims, (0, 1)))))

    def nest(self, kernel: str, views: Sequence[View], lead: Sequence[int], extra: Iterable[str] = ()) -> None:
        """Call a kernel for all elements of several views of one shape, in the order in which ``lead`` lie.

        The first is written, and stays where it is; others are copied where they cannot be walked along with it.
        """
        made, *others = views
        fitting, dims = self.fitting(others, (made,))
        self.loops(kernel, fitting, by_memory(dims, lead), extra)

    def loops(
        self, kernel: str, views: Sequence[View], dims: Sequence[tuple[Dim, ...]], extra: Iterable[str] = ()
    ) -> None:
        """Call a kernel along dimensions in the order in which they are given."""
        self.emit(*render(kernel, views, merged(dims), tuple(extra)))

    def fitting(self, views: Sequence[View], fixed: Sequence[View] = ()) -> tuple[list[View], list[tuple[Dim, ...]]]:
        """``fixed`` and the other views, these copied where they cannot be walked together; their common dimensions."""
        found = [*fixed, *views]
        dims = aligned(found)
        if dims is None:
            found = [*fixed, *(self.copied(view) for view in views)]
            dims = aligned(found)
        if dims is None:
            raise Bug(f"views that cannot be aligned: {found}")
        return found, dims

    def elementwise(
        self, kernel: str, ctype: str, shape: tuple[int, ...], operands: Sequence[View], extra: Iterable[str] = ()
    ) -> View:
        """A new value, computed element by element from operands that are broadcast; it lies as the largest does."""
        views = [self.broadcast(view, shape) for view in operands]
        fitting, dims = self.fitting(views)
        lead = sorted(range(len(views)), key=lambda at: sum(dim.memory == 0 for dim in fitting[at].dims))
        like = [group[0] for group in by_memory(dims, lead)]
        made = packed(self.scratch(ctype, prod(shape)), ctype, shape, like)
        self.nest(kernel, [made, *fitting], (0,), extra)
        return made

    def broadcast(self, view: View, shape: tuple[int, ...]) -> View:
        """``view`` in a larger shape."""
        wide = expanded(view, shape)
        if wide is None:
            wide = expanded(self.copied(view), shape)
        if wide is None:
            raise Bug(f"{view.shape} cannot become {shape}")
        return wide

    def shaped(self, name: str, view: View) -> None:
        """Say where a kernel's output lies."""
        self.places[name] = reshaped(view, self.tensor(name).shape)


def refuse(kernel: Kernel, reason: str) -> UnsupportedNode:
    """Why the C target cannot have a node."""
    return UnsupportedNode(kernel.operator, kernel.node, reason, source=kernel.source, stage="the C target")
