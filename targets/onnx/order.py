"""The order in which onnxruntime executes kernels, which is not that of the file.

It walks from the last nodes back to the first, at each node to the input that was made latest, and runs a node when all
its inputs have run. Nodes that its optimisers made are younger than those of the file.
Source: ``Graph::ReverseDFSFrom`` and the constructor of ``GraphViewer``; its profiles show the same order.
"""

from __future__ import annotations

from collections.abc import Sequence

from targets.onnx.fusion import Step


def ordered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """``steps`` as they run."""
    makers = {name: index for index, step in enumerate(steps) for name in step.writes}
    inputs = [
        sorted({makers[name] for name in step.reads if name in makers}, key=lambda index: steps[index].age)
        for step in steps
    ]
    used = {index for sources in inputs for index in sources}
    stack = [
        (index, False) for index in sorted(range(len(steps)), key=lambda index: steps[index].age) if index not in used
    ]
    seen: set[int] = set()
    found: list[Step] = []
    while stack:
        index, done = stack.pop()
        if done:
            found.append(steps[index])
        elif index not in seen:
            seen.add(index)
            stack.append((index, True))
            stack += ((source, False) for source in inputs[index] if source not in seen)
    return tuple(found)
