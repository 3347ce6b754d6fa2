"""A report with everything in it, and with names that would like to be something else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from distill.controls import ARKIT
from distill.corpus.espeak import Phone
from distill.evaluate import Report, Speech, Subject, evaluate
from distill.evaluate.gates import parse
from distill.evaluate.speech import Clip

HOSTILE = '<script>alert("x")</script>\x1b[31m\u202e'
PHONES = (Phone("a", 0.0, 0.5), Phone("p", 0.5, 0.6), Phone("u", 0.6, 1.0), Phone(HOSTILE, 1.0, 2.0))


@pytest.fixture(scope="session")
def report() -> Report:
    random = np.random.default_rng(0)
    clips = []
    for number in range(4):
        curves = np.cumsum(random.standard_normal((100, 52)), axis=0).astype(np.float32)
        curves = (curves - curves.min(0)) / (curves.max(0) - curves.min(0))
        audio = random.standard_normal(32_000).astype(np.float32) / 20
        clips.append(Clip(f"{number}{HOSTILE}.wav key", audio, curves, PHONES, f"{HOSTILE}{number % 2}", "de"))
    speech = Speech(f"labels/{HOSTILE}", HOSTILE, ARKIT, len(clips), clips.__getitem__)

    def half(audio: np.ndarray) -> np.ndarray:
        level = float(np.abs(audio).mean())
        return np.full((-(-len(audio) // 320), 52), level, np.float32) + np.float32(0.01) * np.arange(52)

    subjects = [Subject(HOSTILE, ARKIT, half), Subject("students/tiny", ARKIT, half)]
    found = evaluate(subjects, speech, noises=(20.0, 5.0), by=("speaker", "language"), resamples=20)
    gates = [parse(text, [HOSTILE, "teacher"], (20.0,)) for text in ("r2 >= 1", "lag <= 20 ms", "jitter <= 1 at 20 dB")]
    return replace(found, verdicts=tuple(verdict for gate in gates for verdict in gate.judge(found)))
