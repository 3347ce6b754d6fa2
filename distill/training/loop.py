"""The loop of every training: a learning rate that warms up and falls, steps, checkpoints, progress.

All randomness is a function of (seed, step), so a checkpoint needs no random state and a resumed run ends bit for bit
like one that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.errors import UserError
from distill.training import checkpoint

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from distill.training.batches import Batch
    from distill.training.ema import Average
    from distill.training.parallel import World
    from distill.training.stage import Recipe

CHECKPOINT = "checkpoint.safetensors"
KEEP_EVERY = 20.0  # seconds
CALM = 0.02  # share of the latest step in the running means, at least


@dataclass(frozen=True)
class Step:
    """Progress.

    Attributes:
        done: steps so far.
        total: steps in all.
        loss: running mean.
        seconds: since the start, over all sittings.
        rate: the learning rate of this step.
        terms: running mean of each term of the loss.
        held_out: what the last look at held-out speech found.
        judged: the step of that look; 0: none yet.
    """

    done: int
    total: int
    loss: float
    seconds: float
    rate: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)
    held_out: Mapping[str, float] = field(default_factory=dict)
    judged: int = 0


@dataclass(frozen=True)
class Course:
    """What is trained, and by what.

    Attributes:
        network: in the state in which a fresh run begins; what is not frozen in it is trained.
        terms: the terms of the loss of a batch, scalars that are summed; pure but for batch norms.
        batches: those of the steps from the first number up to the second.
        average: follows after each step, and is a part of the checkpoint; None: without.
        judge: looks at held-out speech, now and then in rank 0.
    """

    network: nn.Module
    terms: Callable[[Batch], Mapping[str, Tensor]]
    batches: Callable[[int, int], Iterator[Batch]]
    average: Average | None = None
    judge: Callable[[], Mapping[str, float]] = dict


def checkpoint_of(folder: Path) -> Path:
    """Where the checkpoint of a run lies that will end as the student ``folder``."""
    return folder.with_name(f"{folder.name}.training") / CHECKPOINT


def run(
    course: Course,
    recipe: Recipe,
    facts: Mapping[str, Any],
    folder: Path,
    world: World,
    progress: Callable[[Step], None] | None = None,
) -> Step:
    """Train in place, from the checkpoint beside ``folder`` if there is one.

    Args:
        course: what to train.
        recipe: of the optimizer, the schedule and the checkpoints.
        facts: tell one run from another; JSON-able.
        folder: of the finished student; :func:`forget` the checkpoint once it is there.
        world: the processes that train together.
        progress: called after every step, in rank 0.

    Returns:
        The last step.

    Raises:
        UserError: the checkpoint is of another run or cannot be written, or the loss became NaN or infinite.
    """
    import torch

    optimizer = torch.optim.AdamW(
        course.network.parameters(), recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    parts = {"network": course.network} | ({"average": course.average} if course.average is not None else {})
    path = checkpoint_of(folder)
    done, before, running = checkpoint.resume(path, facts, parts, optimizer)
    step = Step(done, recipe.steps, sum(running.values()), before, terms=running)
    started, kept = time.monotonic(), before
    for batch in course.batches(done, recipe.steps):
        rate = _rate(step, recipe, world)
        if rate is None:
            break
        latest = _learn(course, optimizer, batch, rate, step.done + 1, world)
        step = _after(step, latest, rate, before + time.monotonic() - started)
        if not world.first:
            continue
        if recipe.evaluate_every and (step.done % recipe.evaluate_every == 0 or step.done == recipe.steps):
            step = replace(step, held_out=course.judge(), judged=step.done)
        if step.done % recipe.checkpoint_every == 0 or step.done == recipe.steps or step.seconds - kept > KEEP_EVERY:
            checkpoint.save(path, facts, parts, optimizer, (step.done, step.seconds, dict(step.terms)))
            kept = step.seconds
        if progress:
            progress(step)
    return step


def forget(folder: Path) -> None:
    """Remove the checkpoint of a finished run."""
    path = checkpoint_of(folder)
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        path.parent.rmdir()


def _rate(step: Step, recipe: Recipe, world: World) -> float | None:
    """The learning rate of the step after ``step``; None when the time is up."""
    from distill.training import parallel

    done = step.done / recipe.steps
    if recipe.time_limit is not None:
        done = max(done, parallel.agreed(step.seconds, world) / recipe.time_limit)
    if done >= 1:
        return None
    return recipe.learning_rate * min(1, (step.done + 1) / recipe.warm_up) * (1 + math.cos(math.pi * done)) / 2


def _learn(
    course: Course, optimizer: torch.optim.Optimizer, batch: Batch, rate: float, number: int, world: World
) -> dict[str, float]:
    """Make step ``number`` of the optimizer; the terms of its loss.

    Raises:
        UserError: a term or the gradient is NaN or infinite; nothing has changed then.
    """
    import torch

    from distill.training import parallel

    for group in optimizer.param_groups:
        group["lr"] = rate
    terms = course.terms(batch)
    optimizer.zero_grad(set_to_none=True)
    torch.stack([*terms.values()]).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    norm = torch.nn.utils.clip_grad_norm_(course.network.parameters(), 1.0)
    found = parallel.mean({**terms, "gradient": norm}, world)
    if wrong := [name for name, value in found.items() if not math.isfinite(value)]:
        raise UserError(
            f"the loss became NaN or infinite at step {number}: {', '.join(wrong)}", fix="lower the learning rate"
        )
    optimizer.step()
    if course.average is not None:
        course.average.follow()
    return {name: found[name] for name in terms}


def _after(step: Step, latest: Mapping[str, float], rate: float, seconds: float) -> Step:
    """Progress after a step with these terms of the loss."""
    done = step.done + 1
    share = max(1 / done, CALM)
    terms = {name: value * share + step.terms.get(name, value) * (1 - share) for name, value in latest.items()}
    return replace(step, done=done, loss=sum(terms.values()), seconds=seconds, rate=rate, terms=terms)
