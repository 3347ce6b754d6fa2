"""Students: the table of architectures, and the folder that holds a trained one.

A student folder has two files and no pickle: ``student.safetensors`` (the weights) and ``student.json`` (what they
are, how they were trained, and the ``phiz.*`` metadata that every compiled artefact will carry).
Importing this module does not import torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from compile.files import folder_atomically, require_replaceable
from distill.audio import SAMPLE_RATE
from distill.controls import ARKIT

if TYPE_CHECKING:
    from torch import Tensor

    from distill.network import Student
    from distill.quantised import Quantised

FORMAT = "phiz student 1"
WEIGHTS, FACTS = "student.safetensors", "student.json"


@dataclass(frozen=True)
class Architecture:
    """The shape of a student.

    Attributes:
        name: as in ``student.json`` and on the command line.
        channels: outputs of the strided convolutions; the last is the width of everything after them.
        look_ahead: samples of the window that lie after the frame's time.
        hidden: widths between the fully connected layers.
        span: frames that the first fully connected layer sees together.
        outputs: number of controls.
        kernels: of the strided convolutions, in samples of their own input.
        strides: of the same; their product is the hop.
        temporal: kernels of the convolutions over frames; odd ones carry a residual.
    """

    name: str
    channels: tuple[int, ...]
    look_ahead: int = 4096
    hidden: tuple[int, ...] = (80,)
    span: int = 1
    outputs: int = len(ARKIT)
    kernels: tuple[int, ...] = (22, 10, 7, 4)
    strides: tuple[int, ...] = (10, 4, 4, 2)
    temporal: tuple[int, ...] = (5, 5, 5, 5, 5, 4)

    @property
    def hop(self) -> int:
        """Samples between two frames."""
        return math.prod(self.strides)

    @property
    def window(self) -> int:
        """Samples that one frame sees: the receptive field, exactly."""
        samples, step = 1, 1
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples += (kernel - 1) * step
            step *= stride
        return samples + (sum(kernel - 1 for kernel in self.temporal) + self.span - 1) * step

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return SAMPLE_RATE / self.hop

    @property
    def look_ahead_ms(self) -> float:
        """Milliseconds of the window after the frame's time."""
        return 1000 * self.look_ahead / SAMPLE_RATE


ARCHITECTURES: Mapping[str, Architecture] = {
    student.name: student
    for student in (
        Architecture("small", channels=(64, 128, 256, 288), hidden=(288,)),  # 3.1 M parameters
        Architecture("tiny", channels=(16, 32, 64, 80)),  # 0.24 M parameters
        # 8 convolutions and 3 fully connected layers, 0.86 M parameters: what the compiler is measured by.
        Architecture("reference", (24, 48, 96, 128), hidden=(296, 128), span=12, temporal=(4, 4, 4, 4)),
    )
}


def architecture(name: str) -> Architecture:
    """Look up an architecture by name.

    Raises:
        UserError: there is none of that name; lists the known ones.
    """
    if name not in ARCHITECTURES:
        raise UserError(f"unknown architecture '{name}'", fix=f"choose one of: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build(shape: Architecture) -> Student:
    """A student with fresh weights from torch's global random state.

    Raises:
        MissingExtra: torch is not installed.
    """
    try:
        from distill.network import Student
    except ModuleNotFoundError as error:
        raise MissingExtra("a student network", "torch", "torch") from error
    return Student(shape)


def metadata(shape: Architecture, controls: Sequence[str]) -> dict[str, str]:
    """The ``phiz.*`` strings that tell a runtime how to drive a face (as ``compile.model.Face`` writes them)."""
    return {
        "phiz.sample_rate": str(SAMPLE_RATE),
        "phiz.frame_rate": repr(float(shape.frame_rate)),
        "phiz.window": str(shape.window),
        "phiz.look_ahead_ms": repr(float(shape.look_ahead_ms)),
        "phiz.controls": json.dumps(list(controls), separators=(",", ":")),
    }


def save(
    student: Student, folder: Path, *, training: Mapping[str, Any] | None = None, controls: Sequence[str] = ARKIT
) -> None:
    """Write a student folder; an existing one is replaced as a whole.

    Args:
        student: speaking in the controls' own units (see ``network.destandardise``).
        folder: where; created with its parents.
        training: facts about how it was trained, JSON-able, for the record.
        controls: names of the outputs, in order.

    Raises:
        UserError: the folder cannot be written or holds other things, or a weight is NaN or infinite.
    """
    from safetensors.torch import save as serialise

    shape = student.architecture
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in _weights(student).items()}
    for name, tensor in weights.items():
        _check_finite(name, tensor, folder)
    facts = {
        "format": FORMAT,
        "architecture": shape.name,
        "controls": list(controls),
        "sample_rate": SAMPLE_RATE,
        "frame_rate": shape.frame_rate,
        "window": shape.window,
        "look_ahead_ms": shape.look_ahead_ms,
        "training": dict(training or {}),
        "metadata": metadata(shape, controls),
    }
    require_free(folder)
    with folder_atomically(folder) as temporary:
        (temporary / WEIGHTS).write_bytes(serialise(weights))  # save_file would hide the file from everybody else
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
    try:
        import torch
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError as error:
        raise MissingExtra("reading a student folder", "torch", error.name or "torch") from error

    shape = architecture(facts["architecture"])
    student = build(shape)
    expected = _weights(student)
    path = folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no dict)
            _check_shapes({name: tuple(tensor.shape) for name, tensor in expected.items()}, found, path)
            weights = {name: file.get_tensor(name).float() for name in expected}
    except FileNotFoundError as error:
        raise UserError("the weights are missing", where=str(path), fix="train the student again") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"not a safetensors file: {error}", where=str(path), fix="train the student again") from error
    for name, tensor in weights.items():
        _check_finite(name, tensor, path)
    student.load_state_dict(weights, strict=False)
    return student.eval(), (torch.zeros(1, shape.window),), metadata(shape, facts["controls"])


def predict(student: Student | Quantised, audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """The face of mono ``audio`` [time] at 16 kHz: ``[frame_count(samples), outputs]`` in [0, 1], 50 frames a second.

    The same as ``curves.frames`` with the student as its predictor, but computes every layer once.
    """
    import torch

    shape = student.architecture
    before, frames = shape.window - shape.look_ahead, -(-len(audio) // shape.hop)
    padded = np.zeros(shape.window + max(frames - 1, 0) * shape.hop, np.float32)
    padded[before : before + len(audio)] = audio[: len(padded) - before]
    with torch.inference_mode():
        curves = student.sequence(torch.from_numpy(padded)[None])[0, :frames]
    return np.asarray(curves.clamp(0, 1).numpy(), np.float32)


def read_facts(folder: Path) -> dict[str, Any]:
    """Read and check ``student.json``.

    Raises:
        UserError: it is missing, malformed, of another format, or contradicts its architecture.
    """
    path = folder / FACTS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError("not a student folder", where=str(folder), fix=f"give a folder with {FACTS}") from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"is not JSON: {error}", where=str(path), fix="train the student again") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise UserError(f"not a '{FORMAT}' file", where=str(path), fix="train the student again")
    if facts.get("architecture") not in [*ARCHITECTURES]:
        raise UserError(
            f"unknown architecture {facts.get('architecture')!r}",
            where=str(path),
            fix=f"known are: {', '.join(ARCHITECTURES)}",
        )
    shape = architecture(facts["architecture"])
    controls = facts.get("controls")
    if (
        not isinstance(controls, list)
        or [type(name) for name in controls] != [str] * shape.outputs
        or len(set(controls)) != shape.outputs
    ):
        raise UserError(f"'controls' must list {shape.outputs} different names", where=str(path))
    return facts


def _weights(student: Student) -> dict[str, Tensor]:
    """The state that matters to a trained student: everything but batch norm's step counters."""
    return {name: t for name, t in student.state_dict().items() if not name.endswith("num_batches_tracked")}


def _check_shapes(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], path: Path) -> None:
    for name, shape in expected.items():
        if name not in found:
            raise UserError(f"tensor '{name}' is missing; expected shape {list(shape)}", where=str(path))
        if found[name] != shape:
            raise UserError(
                f"tensor '{name}' has shape {list(found[name])}; expected {list(shape)}",
                where=str(path),
                fix="is this the checkpoint of another architecture?",
            )
    for name in found:
        if name not in expected:
            raise UserError(f"tensor '{name}' is not part of this architecture", where=str(path))


def _check_finite(name: str, tensor: Tensor, path: Path) -> None:
    if not bool(tensor.isfinite().all()):
        raise UserError(f"tensor '{name}' has NaN or infinite values", where=str(path), fix="train the student again")
