"""Quantisation-aware fine-tuning: a trained student learns to live with the compiler's roundings.

The plan comes from the compiler as plain data: the very scales and zero points that its calibration chose. The
student is trained to give, rounded, what its labels say and what it said itself when it was still in float.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from distill import digests
from distill.augment.presets import GENTLE, Augmentation
from distill.labels.cache import Labels
from distill.students import folder as students
from distill.training import loop, losses, stage, train

if TYPE_CHECKING:
    from torch import Tensor

    from distill.students.network import Student
    from distill.training.batches import Batch


@dataclass(frozen=True)
class Affine:
    """Parameters of an int8 value: ``real = scale * (integer - zero_point)``."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Start:
    """Where a layer's training begins: the compiler may have made an equal network of other weights.

    Attributes:
        weight: float32, in the shape of the student's own.
        bias: float32 ``[out]``.
        detour: what is to be added to the nearest integers of the weight, where the compiler does not round to nearest.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    detour: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class LayerPlan:
    """How a layer with weights computes. Of each value on its way: its parameters where it exists as int8, else None.

    Attributes:
        start: the weights to begin with; None: the student's, with batch norms folded.
        weights: how they are stored: ``int8``, ``float16`` or ``float32``.
        integer: the bias is int32, in units of the scales of the input and the weights.
        correction: what is added to the bias to take back what rounding shifts, one number an output; or empty.
        dynamic: what it reads is quantised at run time, by the range of the moment.
        read: the value that the layer reads.
        made: what its weights make of that.
        beside: the residual that is added, before it is cropped.
        added: the sum with it.
        left: what leaves the layer, behind its activation function.
    """

    start: Start | None = None
    weights: str = "float32"
    integer: bool = False
    correction: tuple[float, ...] = ()
    dynamic: bool = False
    read: Affine | None = None
    made: Affine | None = None
    beside: Affine | None = None
    added: Affine | None = None
    left: Affine | None = None


Plan = tuple[LayerPlan, ...]  # one a layer with weights, in order of execution


NEAR = replace(GENTLE, pitch=(0.9, 1.1), gain_db=(-6.0, 0.0), noise_db=(25.0, 60.0))  # to what calibration knows


@dataclass(frozen=True)
class Recipe(stage.Recipe):
    """How to fine-tune: shorter and gentler than training, at the levels that calibration knows.

    Attributes:
        faith: weight of the distance between the rounded student and the float student that it was.
        truth: weight of the distance between the rounded student and the labels.
    """

    steps: int = 600
    batch: int = 8
    frames: int = 50
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    warm_up: int = 30
    augmentation: Augmentation = NEAR
    faith: float = 1.0
    truth: float = 1.0


def tune(
    labels: Labels,
    init: Path,
    plan: Plan,
    recipe: Recipe,
    folder: Path,
    progress: Callable[[loop.Step], None] | None = None,
) -> Student:
    """Fine-tune the student in ``init`` under ``plan`` and save it as ``folder``; resumes like ``train.train``.

    The result is an ordinary student whose batch norms do nothing; compiling it gives such a plan again, with ranges
    observed anew.

    Args:
        labels: whose ``train`` split is learnt; with the student's controls.
        init: folder of the trained student.
        plan: what the compiler decided for that student.
        recipe: see :class:`Recipe`.
        folder: of the finished student; until then ``<folder>.training`` holds the checkpoint.
        progress: called after every step.

    Returns:
        The student in evaluation mode, as saved.

    Raises:
        UserError: the labels do not fit the student, there is nothing to train on, the checkpoint belongs to another
            run, or a folder holds other things.
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra("training", "torch", "torch") from error
    from distill.training.batches import Span, Speech, prefetch
    from distill.training.parallel import ALONE
    from distill.training.quantised import Quantised

    require_tunable(labels, init)
    run = run_of(labels, init, plan, recipe)
    if train.ended(run, folder):
        return students.load(folder)[0]
    students.require_free(folder)
    teacher, student = students.load(init)[0], students.load(init)[0]
    shape = student.architecture
    span = Span(recipe.frames, shape.past, shape.look_ahead)
    speech = Speech([labels], span, batch=recipe.batch, seed=recipe.seed, augmentation=recipe.augmentation)
    shift, deviation = map(torch.from_numpy, speech.spread())
    columns = deviation.nonzero()[:, 0]
    network = Quantised(student, plan)

    def standardised(curves: Tensor) -> Tensor:
        return (curves[:, :, columns] - shift[columns]) / deviation[columns]

    def terms(batch: Batch) -> dict[str, Tensor]:
        closed = losses.closed_lips(batch.curves, labels.controls)
        heard = torch.from_numpy(batch.audio)
        with torch.no_grad():
            before = standardised(teacher.sequence(heard))
        rounded, truth = standardised(network.sequence(heard)), standardised(torch.from_numpy(batch.curves))
        return {
            "faith": recipe.faith * losses.loss(rounded, before, closed, recipe.weights),
            "truth": recipe.truth * losses.loss(rounded, truth, closed, recipe.weights),
        }

    def hear(first: int, last: int) -> Iterator[Batch]:
        yield from prefetch(speech, range(first, last))

    last = loop.run(loop.Course(network, terms, hear), recipe, run, folder, ALONE, progress)
    tuned = network.write_back()
    about = run | {"teacher": labels.teacher, "teacher_version": labels.version, "steps": last.done, "loss": last.loss}
    students.save(tuned, folder, training=about, controls=labels.controls)
    loop.forget(folder)
    return tuned


def require_tunable(labels: Labels, init: Path) -> None:
    """Make sure that the student in ``init`` can be fine-tuned on these labels.

    Raises:
        UserError: it has other controls, or a front whose layers have no place in a plan.
    """
    facts = students.read_facts(init)
    if students.shape_of(facts).front != "raw":
        what, fix = "fine-tuning for int8 does not know log-mels", "compile it as it is"
        raise UserError(what, where=str(init), fix=fix)
    if tuple(facts["controls"]) != labels.controls:
        raise UserError("the labels have other controls than the student", where=str(labels.folder))


def run_of(labels: Labels, init: Path, plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """What tells one fine-tuning from another."""
    facts = students.read_facts(init)
    return {
        "architecture": facts["architecture"],
        "look_ahead_ms": students.shape_of(facts).look_ahead_ms,
        "labels": train.labels_digest(labels),
        "init": digests.content(init / students.WEIGHTS),
        "plan": digest(plan),
        "recipe": asdict(recipe),
    }


def digest(plan: Plan) -> str:
    """Of everything in a plan, the weights too."""
    found = hashlib.sha256()
    for layer in plan:
        found.update(json.dumps(asdict(replace(layer, start=None))).encode())
        if layer.start is not None:
            for array in (layer.start.weight, layer.start.bias, layer.start.detour):
                found.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
