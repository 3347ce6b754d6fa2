"""What the float model and the artefacts make of the same input, one output after the other: curves to lay over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from compile import parity
from compile.errors import UserError
from compile.model import Model
from compile.quantize.measure import Outputs
from compile.samples import Passage
from targets.base import Runner
from targets.catalogue import Target
from targets.face import Face
from targets.stream import Stream

FLOAT = "float"
MOST = 250  # outputs of what has no passage: as many fit a screen


@dataclass(frozen=True)
class Spoken:
    """Curves of one input.

    Attributes:
        names: of the channels; of a face its controls.
        lines: ``[steps, channels]`` by who made them, the float model first.
        passage: what was heard, where it is a sentence; None where steps are judged samples in their order.
        left: targets that are not among the lines.
    """

    names: tuple[str, ...]
    lines: Mapping[str, NDArray[np.float32]]
    passage: Passage | None
    left: tuple[str, ...]


def speak(
    captured: Model,
    passage: Passage,
    targets: Sequence[Target],
    runners: Mapping[str, Runner | str],
    streams: Mapping[str, Stream],
    progress: Callable[[str, int, int], None],
) -> Spoken:
    """Run the float model and every artefact that is worth drawing on the passage.

    Those that stream say what those of windows say; what has no runtime here is evaluated, which is slow, and so only
    where there is nothing else.
    """
    against = parity.float_reference(captured, passage.windows)
    said: dict[str, Outputs] = {}
    for target in _worth_drawing(targets):
        outputs = parity.run(runners[target.name], against, partial(progress, "speak"), streams.get(target.name))
        if not isinstance(outputs, str):
            said[target.name] = outputs
    return laid_over(captured, against.float_outputs, said, targets, passage)


def laid_over(
    captured: Model,
    original: Outputs,
    said: Mapping[str, Outputs],
    targets: Sequence[Target],
    passage: Passage | None = None,
) -> Spoken:
    """Outputs of the float model and of artefacts as curves; without a passage the first :data:`MOST` will do."""
    batch = captured.inputs[0].shape[0]
    together = all(array.ndim > 1 and array.shape[1] == batch for array in original.values())
    most = None if passage is not None else MOST

    def channels(outputs: Outputs) -> NDArray[np.float32]:
        """All outputs side by side: ``[steps, channels]``; what came as one batch are steps."""
        parts = [outputs[name][:most] for name in original]
        parts = [part.reshape(-1, *part.shape[2:]) for part in parts] if together else parts
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)[:most]

    lines = {FLOAT: channels(original)} | {name: channels(outputs) for name, outputs in said.items()}
    sizes = {name: array[0].size // (batch if together else 1) for name, array in original.items()}
    left = tuple(target.name for target in targets if target.name not in lines)
    return Spoken(_names(captured, sizes), lines, passage, left)


def _worth_drawing(targets: Sequence[Target]) -> list[Target]:
    native = [target for target in targets if not target.emulator] or list(targets[:1])
    return [target for target in native if not target.streams] or native


def _names(captured: Model, sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Of all channels: a face's controls, else the output's name, with a number where it has several."""
    try:
        face = Face.from_metadata(captured.metadata, "the model")
    except UserError:
        face = None
    if face is not None and sum(sizes.values()) == len(face.controls):
        return face.controls
    return tuple(f"{name} {index}" if size > 1 else name for name, size in sizes.items() for index in range(size))
