"""``phiz label --teacher``: each kind from the command line, and what is wrong told in a line with exit code 2."""

from __future__ import annotations

import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from distill.animation.formats import write
from distill.controls import ARKIT
from distill.labels import cache as labels

pytest.importorskip("av")

TEACHERS = """
import numpy as np
class Half:
    name, version, controls = "half", "1", ("jawOpen", "tongueOut")
    def curves(self, utterance):
        return np.full((-(-len(utterance.audio) // 320), 2), 0.5)
class Sad(Half):
    def curves(self, utterance): raise RuntimeError("not today")
class Short(Half):
    def curves(self, utterance): return super().curves(utterance)[1:]
class Lost(Half):
    def curves(self, utterance): return super().curves(utterance) * np.nan
def half(): return Half()
def sad(): return Sad()
def short(): return Short()
def lost(): return Lost()
def broken(): raise OSError("the weights are gone")
def none(): pass
"""


@pytest.fixture
def speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one second of noise, beside a module of teachers in the current folder."""
    (tmp_path / "half_teachers.py").write_text(TEACHERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])  # as for an installed command
    (tmp_path / "speech").mkdir()
    with wave.open("speech/take.wav", "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(0).normal(0, 3000, 16_000).astype("<i2").tobytes())
    yield tmp_path / "speech"
    sys.modules.pop("half_teachers", None)


def only(folder: Path) -> np.ndarray:
    made = labels.load(folder)
    (entry,) = made.entries
    return made.arrays(entry)[1]


def test_a_teacher_of_ones_own(phiz, speech: Path) -> None:  # type: ignore[no-untyped-def]
    ran = phiz("label", speech, "--teacher", "half_teachers:half", "-o", "labels")
    assert ran.code == 0, ran.err
    np.testing.assert_array_equal(only(Path("labels")), np.full((50, 2), 0.5))
    made = labels.load(Path("labels"))
    assert (made.teacher, made.controls) == ("half", ("jawOpen", "tongueOut"))


def test_ready_made_curves_and_their_offset(phiz, speech: Path) -> None:  # type: ignore[no-untyped-def]
    curves = np.repeat(np.arange(121, dtype=np.float32)[:, None] / 240, 52, axis=1)  # at time t: t / 4
    write(speech / "take.csv", curves, ARKIT, 60)
    assert phiz("label", speech, "--teacher", "curves", "-o", "labels").code == 0
    expected = np.arange(50) / 50 / 4
    np.testing.assert_allclose(only(Path("labels"))[:, 7], expected, atol=2e-4)  # kept as float16
    ran = phiz("label", speech, "--teacher", "curves", "--offset", "0.2", "-o", "moved")
    assert ran.code == 0, ran.err
    np.testing.assert_allclose(only(Path("moved"))[:, 7], expected + 0.05, atol=2e-4)
    write(speech / "take.csv", curves / 2, ARKIT, 60)  # other curves, the same audio: labelled anew
    assert "1 labelled, 0 already there" in phiz("label", speech, "--teacher", "curves", "-o", "labels").out
    np.testing.assert_allclose(only(Path("labels"))[:, 7], expected / 2, atol=2e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("half_teachers:sad",), "take.wav: the teacher 'half' raises RuntimeError: not today"),
        (("half_teachers:short",), "take.wav: the teacher 'half' gave float64 [49, 2] where float32 [50, 2] was due"),
        (("half_teachers:lost",), "take.wav: the teacher 'half' gave values that are NaN or infinite"),
        (("half_teachers:broken",), "half_teachers:broken: the factory raises OSError: the weights are gone"),
        (("half_teachers:none",), "half_teachers:none: the factory returned None, no teacher"),
        (("half_teachers:other",), "module 'half_teachers' has no 'other'"),
        (("half_teachers",), "unknown teacher 'half_teachers'"),
        (("curves",), "take.wav: there is no take.csv, .npz or .json beside it"),
        (("curves", "--teacher-path", "absent"), "absent: there is no such folder"),
        (("audio2face",), "needs its folder; name it with --teacher-path"),
        (("audio2face", "--teacher-path", "speech"), "speech/network.onnx: there is no such file"),
        (("phonetic", "--teacher-path", "speech"), "the teacher 'phonetic' has no files"),
        (("phonetic", "--offset", "nan"), "--offset: nan seconds are no offset"),
    ],
)
def test_what_is_wrong_is_told(phiz, speech: Path, arguments: tuple[str, ...], message: str) -> None:  # type: ignore[no-untyped-def]
    ran = phiz("label", speech, "--teacher", *arguments, "-o", "labels")
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert not Path("labels/labels.json").exists()
