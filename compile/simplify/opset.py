"""One version of ONNX: what older ones spelled otherwise is rewritten, and the hub names one number."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import add_constant
from compile.simplify.dialect import OPSET
from compile.simplify.edit import ints
from compile.simplify.outcome import Outcome

_IR_VERSION = 10  # the oldest whose nodes carry metadata
_DEFAULT_DOMAINS = ("", "ai.onnx")


def upgrade_opset(model: ir.Model) -> Outcome:
    """Given a model of opset 13 to 19, write it in opset 20: a newer one stays as it is until :func:`settle_opset`.

    Of the operators that phiz takes, two changed their form between 13 and 20: reductions take their axes as an input
    since 18, and a Split into equal parts says how many. ``tests/compile/simplify/test_opset.py`` compares the
    schemas.
    """
    version = _version(model)
    if version >= OPSET:
        return Outcome()
    for node in model.graph:
        if node.op_type.startswith("Reduce") and "axes" in node.attributes:
            axes = np.asarray(ints(node, "axes", ()), np.int64)
            node.attributes.pop("axes")
            node.resize_inputs(2)
            node.replace_input_with(1, add_constant(model.graph, f"{node.outputs[0].name}.axes", axes))
        elif node.op_type == "Split" and (len(node.inputs) < 2 or node.inputs[1] is None):
            node.attributes["num_outputs"] = ir.AttrInt64("num_outputs", len(node.outputs))
    _set(model)
    return Outcome((f"opset {version} became {OPSET}",))


def settle_opset(model: ir.Model) -> Outcome:
    """The hub's opset, whatever a newer model had: all hub forms mean the same from 20 to 23."""
    version = _version(model)
    _set(model)
    return Outcome((f"opset {version} became {OPSET}",) if version != OPSET else ())


def _version(model: ir.Model) -> int:
    return next(version for domain, version in model.opset_imports.items() if domain in _DEFAULT_DOMAINS)


def _set(model: ir.Model) -> None:
    for domain in _DEFAULT_DOMAINS:
        model.opset_imports.pop(domain, None)
    model.opset_imports[""] = OPSET
    model.ir_version = _IR_VERSION
    for node in model.graph:
        node.version = None
