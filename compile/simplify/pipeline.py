"""The whole pipeline, as one visible tuple. After it, a graph is in the hub dialect (``docs/hub.md``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from compile.errors import Bug, UserError
from compile.model import Model
from compile.simplify import dialect
from compile.simplify.activations import plain_activations
from compile.simplify.affine import fold_affine
from compile.simplify.ahead import fold_ahead
from compile.simplify.arithmetic import plain_arithmetic
from compile.simplify.averages import dilated_average
from compile.simplify.batchnorm import split_batchnorm
from compile.simplify.bounds import plain_bounds
from compile.simplify.casts import single_precision
from compile.simplify.choices import finite_masks, plain_choices
from compile.simplify.cleanup import deduplicate, drop_unused, rename
from compile.simplify.constants import fold_constants, lift_constants
from compile.simplify.depth import narrow_transposes, plain_depth
from compile.simplify.einsum import plain_einsum
from compile.simplify.explicit import explicit_attributes
from compile.simplify.gelu import find_gelu
from compile.simplify.generic import onnxsim
from compile.simplify.linear import gemm_form
from compile.simplify.means import global_average
from compile.simplify.noops import drop_noops
from compile.simplify.norms import plain_norms
from compile.simplify.operands import explicit_operands
from compile.simplify.opset import settle_opset, upgrade_opset
from compile.simplify.outcome import Outcome
from compile.simplify.powers import plain_powers
from compile.simplify.prelu import plain_prelu
from compile.simplify.products import plain_products
from compile.simplify.reductions import plain_reductions
from compile.simplify.repeats import drop_broadcasts, plain_repeats
from compile.simplify.reshapes import drop_noop_reshapes, merge_reshapes, plain_reshape
from compile.simplify.resizing import plain_resize
from compile.simplify.selection import plain_selection, plain_split
from compile.simplify.transposed import explicit_transposed


@dataclass(frozen=True)
class Step:
    """A pass and its place in the pipeline.

    Attributes:
        run: changes the graph it is given and says what it did.
        required: the dialect needs it, so it may add a few bytes; other passes are refused when the graph grows.
        repeat: run it until it finds nothing more to do, because what it does tells shapes that were unknown before.
        silent: it writes out what was meant anyway, and reports no rewrites for that.
    """

    run: Callable[[ir.Model], Outcome]
    required: bool = False
    repeat: bool = False
    silent: bool = False


PIPELINE = (
    Step(lift_constants, required=True),  # first, because every later pass looks for constants among the initializers
    Step(drop_unused),
    # Before anything looks at shapes, because exporters compute shapes with nodes. It bounds what a node adds.
    Step(fold_constants, required=True, repeat=True),
    Step(dialect.check_known),  # what is not folded by now and no pass knows would be refused in the end
    Step(upgrade_opset, required=True),
    Step(single_precision, required=True),  # after folding, because shapes may be computed in float64
    Step(fold_constants, repeat=True),  # again, because what was cast like something computed is a constant by now
    # What the hub has no operator for is written with those it has; what a formula writes, a later one may rewrite.
    Step(plain_norms, required=True),
    Step(plain_activations, required=True),
    Step(plain_einsum, required=True),
    Step(plain_depth, required=True),
    Step(plain_resize, required=True),
    Step(plain_split, required=True),
    Step(plain_selection, required=True),
    Step(plain_prelu, required=True),
    Step(plain_choices, required=True),
    Step(finite_masks, required=True),
    Step(plain_powers, required=True),
    Step(plain_arithmetic, required=True),
    Step(find_gelu, required=True),  # after arithmetic, which leaves fewer spellings
    Step(plain_bounds, required=True),
    Step(plain_products, required=True),
    Step(plain_reductions, required=True),
    Step(plain_repeats, required=True),
    Step(drop_broadcasts),
    Step(fold_constants),
    Step(drop_unused),
    Step(onnxsim, silent=True),  # before we write the hub's form, which nothing may take out again
    Step(explicit_attributes, required=True, silent=True),
    Step(explicit_transposed, required=True, silent=True),
    Step(dilated_average, required=True),
    Step(explicit_operands, required=True, silent=True),  # after folding, because operands must be constants by now
    Step(split_batchnorm, required=True),
    Step(gemm_form, required=True, silent=True),  # before the affine pass, which folds into Conv and Gemm only
    Step(fold_affine),  # after split_batchnorm, which makes most of its work
    Step(fold_ahead),  # after it, because what stands between two products costs the first nothing
    Step(global_average, required=True),
    Step(drop_noops),
    Step(narrow_transposes, required=True),
    Step(
        plain_reshape, required=True, silent=True
    ),  # after drop_noops, because what cannot be dropped becomes a Reshape
    Step(merge_reshapes, required=True),  # after gemm_form and plain_reshape, which leave Reshapes in a row
    Step(drop_noop_reshapes),
    Step(fold_constants),  # again, because Reshapes of constants may have appeared
    Step(deduplicate, silent=True),
    Step(
        plain_reshape, required=True, silent=True
    ),  # again, because what was computed for two outputs is now one with two names
    Step(drop_unused),
    Step(settle_opset, required=True),
    Step(rename, required=True, silent=True),  # last, so that names depend on the result alone
)


@dataclass(frozen=True)
class Simplified:
    """The model in the hub dialect, and what was done and declined, one line each, in order."""

    model: Model
    rewrites: tuple[str, ...]
    refusals: tuple[str, ...]


def simplify(model: Model) -> Simplified:
    """Bring a captured model to the hub dialect; the given model is left as it is.

    Raises:
        UnsupportedNode: a node has no hub form; names operator, node and source module.
        UserError: a tensor has no static shape.
    """
    current = infer(model.clone().ir)
    rewrites: list[str] = []
    refusals: list[str] = []
    for step in PIPELINE:
        name, again = step.run.__name__, True
        while again:
            changed = current if step.required else current.clone()
            outcome = step.run(changed)
            again = step.repeat and bool(outcome.rewrites)
            refusals += [f"{name}: {line}" for line in outcome.refusals if not again]
            if not outcome.rewrites and not step.silent:
                break
            changed = infer(changed, after=name)
            growth = 0 if step.required else _size(changed) - _size(current)
            if growth > 0:
                refusals.append(f"{name}: refused as a whole, the graph would grow by {growth:,} bytes")
                break
            rewrites += [f"{name}: {line}" for line in outcome.rewrites]
            current = changed
    dialect.check(current)
    return Simplified(Model(current), tuple(rewrites), tuple(refusals))


def infer(model: ir.Model, after: str = "capture") -> ir.Model:
    """Give every value its type and shape; a graph that fails here was broken by the pass before."""
    common.TopologicalSortPass()(model)
    common.NameFixPass()(model)  # what a pass writes may by chance be called like something else
    try:
        proto = onnx.shape_inference.infer_shapes(ir.to_proto(model), check_type=True, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        if after == "capture":
            raise UserError(f"its shapes do not fit together: {message}", where="graph") from error
        raise Bug(f"pass {after} left an inconsistent graph: {message}") from error
    inferred = {info.name: info for info in (*proto.graph.value_info, *proto.graph.output)}
    for node in model.graph:
        for value in node.outputs:
            if value.name in inferred:
                ir.serde.deserialize_value_info_proto(inferred[value.name], value)
    return model


def _size(model: ir.Model) -> int:
    """Bytes of structure and weights, without what no artefact keeps: annotations, and weights that nobody reads."""
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    kept = [tensor for tensor in proto.graph.initializer if model.graph.initializers[tensor.name].uses()]
    del proto.graph.initializer[:]
    return int(proto.ByteSize()) + sum(int(tensor.ByteSize()) for tensor in kept)
