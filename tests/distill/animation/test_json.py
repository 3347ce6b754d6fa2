"""JSON, read back by the json module and by phiz, which must give the very numbers that were written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import recordings
from distill.animation.formats import encode, write
from distill.animation.json import is_ours
from distill.controls import ARKIT
from distill.corpus import manifest


@pytest.mark.parametrize("rate", [24, 23.976, 30, 60.0, 90])
def test_every_bit_comes_back(tmp_path: Path, rate: float) -> None:
    curves = np.random.default_rng(0).normal(0, 1, (1234, 3)).astype(np.float32)
    curves[5] = np.nextafter(np.float32(1), np.float32(0)), 1e-38, -3.4e38
    names = ("jaw", 'a "quoted" one', "ü")
    write(tmp_path / "take.json", curves, names, rate, "título\n\udce9")
    facts = json.loads((tmp_path / "take.json").read_text(encoding="ascii"))
    assert {*facts} == {"format", "title", "frame_rate", "controls", "times", "frames"}
    assert (facts["format"], facts["title"], facts["frame_rate"]) == ("phiz curves 1", "título\n\udce9", rate)
    assert facts["controls"] == list(names)
    np.testing.assert_allclose(facts["times"], np.arange(1234) / rate, atol=5.1e-7)  # six decimals
    np.testing.assert_array_equal(np.array(facts["frames"], np.float32), curves)
    recording = recordings.read(tmp_path / "take.json")
    np.testing.assert_array_equal(recording.curves, curves)
    assert recording.controls == names
    np.testing.assert_array_equal(recording.times, np.arange(1234) / rate)


def test_it_does_not_matter_how_the_frames_come() -> None:
    curves = np.random.default_rng(0).random((2500, 2)).astype(np.float32)
    one, many = (
        b"".join(encode("json", blocks, 2500, "ab", 50)) for blocks in ([curves], np.split(curves, [1, 1, 900]))
    )
    assert one == many


def test_one_that_another_wrote(tmp_path: Path) -> None:
    """Whole numbers, no times, other keys beside."""
    path = tmp_path / "take.JSON"
    path.write_text('{"frame_rate": 30, "by": "me", "controls": ["jawOpen", "x"], "frames": [[0, 1], [1, 0.5]]}')
    recording = recordings.read(path)
    np.testing.assert_array_equal(recording.curves, np.array([[0, 1], [1, 0.5]], np.float32))
    assert not is_ours(path)


GOOD = '{"controls": ["a", "b"], "frame_rate": 50, "frames": [[0, 1], [2, 3]], "times": [7, 7.02]}'


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("", "", None),
        (GOOD, "", "not curves in JSON"),
        (GOOD, "[1, 2]", "not curves in JSON"),
        (GOOD, "[" * 100_000, "not curves in JSON"),
        (GOOD, "{}", "not curves in JSON: KeyError"),
        ("50", '"fast"', "not curves in JSON"),
        ("50", "NaN", "NaN is no number"),
        ("50", "1e999", "no number from 1 to 1000"),
        ("50", "0.5", "no number from 1 to 1000"),
        ("[2, 3]", "[2]", "not curves in JSON"),
        ("[2, 3]", '[2, "3"]', "not \\[frames, controls\\]"),
        ("[2, 3]", "[2, null]", "not \\[frames, controls\\]"),
        ("[2, 3]", "[2, 1e39]", "frame 1 of 'frames' is NaN or infinite"),
        ("[2, 3]", "[2, Infinity]", "Infinity is no number"),
        ("[[0, 1], [2, 3]]", "[]", "not \\[frames, controls\\]"),
        ('"b"', '"a"', "2 different names"),
        ('"b"', "1", "2 different names"),
        ('["a", "b"]', '"ab"', "2 different names"),
        ('["a", "b"]', '["jawOpen", "tongueOut"]', "give weights, not percent"),
        ("7.02", "7.03", "'times' are not those of 'frame_rate'"),
        ("7, 7.02", "7", "'times' are not those of 'frame_rate'"),
        ("7, 7.02", '"x", 1', "not curves in JSON"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, complaint: str | None) -> None:
    path = tmp_path / "take.json"
    path.write_text(GOOD.replace(old, new) if old else GOOD)
    if complaint is None:
        assert recordings.read(path).controls == ("a", "b")
        return
    with pytest.raises(UserError, match=complaint) as caught:
        recordings.read(path)
    assert "take.json" in str(caught.value)


def test_too_large_to_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "LARGEST_JSON", len(GOOD) - 1)
    (tmp_path / "take.json").write_text(GOOD)
    with pytest.raises(UserError, match=r"larger than 89 bytes; give an \.npz"):
        recordings.read(tmp_path / "take.json")


def test_beside_audio_they_are_no_notes(tmp_path: Path) -> None:
    write(tmp_path / "take.json", np.zeros((5, 52), np.float32), ARKIT, 50)
    assert is_ours(tmp_path / "take.json")
    assert manifest.beside(tmp_path / "take.wav") is None
    assert not is_ours(tmp_path / "none.json")
