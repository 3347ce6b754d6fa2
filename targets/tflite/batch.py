"""Whether what a ``.tflite`` file leaves open in its shapes is the batch, so that sizes are those of a batch of 1.

Converters write -1 into the signature of such shapes and 1 into the shapes, which is what LiteRT allocates unless it is
told otherwise. But where a free dimension is anything else (a length, twice the batch), the 1 of what is computed from
it is a fiction, and its size is unknown.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from targets.tflite.network import ABSENT, Graph, Network, Node

# Operators that move elements, or compute each from one: as many come out as go in.
_MOVED = """
    ABS BITCAST CAST CEIL COS CUMSUM DEPTH_TO_SPACE DEQUANTIZE ELU EXP EXPAND_DIMS FLOOR GELU HARD_SWISH
    L2_NORMALIZATION LEAKY_RELU LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_NOT LOGISTIC LOG_SOFTMAX NEG PRELU
    QUANTIZE RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE REVERSE_V2 ROUND RSQRT SIGN SIN SOFTMAX SPACE_TO_DEPTH
    SQRT SQUARE SQUEEZE TANH TRANSPOSE ZEROS_LIKE
"""
_GATHERED = ("CONCATENATION", "PACK")  # as many as all inputs have together
# Operators that treat each item of a batch alike, or take fewer of them.
_EACH = """
    ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL CONV_2D CONV_3D DEPTHWISE_CONV_2D DIV EQUAL FLOOR_DIV
    FLOOR_MOD FULLY_CONNECTED GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MUL NOT_EQUAL POW REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR SELECT SELECT_V2 SLICE SPLIT SPLIT_V SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM
    TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK
"""
_AS_MANY, _BY_ITEM = frozenset(_MOVED.split()), frozenset(_EACH.split())
_PADS = ("PAD", "PADV2", "MIRROR_PAD")


def of_one(network: Network) -> Graph | None:
    """The main subgraph with the sizes of a batch of one item; None where it leaves nothing free, or more than that."""
    graph = network.graphs[0]
    free = {i for i, tensor in enumerate(graph.tensors) if tensor.size is None and tensor.nominal is not None}
    shapes = [(graph.tensors[index].shape, graph.tensors[index].stated) for index in free]
    if free.isdisjoint(graph.inputs) or any(
        shape[:1] != (-1,) or -1 in shape[1:] or stated[0] != 1 for shape, stated in shapes
    ):
        return None
    for node in graph.nodes:
        if not free.isdisjoint(node.outputs) and (free.isdisjoint(node.inputs) or not _keeps(network, node)):
            return None
    return replace(graph, tensors=tuple(replace(tensor, size=tensor.nominal) for tensor in graph.tensors))


def _keeps(network: Network, node: Node) -> bool:
    """Whether a batch of one goes in and comes out, by the shapes that the file states."""
    tensors = network.graphs[0].tensors
    given = [tensors[index] for index in node.inputs if index != ABSENT]
    sizes = [prod(tensor.stated) for tensor in given]
    results = sum(prod(tensors[index].stated) for index in node.outputs if index != ABSENT)
    if node.operator in _AS_MANY:
        return sizes[:1] == [results]
    if node.operator in _GATHERED:
        return sum(sizes) == results
    if node.operator in _PADS and len(given) > 1:
        starts = [start for start, _ in network.contents(given[1].buffer)]
        width = 2 * {"int32": 4, "int64": 8}.get(given[1].dtype, 0)
        return width > 0 and any(network.flatbuffer.data.count(0, at, at + width) == width for at in starts)
    return node.operator in _BY_ITEM
