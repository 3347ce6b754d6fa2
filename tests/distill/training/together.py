"""What each process of ``test_parallel`` does: the gradients of one batch, then a whole recipe. Not a test itself."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from distill import rigs
from distill.students import folder as students
from distill.training import losses, parallel, recipe
from distill.training.batches import Batch, Span
from distill.training.objective import Objective
from distill.training.pipeline import perform
from distill.training.stage import Recipe, Stage


def gradients(world: parallel.World) -> dict[str, np.ndarray]:
    """Gradients, statistics of batch norms and terms of the loss of a student with a guide, of a batch of four."""
    torch.manual_seed(0)
    student = students.build(students.architecture("tiny-low-latency"))
    guide = students.build(students.architecture("tiny"))
    span = Span(30, 7168, 4096)
    draw = np.random.default_rng(0)
    volume = np.array([0.01, 0.1, 0.3, 1.0])[:, None]  # the rows differ, so their statistics do
    audio = (volume * draw.standard_normal((4, span.samples))).astype(np.float32)
    curves = draw.random((4, span.frames, 52)).astype(np.float32)
    spread = (np.full(52, 0.5, np.float32), np.full(52, 0.3, np.float32))
    weighed = Recipe(weights=losses.Weights(feature=0.5, stability=1.0))
    stage = Stage("s", None, guide="guide", recipe=weighed)  # type: ignore[arg-type]  # nothing is saved
    objective = Objective(student.train(), guide.requires_grad_(False), stage, rigs.plain(), span, spread, world)
    parallel.synchronise(objective, world)
    rows = slice(4 * world.rank // world.ranks, 4 * (world.rank + 1) // world.ranks)
    network = parallel.distributed(objective, world)  # it averages gradients as long as it lives
    terms = network(Batch(audio[rows], curves[rows]))
    torch.stack([*terms.values()]).sum().backward()
    found = {f"gradient of {name}": weight.grad.numpy() for name, weight in objective.named_parameters()}
    found |= {name: buffer.numpy() for name, buffer in objective.named_buffers()}
    return found | {f"term {name}": np.array(value) for name, value in parallel.mean(terms, world).items()}


if __name__ == "__main__":
    with parallel.join("cpu") as together:
        mine = gradients(together)
        if together.first:
            np.savez(sys.argv[1], **mine)
        perform(recipe.read(Path(sys.argv[2])), together, lambda stage, done, *_: print(stage, done))
