"""onnxsim as one step: the generic rewrites that a well-kept library knows better than we do."""

from __future__ import annotations

import onnx_ir as ir

from compile.quiet import quiet, silent_stderr, without
from compile.simplify.forms import FORMS
from compile.simplify.outcome import Outcome

# Ours are stricter (they refuse to grow the graph) or keep the source module of each node.
_KNOWN = {*FORMS, "BatchNormalization", "Cast", "Dropout", "Flatten", "Identity", "Squeeze", "Unsqueeze"}
_SKIPPED = [
    *("fuse_bn_into_conv", "fuse_add_bias_into_conv"),
    *("fuse_matmul_add_bias_into_gemm", "fuse_matmul_add_bias_into_gemm_batched"),
    # These undo what our passes did.
    *("fuse_attention", "fuse_consecutive_log_softmax", "fuse_layer_norm", "fuse_lp_normalization", "fuse_rms_norm"),
]
_BODIES = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def onnxsim(model: ir.Model) -> Outcome:
    """Run onnxsim with its optimizer and constant folding; whatever it breaks is not taken over.

    It rebuilds the graph, so the source module of a node survives by the name of what the node computes. It only gets
    operators of the hub and those that become one later: on others its native core has crashed.
    """
    unknown = sorted({node.op_type for node in model.graph} - _KNOWN)
    if unknown:
        return Outcome((), (f"onnxsim is not asked about {', '.join(unknown)}",))
    if any(attribute.type in _BODIES for node in model.graph for attribute in node.attributes.values()):
        return Outcome((), ("onnxsim declined: the graph has branches or loops",))  # of some its native core dies
    before = ir.to_proto(model)
    origin = {node.outputs[0].name: dict(node.metadata_props) for node in model.graph}
    try:
        with quiet(), silent_stderr(), without("torch"):
            import onnxsim as library

            after, _ = library.simplify(before, skipped_optimizers=_SKIPPED, certify=False)
    except Exception as error:  # its native core raises several types; the graph is fine without it
        return Outcome((), (f"onnxsim declined: {str(error).splitlines()[0] if str(error) else type(error).__name__}",))
    simplified = ir.from_proto(after)
    for node in simplified.graph:
        node.metadata_props.clear()
        node.metadata_props.update(origin.get(node.outputs[0].name, {}))
    for node in reversed(simplified.graph):  # what it wrote anew comes from where its reader comes from
        readers = [usage.node for output in node.outputs for usage in output.uses()]
        if not node.metadata_props and readers:
            node.metadata_props.update(readers[0].metadata_props)
    nodes = len(model.graph), len(simplified.graph)
    metadata = dict(model.metadata_props)
    model.graph = simplified.graph
    model.metadata_props.clear()
    model.metadata_props.update(metadata)
    return Outcome((f"onnxsim: {nodes[0]} nodes became {nodes[1]}",) if nodes[0] != nodes[1] else ())
