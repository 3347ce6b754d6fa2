"""What a page carries is what was given, up to the error that is stated."""

from __future__ import annotations

import base64
import io
import sys
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compile.errors import UserError
from distill.animation.head import Head, Part
from distill.animation.view.packed import pack_head, pack_sound, pack_take
from distill.animation.view.takes import Take


def unpacked(facts: dict, data: bytes) -> np.ndarray:
    """``[frames, controls]``, by the words of packed.py and nothing of its code."""
    columns, place = [], 0
    for low, step in zip(facts["low"], facts["step"], strict=True):
        column = np.full(facts["frames"], low)
        if step:
            column += step * np.frombuffer(data, "<u2", facts["frames"], place)
            place += 2 * facts["frames"]
        columns.append(column)
    assert place == len(data)
    return np.stack(columns, axis=1)


@given(arrays(np.float32, (7, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_curves_come_back_to_half_a_step(curves: np.ndarray) -> None:
    packed = pack_take(Take("x", curves, ("a", "b", "c"), 30.0))
    back = unpacked(packed.facts, packed.data)
    half = np.ptp(curves.astype(np.float64), axis=0) / 65_535 / 2
    assert (np.abs(back - curves) <= half * (1 + 1e-6) + 1e-12 * np.abs(curves)).all()  # float64's own rounding besides


def test_what_never_moves_takes_no_bytes() -> None:
    curves = np.array([[0.25, 0], [0.25, 1]], np.float32)
    packed = pack_take(Take("x", curves, ("still", "moves"), 30.0))
    assert packed.data == bytes([0, 0, 255, 255])
    np.testing.assert_array_equal(unpacked(packed.facts, packed.data), curves)


def test_sound_is_lossless(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    samples = np.random.default_rng(0).integers(-32768, 32768, 40_001).astype(np.int16)
    packed = pack_sound(samples)
    assert packed.facts["type"] == "audio/flac"
    assert packed.data == pack_sound(samples).data
    with av.open(io.BytesIO(packed.data)) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.layout.name) == (16_000, "mono")
        back = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
    np.testing.assert_array_equal(back, samples)


def test_without_pyav_sound_is_wav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    samples = np.array([0, 1, -32768, 32767], np.int16)
    packed = pack_sound(samples)
    assert packed.facts["type"] == "audio/wav"
    with wave.open(io.BytesIO(packed.data)) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, 4)
        assert file.readframes(9) == samples.astype("<i2").tobytes()


def test_peaks_are_a_hundred_a_second() -> None:
    samples = np.zeros(16_000, np.int16)
    samples[[0, 159, 160, 15_999]] = 128, -256, 32_767, -32_768
    peaks = base64.b64decode(pack_sound(samples).facts["peaks"])
    assert len(peaks) == 100
    assert (peaks[0], peaks[1], peaks[2], peaks[99]) == (2, 255, 0, 255)  # of 256 steps of 128


def test_the_head_comes_back(head: Head) -> None:
    packed = pack_head(head)
    about, place = packed.facts, 0

    def take(dtype: str, count: int) -> np.ndarray:
        nonlocal place
        found = np.frombuffer(packed.data, dtype, count, place)
        place += found.nbytes
        return found

    count = about["vertices"]
    vertices = about["low"] + take("<u2", 3 * count).reshape(-1, 3) * np.array(about["step"])
    assert np.abs(vertices - head.vertices).max() < 3e-6  # metres: half of the head's 0.3 m by 65,535
    for part, fact in zip(head.parts, about["parts"], strict=True):
        assert (part.name, list(part.colour)) == (fact["name"], fact["colour"])
        np.testing.assert_array_equal(take("<u2", fact["count"]).reshape(-1, 3), part.triangles)
    for shape, fact in zip(head.shapes, about["shapes"], strict=True):
        assert shape.name == fact["name"]
        np.testing.assert_array_equal(take("<u2", fact["count"]), shape.indices)
        offsets = take("<i2", 3 * fact["count"]).reshape(-1, 3) * fact["step"]
        assert np.abs(offsets - shape.offsets).max() <= 0.5001 * np.abs(shape.offsets).max() / 32_767
    assert len(packed.data) - place == 2 * count  # how open they are


def test_a_head_that_uint16_cannot_name_is_refused(head: Head) -> None:
    huge = replace(head, vertices=np.zeros((65_537, 3), np.float32))
    with pytest.raises(UserError, match="at most 65,536 vertices"):
        pack_head(huge)


def test_a_shape_that_moves_nothing(head: Head) -> None:
    still = replace(head.shapes[0], offsets=np.zeros_like(head.shapes[0].offsets))
    part = Part("skin", (1.0, 1.0, 1.0, 1.0), head.parts[0].triangles)
    packed = pack_head(Head(head.vertices, (part,), (still,)))
    assert packed.facts["shapes"][0]["step"] == 1
