"""The loop of every training: a learning rate that warms up and falls, steps, checkpoints, progress.

All randomness is a function of (seed, step), so a checkpoint needs no random state and a resumed run ends bit for bit
like one that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.errors import UserError
from distill import checkpoint

if TYPE_CHECKING:
    from torch import Tensor, nn

    from distill.stage import Recipe

CHECKPOINT = "checkpoint.safetensors"
KEEP_EVERY = 20.0  # seconds


@dataclass(frozen=True)
class Step:
    """Progress: ``done`` of ``total`` steps, the running mean of the loss, seconds since the start."""

    done: int
    total: int
    loss: float
    seconds: float


def checkpoint_of(folder: Path) -> Path:
    """Where the checkpoint of a run lies that will end as the student ``folder``."""
    return folder.with_name(f"{folder.name}.training") / CHECKPOINT


def run(
    network: nn.Module,
    recipe: Recipe,
    facts: Mapping[str, Any],
    folder: Path,
    loss_of: Callable[[int], Tensor],
    progress: Callable[[Step], None] | None = None,
) -> tuple[int, float]:
    """Train ``network`` in place, from the checkpoint beside ``folder`` if there is one.

    Args:
        network: in the state in which a fresh run begins.
        recipe: of the optimizer, the schedule and the checkpoints.
        facts: tell one run from another; JSON-able.
        folder: of the finished student; :func:`forget` the checkpoint once it is there.
        loss_of: the loss of a step, a scalar; a pure function of the step and the network's weights.
        progress: called after every step.

    Returns:
        (steps done, running mean of the loss).

    Raises:
        UserError: the checkpoint is of another run, or the loss became NaN or infinite.
    """
    import torch

    optimizer = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    path = checkpoint_of(folder)
    step, before, running = checkpoint.resume(path, facts, network, optimizer)
    started, kept = time.monotonic(), before
    while step < recipe.steps:
        elapsed = before + time.monotonic() - started
        done = step / recipe.steps
        if recipe.time_limit is not None:
            done = max(done, elapsed / recipe.time_limit)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = (
                recipe.learning_rate * min(1, (step + 1) / recipe.warm_up) * (1 + math.cos(math.pi * done)) / 2
            )
        value = loss_of(step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        latest = float(value.detach())
        running = latest if step == 1 else running + (latest - running) * max(1 / step, 0.02)
        if not math.isfinite(running):
            raise UserError(f"the loss became {latest} at step {step}", fix="lower the learning rate")
        seconds = before + time.monotonic() - started
        if step % recipe.checkpoint_every == 0 or seconds - kept > KEEP_EVERY:
            checkpoint.save(path, facts, network, optimizer, (step, seconds, running))
            kept = seconds
        if progress:
            progress(Step(step, recipe.steps, running, seconds))
    return step, running


def forget(folder: Path) -> None:
    """Remove the checkpoint of a finished run."""
    path = checkpoint_of(folder)
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        path.parent.rmdir()
