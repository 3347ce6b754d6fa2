"""Three people who speak a few seconds each, and a face drawn by hand for each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distill.audio import SAMPLE_RATE, frame_count, write_wav
from distill.controls import ARKIT
from distill.corpus.espeak import Phone
from distill.corpus.sources import HELD_OUT, TRAIN, Source
from distill.labels import cache as labels
from distill.teachers.base import Utterance

PHONES = (Phone("a", 0.0, 0.5), Phone("p", 0.5, 0.6), Phone("a", 0.6, 1.2), Phone("m", 1.2, 1.3), Phone("a", 1.3, 1.6))


class LoudnessTeacher:
    """The jaw follows the loudness of each 20 ms, and the lips close where it is quiet."""

    name = "loudness"
    version = "1"
    controls = ARKIT

    def curves(self, utterance: Utterance) -> np.ndarray:
        frames = frame_count(len(utterance.audio))
        padded = np.pad(utterance.audio, (0, frames * 320 - len(utterance.audio))).reshape(frames, 320)
        loudness = np.sqrt((padded**2).mean(axis=1))
        curves = np.zeros((frames, len(ARKIT)), np.float32)
        curves[:, ARKIT.index("jawOpen")] = np.clip(2 * loudness, 0, 1)
        curves[:, ARKIT.index("mouthClose")] = np.clip(0.8 - 8 * loudness, 0, 1)
        return curves


def said(pitch: float, seed: int) -> np.ndarray:
    """1.6 s of a buzz that stops where the lips are closed."""
    time = np.arange(round(1.6 * SAMPLE_RATE)) / SAMPLE_RATE
    voice = sum(np.sin(2 * np.pi * pitch * harmonic * time) / harmonic for harmonic in (1, 2, 3, 5))
    open_mouth = np.ones(len(time))
    for phone in PHONES:
        if phone.symbol in "pm":
            open_mouth[round(phone.start * SAMPLE_RATE) : round(phone.end * SAMPLE_RATE)] = 0.02
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return np.asarray(10_000 * open_mouth * voice / 2 + 20 * noise, np.int16)


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labels folder: anna, ben and cora train, two pieces each; dora is held out."""
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("voices")
    sources = []
    for number, name in enumerate(("anna", "ben", "cora", "dora")):
        for take in range(2):
            path = folder / f"{name}{take}.wav"
            write_wav(path, said(110 + 35 * number, 10 * number + take))
            sources.append(Source(path, PHONES, HELD_OUT if name == "dora" else TRAIN, name))
    labels.label(sources, LoudnessTeacher(), folder / "labels")
    return folder / "labels"


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A recipe of both stages, in a few steps."""
    path = tmp_path / "quick.toml"
    path.write_text(
        'labels = "labels"\n[every]\nsteps = 3\nbatch = 2\nframes = 20\nwarm_up = 1\naugmentation = "off"\n'
        '[[stage]]\nname = "guide"\nstudent = "tiny"\n'
        '[[stage]]\nname = "pupil"\nstudent = "tiny-low-latency"\nguide = "guide"\n'
    )
    return path
