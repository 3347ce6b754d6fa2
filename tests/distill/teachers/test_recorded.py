"""Labels that are there already: found by name, resampled, moved, and refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill.animation.formats import write
from distill.audio import write_wav
from distill.controls import ARKIT
from distill.corpus import sources as corpus
from distill.labels import cache as labels
from distill.teachers.base import Utterance, evidence
from distill.teachers.catalogue import open_teacher

RATE = 16_000


def ramp(frames: int, rate: float, controls: int = 52) -> np.ndarray:
    """Curves that tell their own time: control ``c`` at time ``t`` is ``(t + c / 100) / 10``."""
    return ((np.arange(frames)[:, None] / rate + np.arange(controls) / 100) / 10).astype(np.float32)


def utterance(path: Path, seconds: float, start: float = 0.0) -> Utterance:
    return Utterance(np.zeros(round(seconds * RATE), np.float32), None, path, start)


def expected(start: float, frames: int, controls: int = 52) -> np.ndarray:
    return ((start + np.arange(frames)[:, None] / 50 + np.arange(controls) / 100) / 10).astype(np.float32)


@pytest.mark.parametrize("rate", [25, 30, 60, 100])
@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_curves_beside_the_audio_at_any_rate(rate: int, kind: str, tmp_path: Path) -> None:
    curves = ramp(4 * rate + 1, rate)
    if kind == "csv":
        write(tmp_path / "take.csv", curves, ARKIT, rate)
    else:
        np.savez(tmp_path / "take.npz", curves=curves, frame_rate=rate, controls=ARKIT)
    teacher = open_teacher("curves")
    assert teacher.controls == ARKIT
    read = teacher.curves(utterance(tmp_path / "take.wav", 4.0))
    assert read.dtype == np.float32
    # A line is resampled exactly; six decimals are in a CSV.
    np.testing.assert_allclose(read, expected(0, 200), atol=1e-6)
    piece = teacher.curves(utterance(tmp_path / "take.wav", 1.01, start=1.5))
    np.testing.assert_allclose(piece, expected(1.5, 51), atol=1e-6)


@pytest.mark.parametrize("offset", [0.1, -0.1, 0.0333])
def test_late_curves_are_put_right(offset: float, tmp_path: Path) -> None:
    write(tmp_path / "take.csv", ramp(241, 60), ARKIT, 60)
    read = open_teacher("curves", None, offset).curves(utterance(tmp_path / "take.wav", 2.0, start=1.0))
    np.testing.assert_allclose(read, expected(1 + offset, 100), atol=1e-5)  # to half a sample


def test_a_folder_of_their_own_with_controls_of_their_own(tmp_path: Path) -> None:
    for name in ("b/one", "b/two", "c/one"):
        path = tmp_path / "curves" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        order = ["x", "y", "z"] if name != "b/two" else ["z", "y", "x", "more"]
        at = [["x", "y", "z", "more"].index(control) for control in order]
        curves = ramp(61, 30, 4)[:, at] + (0.5 if name == "c/one" else 0)
        np.savez(path, curves=curves, frame_rate=30, controls=order)
    teacher = open_teacher("curves", tmp_path / "curves")
    assert teacher.controls == ("x", "y", "z")
    for name, lift in (("b/one", 0.0), ("b/two", 0.0), ("c/one", 0.5)):
        read = teacher.curves(utterance(tmp_path / "speech" / f"{name}.wav", 2.0))
        np.testing.assert_allclose(read, expected(0, 100, 3) + lift, atol=1e-6)
    with pytest.raises(UserError, match=r"d/one\.wav: it could be .*b/one\.npz or .*c/one\.npz"):
        teacher.curves(utterance(tmp_path / "d/one.wav", 2.0))
    with pytest.raises(UserError, match=r"there is no three\.csv, \.npz or \.json in "):
        teacher.curves(utterance(tmp_path / "b/three.wav", 2.0))


@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_two_recordings_do_not_get_the_curves_of_one(offset: float, tmp_path: Path) -> None:
    for name in ("curves/one.csv", "curves/b/two.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, ramp(61, 30), ARKIT, 30)
    for name in ("a/one", "b/one", "b/two"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_wav(tmp_path / f"{name}.wav", np.full(RATE, 0.1 * len(name), np.float32))
    (tmp_path / "a/one.flac").write_bytes((tmp_path / "a/one.wav").read_bytes())  # in two formats, and the same
    teacher = open_teacher("curves", tmp_path / "curves", offset)
    found = corpus.find([str(tmp_path / "a"), str(tmp_path / "b/two.wav")])
    made, _ = labels.label(found, teacher, tmp_path / "labels")
    assert {entry.source for entry in made.entries} == {"one.flac", "one.wav", "two.wav"}
    with pytest.raises(UserError, match=r"b/one\.wav: it and .*a/one\.\w+ would both get the curves .*one\.csv"):
        labels.label(corpus.find([str(tmp_path)]), teacher, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_labels_are_kept_by_the_curves_that_they_come_from(tmp_path: Path) -> None:
    teacher = open_teacher("curves")
    for name in ("one", "two"):
        write(tmp_path / f"{name}.csv", ramp(60, 30), ARKIT, 30)
    one, two = (evidence(teacher, tmp_path / f"{name}.wav") for name in ("one", "two"))
    assert one != two  # names count, too
    write(tmp_path / "one.csv", ramp(61, 30), ARKIT, 30)
    assert evidence(teacher, tmp_path / "one.wav") != one
    assert evidence(open_teacher("curves", None, 0.1), tmp_path / "two.wav") == two
    assert open_teacher("curves", None, 0.1).version != teacher.version
    with pytest.raises(UserError, match="beside it"):
        evidence(teacher, tmp_path / "three.wav")


def test_json_that_phiz_baked_and_no_other(tmp_path: Path) -> None:
    for name in ("one", "b/one"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / "one.json", ramp(61, 30), ARKIT, 30)
    (tmp_path / "b/one.json").write_text('{"phones": [["p", 0, 0.1]]}')
    heard = utterance(tmp_path / "one.wav", 2.0)
    for folder in (None, tmp_path):
        np.testing.assert_allclose(open_teacher("curves", folder).curves(heard), expected(0, 100), atol=1e-6)
    with pytest.raises(UserError, match=r"there is no one\.csv, \.npz or \.json beside it"):
        open_teacher("curves").curves(utterance(tmp_path / "b/one.wav", 2.0))


@pytest.mark.parametrize(("seconds", "start"), [(3.0, 0.0), (1.0, 2.0)])
def test_curves_that_do_not_cover_the_audio(seconds: float, start: float, tmp_path: Path) -> None:
    write(tmp_path / "take.csv", ramp(61, 30), ARKIT, 30)
    teacher = open_teacher("curves")
    with pytest.raises(UserError, match=r"take\.csv: it has curves for 2\.00 s; the audio goes"):
        teacher.curves(utterance(tmp_path / "take.wav", seconds, start))
    held = teacher.curves(utterance(tmp_path / "take.wav", 2.4))  # a little is held
    np.testing.assert_array_equal(held[-5:], held[-6:-1])


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "take.npz", curves=ramp(61, 30, 2), frame_rate=30, controls=["x", "y"])
    with pytest.raises(UserError, match=r"take\.npz: it has no control 'eyeBlinkLeft'; .*--teacher-path"):
        open_teacher("curves").curves(utterance(tmp_path / "take.wav", 1.0))
    write(tmp_path / "take.csv", ramp(61, 30), ARKIT, 30)
    with pytest.raises(UserError, match="it could be"):
        open_teacher("curves").curves(utterance(tmp_path / "take.wav", 1.0))
    with pytest.raises(UserError, match="this speech has none"):
        open_teacher("curves").curves(Utterance(np.zeros(320, np.float32)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="it holds no curves"):
        open_teacher("curves", tmp_path / "empty")
    with pytest.raises(UserError, match="no such folder"):
        open_teacher("curves", tmp_path / "absent")
