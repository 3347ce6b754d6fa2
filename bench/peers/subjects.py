"""What is compiled by all: the same trained networks, and the same speech, made here and equal on every machine.

Speech is espeak-ng's, with exact phone times. What calibrates and what judges share neither sentences nor voices.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from compile.files import folder_atomically
from distill.audio import HOP, decode
from distill.corpus import sources as corpus
from distill.digests import digest

if TYPE_CHECKING:
    from compile.model import Model
    from distill.evaluate import Speech
    from distill.students.architectures import Architecture
    from distill.students.network import Student

ROOT = Path(__file__).parents[2]
CALIBRATE, WINDOWS = 48, 384  # sentences, and windows of them: phiz fits to two thirds of what it gets
SEED = 8
STEPS = 60  # of batch norms, whose momentum is 0.1
BRIEF, TRAINING = "brief", 60  # steps of the students that are trained here
FORM = 3  # of a network's files: another number makes them anew

# Name: the student folder, or an architecture that is trained briefly, here. With what to say of it.
SUBJECTS: Mapping[str, tuple[str, str]] = {
    "reference": ("examples/reference", "8 convolutions on the waveform and 3 fully connected layers, trained"),
    "tiny": ("phiz:tiny", "ships with phiz: log-mels, 256 ms look-ahead, trained"),
    "tiny-low-latency": ("phiz:tiny-low-latency", "ships with phiz: log-mels, 64 ms look-ahead, trained"),
    "low-latency": ("phiz:low-latency", "ships with phiz: log-mels, 64 ms look-ahead, trained"),
    "small": (f"{BRIEF} small", "on the waveform, trained for 60 steps: its bytes and speed count, its lips do not"),
}
QUICK = ("reference",)


@dataclass(frozen=True)
class Subject:
    """A network as files, and what it says in float32.

    Attributes:
        name: of :data:`SUBJECTS`.
        folder: with ``student/``, ``model.onnx``, ``model.pt2``, ``model.pt`` (TorchScript) and
            ``windows.npz``.
        digest: of the network and of all speech.
        parameters: how many.
        window: samples.
        look_ahead: samples of them that lie after the frame's time.
        controls: of the face, in the order of the outputs.
    """

    name: str
    folder: Path
    digest: str
    parameters: int
    window: int
    look_ahead: int
    controls: tuple[str, ...]

    def path(self, kind: str) -> Path:
        """The network as a peer takes it."""
        return self.folder / {"onnx": "model.onnx", "pt2": "model.pt2", "jit": "model.pt", "student": "student"}[kind]

    @property
    def windows(self) -> Path:
        """Calibration input: ``window`` [count, samples]."""
        return self.folder / "windows.npz"


@dataclass(frozen=True)
class Heard:
    """Speech to judge on, none of which calibrated, laid end to end with silence between.

    Attributes:
        speech: clip by clip, with the teacher's curves.
        clips: audio, float32 at 16 kHz.
    """

    speech: Speech
    clips: tuple[NDArray[np.float32], ...]

    @cached_property
    def digest(self) -> str:
        """Of the audio."""
        return hashlib.sha256(b"".join(clip.tobytes() for clip in self.clips)).hexdigest()[:16]

    def counts(self) -> list[int]:
        """Frames of each clip."""
        return [-(-len(clip) // HOP) for clip in self.clips]

    def save(self, path: Path, window: int, look_ahead: int) -> None:
        """Write ``audio``, ``starts``: where the window of every frame begins, and ``window``: samples of each."""
        parts, starts, at = [], [], 0
        for clip, count in zip(self.clips, self.counts(), strict=True):
            padded = np.zeros(window + (count - 1) * HOP, np.float32)
            first = window - look_ahead
            padded[first : first + len(clip)] = clip[: len(padded) - first]
            parts.append(padded)
            starts += [at + frame * HOP for frame in range(count)]
            at += len(padded)
        np.savez(path, audio=np.concatenate(parts), starts=np.array(starts), window=window)


def speak(folder: Path, count: int, split: str, tell: Callable[[int, int], None]) -> list[corpus.Source]:
    """Synthetic speech of a split; what is there already is used."""
    return corpus.synthesize(folder, corpus.plan(count, SEED, split), tell)


def listen(sources: Sequence[corpus.Source]) -> Heard:
    """What is to be judged on, labelled by the phonetic teacher, who knows the phones."""
    from distill.evaluate.speech import from_utterances
    from distill.teachers.base import Utterance
    from distill.teachers.phonetic import PhoneticTeacher

    clips = tuple(decode(source.path) for source in sources)
    known = [
        Utterance(clip, tuple(source.phones or ()), language=source.language)
        for clip, source in zip(clips, sources, strict=True)
    ]
    return Heard(from_utterances(PhoneticTeacher(), known), clips)


def prepare(folder: Path, name: str, calibration: Sequence[corpus.Source]) -> Subject:
    """The files of a subject; they are made if they are not there, or were made of another network or speech."""
    from distill.pretrained import locate
    from distill.students.folder import FACTS, WEIGHTS, load, read_facts, shape_of

    place, _ = SUBJECTS[name]
    if place.startswith(BRIEF):
        student = folder / f"{name} of {TRAINING} steps"
        if not (student / FACTS).is_file():
            _train(place.removeprefix(BRIEF).strip(), student, calibration[0].path.parent)
    else:
        student = locate(place) if place.startswith("phiz:") else ROOT / place
    out = folder / f"{name}-{FORM}-{digest([student / FACTS, student / WEIGHTS, *(s.path for s in calibration)])}"
    module, inputs, metadata = load(student)
    count = sum(parameter.numel() for parameter in module.parameters())
    if not out.is_dir():
        with folder_atomically(out) as new:
            _write(new, student, (module, inputs, metadata), calibration)
    facts = read_facts(student)
    shape = shape_of(facts)
    made = f"{FORM}-{digest([out / 'model.onnx', out / 'windows.npz'])}"
    return Subject(name, out, made, count, shape.window, shape.look_ahead, tuple(facts["controls"]))


def _write(new: Path, student: Path, loaded: Any, calibration: Sequence[corpus.Source]) -> None:
    import onnx_ir as ir
    import torch

    from compile import capture
    from compile.quiet import quiet
    from distill.students.folder import FACTS, WEIGHTS

    module, inputs, _ = loaded
    (new / "student").mkdir()
    for name in (FACTS, WEIGHTS):
        (new / "student" / name).write_bytes((student / name).read_bytes())
    captured = capture.from_module(*loaded)
    ir.save(captured.ir, new / "model.onnx")
    with quiet(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is old: coremltools wants it
        module = folded(module)
        torch.export.save(torch.export.export(module, inputs), new / "model.pt2")
        torch.jit.save(torch.jit.trace(module, inputs), new / "model.pt")
    write_windows(captured, calibration, new / "windows.npz")


def write_windows(captured: Model, speech: Sequence[corpus.Source], path: Path) -> None:
    """Calibration input of a network, as users of any tool would have it."""
    from compile import samples

    split = samples.from_clips(captured, [decode(source.path) for source in speech], WINDOWS * 2 // 3)
    ((port, given),) = split.calibrate.items()
    np.savez(path, **{port: np.concatenate([given, split.judge[port]])})


def _train(architecture: str, folder: Path, speech: Path) -> None:
    """A student that has learnt a little: enough for the statistics of its layers, not to speak."""
    phiz = (sys.executable, "-m", "compile.cli")
    labels = folder.with_name(f"{folder.name} labels")
    made = folder.with_name(f"{folder.name} in training")
    for words in (("label", speech, "-o", labels), ("distill", labels, "--student", architecture, "-o", made)):
        more = ("--steps", TRAINING) if words[0] == "distill" else ()
        done = subprocess.run([*phiz, *map(str, (*words, *more))], capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise UserError(f"phiz {words[0]} failed: {done.stderr.strip()[-300:]}", where=folder.name)
    made.rename(folder)


def folded(student: Student) -> Student:
    """The same network with its batch norms in the convolutions before them, as torch's ONNX export has it.

    Converters of torch programs leave them where they are, and quantise them: no fair beginning.
    """
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for layer in student.modules():
        if hasattr(layer, "convolution") and hasattr(layer, "norm"):
            layer.convolution, layer.norm = fuse_conv_bn_eval(layer.convolution, layer.norm), torch.nn.Identity()
    return student


def alive(shape: Architecture, speech: Sequence[corpus.Source]) -> Student:
    """A student whose weights are drawn, and whose batch norms have heard speech, so that all its layers are alive."""
    import torch

    from distill.students.folder import build

    torch.manual_seed(SEED)
    student = build(shape)
    sounds = [decode(source.path) for source in speech[:16]]
    shortest = min(map(len, sounds))
    with torch.no_grad():
        student.train()
        for _ in range(STEPS):
            student.sequence(torch.from_numpy(np.stack([sound[:shortest] for sound in sounds])))
    return student.eval()
