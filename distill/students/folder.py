"""Students: networks of the table in ``architectures``, and the folder that holds a trained one.

A student folder has two files and no pickle: ``student.safetensors`` (the weights) and ``student.json`` (what they
are, how they were trained, and the ``phiz.*`` metadata that every compiled artefact will carry).
Importing this module does not import torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from compile.files import contents, folder_atomically, require_replaceable
from distill import curves
from distill.audio import SAMPLE_RATE
from distill.controls import ARKIT
from distill.students import weights
from distill.students.architectures import ARCHITECTURES, MOST_CONTROLS, Architecture, architecture, fitted

if TYPE_CHECKING:
    from torch import Tensor

    from distill.students.network import Student
    from distill.training.quantised import Quantised

__all__ = [
    "ARCHITECTURES",
    "FACTS",
    "WEIGHTS",
    "Architecture",
    "architecture",
    "build",
    "fitted",
    "load",
    "metadata",
    "predict",
    "read_facts",
    "require_free",
    "save",
    "shape_of",
]

FORMAT = "phiz student 1"
WEIGHTS, FACTS = "student.safetensors", "student.json"
BLOCK = 3000  # frames that predict computes at once: a minute, so that an hour takes no more memory


def build(shape: Architecture) -> Student:
    """A student with fresh weights from torch's global random state.

    Raises:
        MissingExtra: torch is not installed.
    """
    try:
        from distill.students.network import Student
    except ModuleNotFoundError as error:
        raise MissingExtra("a student network", "torch", "torch") from error
    return Student(shape)


def metadata(shape: Architecture, controls: Sequence[str]) -> dict[str, str]:
    """The ``phiz.*`` strings that tell a runtime how to drive a face (as ``compile.model.Face`` writes them)."""
    facts = {
        "phiz.sample_rate": str(SAMPLE_RATE),
        "phiz.frame_rate": repr(float(shape.frame_rate)),
        "phiz.window": str(shape.window),
        "phiz.look_ahead_ms": repr(float(shape.look_ahead_ms)),
        "phiz.controls": json.dumps(list(controls), separators=(",", ":")),
    }
    return facts if shape.bounded else facts | {"phiz.bounded": "false"}


def save(
    student: Student,
    folder: Path,
    *,
    training: Mapping[str, Any] | None = None,
    controls: Sequence[str] = ARKIT,
    half: bool = False,
) -> None:
    """Write a student folder; an existing one is replaced as a whole.

    Args:
        student: speaking in the controls' own units (see ``network.destandardise``).
        folder: where; created with its parents.
        training: facts about how it was trained, JSON-able, for the record.
        controls: names of the outputs, in order.
        half: store weights as float16, as students that ship do; :func:`load` widens them.

    Raises:
        UserError: the folder cannot be written or holds other things, or a weight is NaN or infinite.
    """
    shape = student.architecture
    facts = {
        "format": FORMAT,
        "architecture": shape.name,
        "controls": list(controls),
        "bounded": shape.bounded,
        "sample_rate": SAMPLE_RATE,
        "frame_rate": shape.frame_rate,
        "window": shape.window,
        "look_ahead_ms": shape.look_ahead_ms,
        "training": dict(training or {}),
        "metadata": metadata(shape, controls),
    }
    data = weights.to_bytes(_state(student), folder, half=half)
    require_free(folder)
    with folder_atomically(folder) as temporary:
        (temporary / WEIGHTS).write_bytes(data)
        (temporary / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def require_free(folder: Path) -> None:
    """Make sure that a student may be saved as ``folder``; an older student there is replaced.

    Raises:
        UserError: it holds other things.
    """
    require_replaceable(folder, {WEIGHTS, FACTS}.__contains__, "a student folder")


def load(folder: Path) -> tuple[Student, tuple[Tensor], dict[str, str]]:
    """Read a student folder: the module in evaluation mode, example inputs ``([1, window],)``, ``phiz.*`` metadata.

    Raises:
        UserError: a file is missing or malformed, the architecture is unknown, or a tensor is missing, superfluous,
            of another shape, NaN or infinite; the message names the tensor.
        MissingExtra: torch or safetensors is not installed.
    """
    facts = read_facts(folder)
    shape = shape_of(facts)
    student = build(shape)
    expected = {name: tuple(tensor.shape) for name, tensor in _state(student).items()}
    student.load_state_dict(weights.read(folder / WEIGHTS, expected), strict=False)

    import torch

    return student.eval(), (torch.zeros(1, shape.window),), metadata(shape, facts["controls"])


def predict(
    student: Student | Quantised,
    audio: NDArray[np.float32],
    *,
    frame_rate: float | None = None,
    ensemble: bool = False,
) -> NDArray[np.float32]:
    """The face of mono ``audio`` [time] at 16 kHz: ``[frames, outputs]``, in [0, 1] where the student is bounded.

    The same as ``curves.frames`` with the student as its predictor; at its own rate it computes every layer once.

    Args:
        student: in evaluation mode.
        audio: silence is assumed before and after it.
        frame_rate: frames a second; None: the student's own, 50, at which there are ``frame_count(samples)``.
        ensemble: average the predictions at t - 16.7, t and t + 16.7 ms.
    """
    import torch

    shape = student.architecture

    def run(sound: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(student.sequence(torch.from_numpy(sound)).numpy(), np.float32)

    if frame_rate not in (None, shape.frame_rate):
        return curves.frames(
            audio,
            lambda windows: run(windows)[:, 0],
            shape.window,
            frame_rate or shape.frame_rate,
            shape.look_ahead,
            ensemble=ensemble,
            bounded=shape.bounded,
        )
    count = -(-len(audio) // shape.hop)
    shift = curves.shift_of(SAMPLE_RATE) if ensemble else 0
    padded = np.zeros(shape.window + max(count - 1, 0) * shape.hop + 2 * shift, np.float32)
    start = shape.past + shift
    padded[start : start + len(audio)] = audio[: len(padded) - start]
    faces = np.zeros((count, shape.outputs), np.float32)
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        for tap in sorted({0, shift, 2 * shift}):
            sound = padded[tap + first * shape.hop : tap + (last - 1) * shape.hop + shape.window]
            faces[first:last] += run(sound[None])[0]
    faces /= len({0, shift, 2 * shift})
    return faces.clip(0, 1) if shape.bounded else faces


def read_facts(folder: Path) -> dict[str, Any]:
    """Read and check ``student.json``.

    Raises:
        UserError: it is missing, malformed, of another format, or contradicts its architecture.
    """
    path = folder / FACTS
    try:
        facts = json.loads(contents(path))
    except FileNotFoundError as error:
        raise UserError("not a student folder", where=str(folder), fix=f"give a folder with {FACTS}") from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"is not JSON: {error}", where=str(path), fix="train the student again") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise UserError(f"not a '{FORMAT}' file", where=str(path), fix="train the student again")
    known, name, controls = [*ARCHITECTURES], facts.get("architecture"), facts.get("controls")
    if name not in known:
        raise UserError(f"unknown architecture {name!r}", where=str(path), fix=f"known are: {', '.join(known)}")
    if (
        not isinstance(controls, list)
        or not 0 < len(controls) <= MOST_CONTROLS
        or not all(isinstance(control, str) for control in controls)
        or len(set(controls)) != len(controls)
    ):
        raise UserError(f"'controls' must list 1 to {MOST_CONTROLS} different names", where=str(path))
    if not isinstance(facts.get("bounded", True), bool):
        raise UserError("'bounded' must be true or false", where=str(path))
    look_ahead = facts.get("look_ahead_ms", ARCHITECTURES[name].look_ahead_ms)
    if isinstance(look_ahead, bool) or not isinstance(look_ahead, (int, float)):
        raise UserError("'look_ahead_ms' must be a number", where=str(path))
    try:
        architecture(name, look_ahead)
    except UserError as error:
        raise UserError(error.what, where=str(path), fix=error.fix) from error
    return facts


def shape_of(facts: Mapping[str, Any]) -> Architecture:
    """The architecture that :func:`read_facts` tells of: with its own look-ahead and its rig's controls."""
    shape = architecture(facts["architecture"], facts.get("look_ahead_ms"))
    return replace(shape, outputs=len(facts["controls"]), bounded=facts.get("bounded", True))


def _state(student: Student) -> dict[str, Tensor]:
    """The state that matters to a trained student: everything but batch norm's step counters."""
    return {name: t for name, t in student.state_dict().items() if not name.endswith("num_batches_tracked")}
