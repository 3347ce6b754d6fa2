"""How near artefacts are to their float model, and what their lips do, on speech that did not calibrate."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.peers import steps
from bench.peers.catalogue import RUNTIMES
from bench.peers.rooms import Room
from bench.peers.steps import Artefact
from bench.peers.subjects import Heard, Subject
from compile.quantize.measure import sqnr
from distill.evaluate.base import Case
from distill.evaluate.bootstrap import Tally
from distill.evaluate.metrics import Metrics

EVALUATED = 12  # sentences, where a program is evaluated and not run: that takes a hundred times as long
FIGURES = ("closure.f1", "closure.recall", "closure.precision", "r2")


class Judge:
    """Of the artefacts of one network.

    Attributes:
        sound: what all of them hear.
        of: what a judgement depends on, besides the artefact.
    """

    def __init__(self, folder: Path, subject: Subject, heard: Heard) -> None:
        self._subject, self._heard = subject, heard
        self.of = {"network": subject.digest, "speech": heard.digest}
        self.sound = folder / "speech" / f"{subject.window}-{subject.look_ahead}-{heard.digest}.npz"
        self._outputs = folder / "speech" / f"{subject.digest}-{heard.digest}.npy"
        if not self.sound.is_file():
            heard.save(self.sound, subject.window, subject.look_ahead)

    def __call__(self, artefact: Artefact, room: Room | None) -> dict[str, Any]:
        """``sqnr`` in dB (None: infinite), figures of the ``face``, and the runtime's ``version``; or ``error``."""
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "outputs.npy"
            told = steps.run(artefact, room, self.sound, out, sum(self._counts(artefact)))
            if "error" in told:
                return told
            outputs = np.load(out)
        if not np.isfinite(outputs).all():
            return {"error": "its outputs are not finite"}
        reference = self._reference()[: sum(self._counts(artefact))]
        if outputs.shape != reference.shape:
            return {"error": f"its outputs are {list(outputs.shape)}, not {list(reference.shape)}"}
        found = sqnr({"face": reference}, {"face": outputs})
        return {**told, "sqnr": found if np.isfinite(found) else None, "face": self._face(outputs)}

    def _counts(self, artefact: Artefact) -> list[int]:
        """Frames of every clip that is judged."""
        return self._heard.counts()[: None if RUNTIMES[artefact.runtime].timed else EVALUATED]

    def float_face(self) -> dict[str, float | None]:
        """What the float model's lips do."""
        return self._face(self._reference())

    def _reference(self) -> NDArray[np.float32]:
        """The float model's outputs ``[frames, controls]``, by onnxruntime in this process."""
        if not self._outputs.is_file():
            import onnxruntime as ort

            session = ort.InferenceSession(self._subject.path("onnx"), providers=["CPUExecutionProvider"])
            name = session.get_inputs()[0].name
            with np.load(self.sound) as arrays:
                audio, starts = arrays["audio"], arrays["starts"]
            windows = (audio[None, start : start + self._subject.window] for start in starts)
            np.save(self._outputs, np.concatenate([session.run(None, {name: window})[0] for window in windows]))
        outputs: NDArray[np.float32] = np.load(self._outputs)
        return outputs

    def _face(self, outputs: NDArray[np.float32]) -> dict[str, float | None]:
        """Figures of ``distill.evaluate``; without the three-tap ensemble."""
        speech, edges = self._heard.speech, np.cumsum(self._heard.counts())
        order = [self._subject.controls.index(control) for control in speech.controls]
        metrics = Metrics(speech.controls)
        tally = Tally(metrics.size)
        for number, curves in enumerate(np.split(outputs.clip(0, 1)[:, order], edges[edges < len(outputs)])):
            clip = speech.read(number)
            tally.add(metrics.sums(Case(curves, clip.curves, clip.phones)), clip.name)
        figures = tally.figures(metrics.figures)
        return {name: figures[name].value for name in FIGURES}
