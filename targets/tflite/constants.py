"""What a ``.tflite`` file stores besides its structure: weights, and the parameters that quantise tensors."""

from __future__ import annotations

from collections.abc import Iterator

from targets.base import Constant, Kind
from targets.tflite.flatbuffer import Record
from targets.tflite.network import Network, Tensor

PARAMETERS = {"scale": "float32", "zero_point": "int64", "min": "float32", "max": "float32"}


def constants(network: Network) -> Iterator[Constant]:
    """Every constant, under a name of its own, subgraph by subgraph; then the buffers that no tensor uses."""
    where = network.flatbuffer.where
    taken: set[str] = set()

    def unique(name: str, tensor: int) -> str:
        """A tensor's name, which may be another's too, above all where it is an operator's."""
        name = f"{name} (tensor {tensor})" if name in taken else name
        while name in taken:
            name += "'"
        taken.add(name)
        return name

    used: set[Record] = set(network.notes())
    for graph in network.graphs:
        for index, tensor in enumerate(graph.tensors):
            places = tuple((where, start, end) for start, end in network.contents(tensor.buffer))
            name = unique(tensor.layer, index) if places or tensor.record.fields.get("quantization") else ""
            if places:
                used.add(tensor.buffer)
                kind = Kind.QUANTIZATION if tensor.parameter else Kind.WEIGHTS
                yield Constant(name, kind, tensor.dtype, tensor.shape, places, tensor.readers, _packed(tensor, places))
            yield from _parameters(network, tensor, name)
    for number, buffer in enumerate(network.buffers):
        places = tuple((where, start, end) for start, end in network.contents(buffer))
        if places and buffer not in used:
            size = sum(end - start for _, start, end in places)
            yield Constant(f"buffer {number} (unused)", Kind.WEIGHTS, "", (size,), places)


def _parameters(network: Network, tensor: Tensor, name: str) -> Iterator[Constant]:
    """Scales and zero points; those of an activation are read by who makes it, too."""
    record = tensor.record.fields.get("quantization")
    if isinstance(record, Record):
        for field, dtype in PARAMETERS.items():
            vector = record.vector(field)
            if vector is not None and vector.count:
                place = (network.flatbuffer.where, vector.data, vector.data_end)
                readers = tensor.readers or ((tensor.layer,) if tensor.operator else ())
                yield Constant(f"{name} {field}", Kind.QUANTIZATION, dtype, (vector.count,), (place,), readers)


def _packed(tensor: Tensor, places: tuple[tuple[str, int, int], ...]) -> str:
    if tensor.record.fields.get("sparsity"):
        return "sparse"
    if tensor.size is None:
        return "strings" if tensor.dtype == "" else "shape unknown"
    return "" if tensor.size == sum(end - start for _, start, end in places) else "size mismatch"
