"""From a model that takes a window to one that takes a hop: the only way in.

The paper's students recompute a whole window for every frame. Of a network of valid convolutions, pools, pointwise and
fully connected layers, all but the newest steps of every layer were computed with the windows before, so they are kept.
Source of the idea: Coucke et al., "Efficient keyword spotting using dilated convolutions and gating", 2019; for any
graph here, with hop and buffers worked out from it.
"""

from __future__ import annotations

from compile.model import Model, shape_of
from compile.simplify.pipeline import infer
from compile.streaming.plan import plan
from compile.streaming.rewrite import rewrite
from compile.streaming.timing import timing
from targets.stream import Stream


def stream(model: Model, axis: int = -1) -> Model:
    """The model that computes hop by hop what ``model`` computes of the window that ends with the hop.

    From the first hop on that fills the window, float outputs equal the window's to rounding (sums in another order),
    and integers bit for bit.

    Args:
        model: in the hub dialect, with or without Q/DQ pairs. It stays as it is.
        axis: of its input that is time.

    Returns:
        A model of the same inputs and outputs, the input one hop long, followed by its states; ``phiz.stream`` in its
        metadata says which they are (``targets.stream.Stream``).

    Raises:
        UserError: it has several inputs.
        UnsupportedNode: a node looks across the whole window and keeps time; says why, and what would help.
    """
    own = model.clone()
    graph = own.ir.graph
    found = timing(graph, axis)
    planned = plan(graph, found)
    length = shape_of(graph.inputs[0])[axis]
    states = rewrite(graph, found, planned)
    infer(own.ir, after="streaming")
    facts = Stream(planned.hop, -(-length // planned.hop), states)
    own.ir.metadata_props.update(facts.to_metadata())
    graph.name = f"{graph.name or 'student'}.stream"
    return own
