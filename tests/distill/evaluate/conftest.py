"""Two seconds of a face drawn by hand, and what is said in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from distill.controls import ARKIT
from distill.corpus.espeak import Phone
from distill.evaluate.speech import Clip, Speech

# Two closures in two seconds: p at 0.5 s, and m and b in one at 1.2 s.
PHONES = (
    Phone("a", 0.0, 0.5),
    Phone("p", 0.5, 0.6),
    Phone("u", 0.6, 0.8),
    Phone("a", 0.8, 1.2),
    Phone("m", 1.2, 1.3),
    Phone("b", 1.3, 1.36),
    Phone("o", 1.36, 1.6),
    Phone("a", 1.6, 2.0),
)
Draw = Callable[..., np.ndarray]


@pytest.fixture
def phones() -> tuple[Phone, ...]:
    return PHONES


def draw(*spans: tuple[float, float], depth: float = 0.8) -> np.ndarray:
    """Lips closed in the given spans (seconds), over a moving jaw."""
    curves = np.zeros((100, 52), np.float32)
    curves[:, ARKIT.index("jawOpen")] = 0.3 + 0.2 * np.sin(np.arange(100) / 5)
    for start, end in spans:
        curves[round(start * 50) : round(end * 50), ARKIT.index("mouthClose")] = depth
    return curves


@pytest.fixture
def face() -> Draw:
    return draw


def wander(seed: int, frames: int = 300) -> np.ndarray:
    """A face of speech-like smoothness in every control, in [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal((frames + 16, len(ARKIT)))
    kernel = np.hanning(17) / np.hanning(17).sum()
    smooth = np.stack([np.convolve(column, kernel, mode="valid") for column in noise.T], axis=1)
    return np.clip(0.4 + 0.4 * smooth, 0, 1).astype(np.float32)


@pytest.fixture
def corpus() -> Callable[..., Speech]:
    """Speech whose clips have the given curves, and the audio in which their number is told."""

    def make(
        *curves: np.ndarray, phones: tuple[Phone, ...] | None = PHONES, controls: tuple[str, ...] = ARKIT
    ) -> Speech:
        clips = [
            Clip(
                f"{number}.wav",
                np.full(len(face) * 320, (number + 1) / 100, np.float32),
                face,
                phones,
                f"s{number % 2}",
            )
            for number, face in enumerate(curves)
        ]
        return Speech("by hand", "hand", controls, len(clips), clips.__getitem__)

    return make


@pytest.fixture
def wandering() -> Callable[..., np.ndarray]:
    return wander
