"""What the float model and the artefacts make of the same input, one output after the other: curves to lay over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile import parity
from compile.errors import UserError
from compile.model import Model
from compile.quantize.measure import Outputs
from compile.samples import Passage, Split
from targets.base import Artifact
from targets.catalogue import Target
from targets.face import Face

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
    samples: Split,
    targets: Sequence[Target],
    artifacts: Mapping[str, Artifact],
    folder: Path,
    progress: Callable[[str, int, int], None],
) -> Spoken:
    """Run the float model and every artefact that is worth drawing, as it lies in ``folder``.

    Those that stream say what those of windows say; what has no runtime here is evaluated, which is slow, and so only
    where there is nothing else.
    """
    given = samples.judge if samples.passage is None else samples.passage.windows
    against = parity.float_reference(captured, given)
    lines = {FLOAT: _channels(against.float_outputs)}
    for target in _worth_drawing(targets):
        artifact = artifacts[target.name]
        path, stream = folder / artifact.name, parity.stream_of(target, artifact)
        said = parity.run(target, path, against, lambda *done: progress("speak", *done), stream)
        if not isinstance(said, str):
            lines[target.name] = _channels({name: said[name] for name in against.float_outputs})
    if samples.passage is None:
        lines = {name: line[:MOST] for name, line in lines.items()}
    left = tuple(target.name for target in targets if target.name not in lines)
    return Spoken(_names(captured, against.float_outputs), lines, samples.passage, left)


def _worth_drawing(targets: Sequence[Target]) -> list[Target]:
    native = [target for target in targets if not target.emulator] or list(targets[:1])
    return [target for target in native if not target.streams] or native


def _channels(outputs: Outputs) -> NDArray[np.float32]:
    """All outputs side by side: ``[steps, channels]``."""
    return np.concatenate([array.reshape(len(array), -1) for array in outputs.values()], axis=1)


def _names(captured: Model, outputs: Outputs) -> tuple[str, ...]:
    channels = {name: array[0].size for name, array in outputs.items()}
    try:
        face = Face.from_metadata(captured.metadata, "the model")
    except UserError:
        face = None
    if face is not None and sum(channels.values()) == len(face.controls):
        return face.controls
    return tuple(f"{name} {index}" if count > 1 else name for name, count in channels.items() for index in range(count))
