"""Model: one ONNX graph in memory plus what a runtime must know to use it.

The graph is an ``onnx_ir.Model`` with static shapes. Facts about speech and faces live in its
``metadata_props`` under ``phiz.*``, so that they survive in every artefact. The *hub dialect*, which simplify
produces, quantize extends and every target reads, is written down in ``docs/hub.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.errors import Bug, UserError

PREFIX = "phiz."
PEAK = f"{PREFIX}peak"  # in a value's ``meta``, which no file stores: the largest magnitude that calibration saw


@dataclass(frozen=True)
class Port:
    """A graph input or output: its name, static shape and numpy dtype name."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Model:
    """An ONNX graph with static shapes and ``phiz.*`` metadata.

    ``ir`` is mutable by nature: a pass works on a :meth:`clone`, and nobody else changes it.
    """

    ir: ir.Model

    @property
    def inputs(self) -> tuple[Port, ...]:
        """The graph's inputs, in order; initializers are not inputs."""
        return tuple(_port(value) for value in self.ir.graph.inputs)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """The graph's outputs, in order."""
        return tuple(_port(value) for value in self.ir.graph.outputs)

    @property
    def metadata(self) -> dict[str, str]:
        """The ``phiz.*`` entries, sorted by key."""
        return {key: value for key, value in sorted(self.ir.metadata_props.items()) if key.startswith(PREFIX)}

    def clone(self) -> Model:
        """A copy whose graph shares no node or value with this one (weights are shared, they are immutable)."""
        return Model(self.ir.clone())

    def to_bytes(self) -> bytes:
        """The serialised ONNX ``ModelProto``, deterministic for equal graphs."""
        return bytes(ir.to_proto(self.ir).SerializeToString(deterministic=True))


def constant(value: ir.Value | None) -> NDArray[Any] | None:
    """The numpy data of an initializer, or None when ``value`` is absent or computed at run time."""
    if value is None or value.const_value is None:
        return None
    return np.asarray(value.const_value.numpy())


def operand(node: ir.Node, index: int = 0) -> ir.Value:
    """An input that the operator cannot do without."""
    value = node.inputs[index]
    if value is None:
        raise Bug(f"node '{node.name}' lacks input {index}")
    return value


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """The static shape of ``value``.

    Raises:
        UserError: the shape is unknown or an axis is dynamic.
    """
    if value.shape is None:
        raise UserError("its shape is unknown", where=f"tensor '{value.name}'")
    sizes: list[int] = []
    for axis, size in enumerate(value.shape):
        if not isinstance(size, int):
            raise UserError(
                f"axis {axis} is dynamic ('{size}')",
                where=f"tensor '{value.name}'",
                fix="export with a fixed size on every axis",
            )
        sizes.append(size)
    return tuple(sizes)


def source_of(node: ir.Node) -> str:
    """The module of the original network that a node came from, e.g. ``trunk.3``; empty when unknown."""
    return node.metadata_props.get(f"{PREFIX}source", "")


def _port(value: ir.Value) -> Port:
    if value.dtype is None:
        raise UserError("its element type is unknown", where=f"tensor '{value.name}'")
    return Port(value.name or "", shape_of(value), str(np.dtype(value.dtype.numpy())))


def add_constant(graph: ir.Graph, hint: str, array: NDArray[Any]) -> ir.Value:
    """A new initializer called like ``hint``."""
    name = unused_name(graph, hint)
    tensor = ir.tensor(np.asarray(array, order="C"), name=name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def unused_name(graph: ir.Graph, hint: str) -> str:
    """``hint``, or ``hint.1``, ``hint.2``… when an initializer of that name exists."""
    name, count = hint, 0
    while name in graph.initializers:
        count += 1
        name = f"{hint}.{count}"
    return name


def typed(value: ir.Value, name: str, dtype: ir.DataType, shape: tuple[int, ...]) -> ir.Value:
    """``value`` with all that a value of the hub has: a name, a type and a shape."""
    value.name, value.type, value.shape = name, ir.TensorType(dtype), ir.Shape(shape)
    return value


def drop_unread_constants(graph: ir.Graph) -> None:
    """Forget the initializers that no node reads."""
    for name in [name for name, value in graph.initializers.items() if not value.uses()]:
        del graph.initializers[name]
