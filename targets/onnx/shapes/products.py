"""Shapes of matrix products."""

from __future__ import annotations

from collections.abc import Mapping

from targets.onnx.shapes.view import FLOAT, INT32, Node, Rule, Shape, Unknown, Value, broadcast


def _product(left: Shape, right: Shape) -> Shape:
    """Numpy's rule for ``matmul``."""
    if not left or not right:
        raise Unknown
    a, b = (1, *left) if len(left) == 1 else left, (*right, 1) if len(right) == 1 else right
    if a[-1] != b[-2]:
        raise Unknown
    rows, columns = a[-2:-1] if len(left) > 1 else (), b[-1:] if len(right) > 1 else ()
    return (*broadcast(a[:-2], b[:-2]), *rows, *columns)


def _matmul(node: Node) -> tuple[Value, ...]:
    return ((node.type(0), _product(node.shape(0), node.shape(1))),)


def _matmul_integer(node: Node) -> tuple[Value, ...]:
    return ((INT32, _product(node.shape(0), node.shape(1))),)


def _matmul_to_float(node: Node) -> tuple[Value, ...]:
    return ((FLOAT, _product(node.shape(0), node.shape(1))),)


def _qlinear_matmul(node: Node) -> tuple[Value, ...]:
    return ((node.type(7), _product(node.shape(0), node.shape(3))),)


def _turned(node: Node, left: Shape, right: Shape) -> Shape:
    if len(left) != 2 or len(right) != 2:
        raise Unknown
    a = left[::-1] if node.integer("transA", 0) else left
    b = right[::-1] if node.integer("transB", 0) else right
    return _product(a, b)


def _gemm(node: Node) -> tuple[Value, ...]:
    return ((node.type(0), _turned(node, node.shape(0), node.shape(1))),)


def _qgemm(node: Node) -> tuple[Value, ...]:
    return ((node.type(8) if node.has(8) else FLOAT, _turned(node, node.shape(0), node.shape(3))),)


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("Gemm", "com.microsoft.FusedGemm"), _gemm),
    **dict.fromkeys(("com.microsoft.DynamicQuantizeMatMul", "com.microsoft.MatMulIntegerToFloat"), _matmul_to_float),
    "MatMul": _matmul,
    "MatMulInteger": _matmul_integer,
    "QLinearMatMul": _qlinear_matmul,
    "com.microsoft.QGemm": _qgemm,
}
