"""One training: what is trained, on what, and how. Plain data, written by hand or by a recipe (``training.recipe``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from distill.augment.presets import GENTLE, Augmentation
from distill.training import losses

TUNING = 1e-3  # learning rate that does a trained student no harm


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        steps: of the optimizer; the learning rate warms up, then falls along a cosine to zero at the last one.
        batch: sequences a step.
        frames: of output in a sequence (50 a second).
        learning_rate: the highest.
        weight_decay: of AdamW.
        warm_up: steps until the learning rate is reached.
        seed: of weights and batches.
        time_limit: seconds after which the schedule is to have ended; on a slow machine steps are left out. None: no
            limit, and equal inputs give equal students.
        precision: ``float32``; ``bfloat16`` for matrix products and convolutions; ``auto``: that where it is fast.
        ema: decay a step of the moving average of the weights that the student is made of; None: the last weights.
        shares: how often each labels folder is drawn from; None: by its minutes.
        speakers: a speaker is drawn in proportion to minutes to this power: 1 treats all minutes alike, 0 all speakers.
        augmentation: what happens to speech.
        checkpoint_every: steps; besides, an interrupted run never loses more than 20 seconds.
        evaluate_every: steps between looks at the held-out labels; 0: never.
        weights: of the terms of the loss.
    """

    steps: int = 2500
    batch: int = 16
    frames: int = 100
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    warm_up: int = 100
    seed: int = 0
    time_limit: float | None = None
    precision: str = "float32"
    ema: float | None = None
    shares: tuple[float, ...] | None = None
    speakers: float = 0.5
    augmentation: Augmentation = GENTLE
    checkpoint_every: int = 250
    evaluate_every: int = 0
    weights: losses.Weights = field(default_factory=losses.Weights)


@dataclass(frozen=True)
class Stage:
    """One training.

    Attributes:
        name: of the stage.
        out: folder of the student.
        student: name of the architecture.
        look_ahead: milliseconds; None: the architecture's own.
        guide: folder of a finished student whose features are learnt as well, or ``phiz:NAME``; empty: none.
        alignment: ``face`` or ``heard``: at which times features are compared, see ``losses.lead``.
        init: the student to begin with, likewise; empty: fresh weights.
        rig: file of the controls to learn in place of the labels' own.
        recipe: how to train.
    """

    name: str
    out: Path
    student: str = "tiny"
    look_ahead: float | None = None
    guide: str = ""
    alignment: losses.Alignment = "face"
    init: str = ""
    rig: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
