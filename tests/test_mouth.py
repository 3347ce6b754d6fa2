"""What people complain about in mouths, tried on the students that ship, as an engine would drive them.

The voice is espeak-ng's, whose phone times are exact. What is asked for here was written down before it was measured.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("espeakng_loader")
pytest.importorskip("av")

import av

from distill import pretrained
from distill.controls import ARKIT
from distill.corpus import espeak
from distill.evaluate.closures import closures
from distill.evaluate.sounds import silences
from targets.player import open_artifact

SETTLED = 30  # frames: 0.6 s, after which nothing of a sound's beginning is left
STILL = 0.01  # of a control's range, from one frame to the next
AT_REST = 0.1  # of the jaw's range
FOUND = 0.8  # of the closures
SAME = 0.05  # of a control's range, at worst


@pytest.fixture(scope="module")
def said() -> espeak.Speech:
    return espeak.speak("Mama and papa baked a big apple pie. Bob may pick my map up.", "en-us")


def at(rate: int, speech: espeak.Speech) -> np.ndarray:
    """Speech, with a second of silence behind it, at another sample rate, by FFmpeg's resampler."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    silent = np.concatenate([speech.samples, np.zeros(speech.rate, np.int16)])
    frame = av.AudioFrame.from_ndarray(silent[None], format="s16", layout="mono")
    frame.sample_rate = speech.rate
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([np.asarray(piece.to_ndarray(), np.float32).reshape(-1) for piece in pieces])


def shown(name: str, audio: np.ndarray, rate: int = 16_000, **options: object) -> np.ndarray:
    face = open_artifact(pretrained.folder(name) / pretrained.ARTEFACT, sample_rate=rate, **options)
    assert face.face.controls == tuple(ARKIT)
    return np.stack([frame.controls for frame in (*face.push(audio), *face.flush())])


@pytest.mark.parametrize("name", pretrained.names())
@pytest.mark.parametrize("kind", ["digital", "hum"])
def test_nobody_speaks(name: str, kind: str) -> None:
    curves = shown(name, silences()[kind])[SETTLED:-SETTLED]
    assert np.abs(np.diff(curves, axis=0)).max() < STILL
    assert curves[:, ARKIT.index("jawOpen")].max() < AT_REST


@pytest.mark.parametrize("name", pretrained.names())
def test_lips_close(name: str, said: espeak.Speech) -> None:
    match = closures(shown(name, at(16_000, said)), said.phones)
    assert match.hits / match.events >= FOUND


@pytest.mark.parametrize("name", pretrained.names())
def test_the_mouth_rests_after_the_last_word(name: str, said: espeak.Speech) -> None:
    curves = shown(name, at(16_000, said))
    last = round((len(said.samples) / said.rate + 0.3) * 50)
    assert curves[last:, ARKIT.index("jawOpen")].max() < AT_REST
    assert np.abs(np.diff(curves[last + SETTLED // 2 :], axis=0)).max() < STILL


@pytest.mark.parametrize("name", pretrained.names())
@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_other_sample_rates_show_the_same(name: str, rate: int, said: espeak.Speech) -> None:
    assert np.abs(shown(name, at(rate, said), rate) - shown(name, at(16_000, said))).max() < SAME
