"""A face that hears: what it shows depends on what was heard, not on how it came in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compile import capture
from compile.errors import UserError
from compile.simplify.pipeline import simplify
from compile.streaming.stream import stream
from distill import curves
from targets.catalogue import find
from targets.player import open_artifact
from targets.resample import Resampler

WINDOW, RATE = 1170, 16_000
# A stream sums in another order than a window does (tests/compile/streaming).
FLOAT = 1e-5
# What the resamplers' 90 dB and the difference of their passbands leave of curves that move by up to 1.
RESAMPLED = 0.02


@pytest.fixture(scope="module")
def network(face_network: Callable[..., Any]) -> Callable[[float], Any]:
    return lambda look_ahead_ms: face_network(look_ahead_ms, ("a", "b", "c", "d"), True)


@pytest.fixture(scope="module")
def artefact(network: Callable[[float], Any]) -> Callable[..., Path]:
    """The network as an artefact on disk."""

    def write(folder: Path, *, look_ahead_ms: float = 40.0, streams: bool = True) -> Path:
        onnx.save(network(look_ahead_ms), folder / "network.onnx")
        hub = simplify(capture.from_onnx(folder / "network.onnx")).model
        made = find("onnx").lower(stream(hub) if streams else hub)
        (folder / made.name).write_bytes(made.files[made.name])
        return folder / made.name

    return write


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory, artefact: Callable[..., Path]) -> Path:
    return artefact(tmp_path_factory.mktemp("face"))


Played = tuple[list[float], np.ndarray]


def voice(seconds: float, rate: int = RATE) -> np.ndarray:
    """Something that changes as speech does, without anything above 3 kHz."""
    time = np.arange(round(seconds * rate)) / rate
    carrier = (
        np.sin(2 * np.pi * 140 * time) + np.sin(2 * np.pi * 900 * time + 1) + 0.5 * np.sin(2 * np.pi * 2600 * time)
    )
    return np.asarray(0.2 * carrier * np.sin(2 * np.pi * 1.7 * time) ** 2, np.float32)


def played(
    path: Path, audio: np.ndarray, chunks: list[int] | None = None, **options: object
) -> tuple[list, np.ndarray]:
    """(times, curves) of audio in chunks that repeat."""
    face = open_artifact(path, **options)
    frames, at, sizes = [], 0, chunks or [len(audio)]
    while at < len(audio):
        for size in sizes:
            frames += face.push(audio[at : at + size])
            at += size
    frames += face.flush()
    return [frame.time for frame in frames], np.stack([frame.controls for frame in frames])


@pytest.mark.parametrize("look_ahead", [0.0, 16.0, 40.0, 50.0])
@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("streams", [False, True])
def test_the_window_of_each_frame(tmp_path, artefact, look_ahead, ensemble, streams) -> None:
    """At the student's own rate a frame is that of the window around its time, as the trainer reads it."""
    path = artefact(tmp_path, look_ahead_ms=look_ahead, streams=streams)
    window = find("onnx").load(artefact(tmp_path, look_ahead_ms=look_ahead, streams=False))

    def run(windows: np.ndarray) -> np.ndarray:
        return np.concatenate([window.run({"window": each[None]})["controls"] for each in windows])

    audio = voice(1.31)
    times, found = played(path, audio, ensemble=ensemble)
    taps = (-1, 0, 1) if ensemble else (0,)
    wanted = curves.frames(audio, run, WINDOW, 50.0, round(look_ahead * 16))
    assert times == [index / 50 for index in range(len(wanted))]
    if not ensemble:
        assert np.abs(found - wanted).max() < FLOAT
    else:  # taps a sixtieth of a second apart, of frames a fiftieth apart: 5/6 of a neighbour and 1/6 of the middle
        inner = (wanted[1:-1] * (1 + 2 / 6) + (wanted[:-2] + wanted[2:]) * 5 / 6) / len(taps)
        assert np.abs(found[1:-1] - inner).max() < FLOAT


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chunks=st.lists(st.integers(0, 4800), min_size=1, max_size=6).filter(any),
    rate=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
    frames=st.sampled_from([24, 30, 50, 60, 90]),
    gain=st.booleans(),
)
def test_chunks_do_not_matter(streaming: Path, chunks: list[int], rate: int, frames: int, gain: bool) -> None:
    """The same bits, whatever the chunks: the sizes of the issue, and none at all."""
    audio = voice(0.9, rate)
    options = {"sample_rate": rate, "frame_rate": frames, "gain": gain}
    times, whole = played(streaming, audio, **options)
    assert len(times) == np.ceil(len(audio) * frames / rate)
    assert np.array_equal(whole, played(streaming, audio, chunks, **options)[1])


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_any_rate_shows_the_same_face(streaming: Path, rate: int) -> None:
    times, wanted = played(streaming, voice(1.5))
    others, found = played(streaming, voice(1.5, rate), sample_rate=rate)
    assert others == times
    assert np.abs(found - wanted).max() < RESAMPLED


def test_odd_rates_need_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters that are computed when they are needed are those of the table, to the last bit."""
    audio = voice(0.3, 44_100)
    wanted = Resampler(44_100, RATE, 320, 320).push(audio)
    monkeypatch.setattr("targets.resample.KEPT", 0)
    found = Resampler(44_100, RATE, 320, 320).push(audio)
    assert len(found) == 14
    assert all(np.array_equal(*blocks) for blocks in zip(found, wanted, strict=True))


@pytest.mark.parametrize("frames", [24, 30, 60, 90, 59.94, 29.97])
def test_any_frame_rate(streaming: Path, frames: float) -> None:
    """Frames in between are the linear mixture of their neighbours: numpy's own interpolation is the reference."""
    times, wanted = played(streaming, voice(1.5), ensemble=False)
    others, found = played(streaming, voice(1.5), frame_rate=frames, ensemble=False)
    inside = [index for index, time in enumerate(others) if time <= times[-1]]
    for control in range(wanted.shape[1]):
        mixed = np.interp(np.array(others)[inside], times, wanted[:, control])
        assert np.abs(found[inside, control] - mixed).max() < 1e-5
    assert np.allclose(np.diff(others), 1 / frames, rtol=2e-3)


def test_what_came_before_is_forgotten(streaming: Path) -> None:
    face = open_artifact(streaming)
    first = [*face.push(voice(0.7)), *face.flush()]
    face.push(voice(0.3) * 2)
    face.reset()
    again = [*face.push(voice(0.7)), *face.flush()]
    assert [frame.time for frame in first] == [frame.time for frame in again]
    assert all(np.array_equal(one.controls, other.controls) for one, other in zip(first, again, strict=True))


def test_frames_come_as_soon_as_they_can(streaming: Path) -> None:
    """The latency that a player tells is the one it has."""
    audio, step = voice(1.0), 16
    for options in ({"ensemble": False}, {"ensemble": True}, {"ensemble": False, "frame_rate": 60}):
        face, waits = open_artifact(streaming, **options), []
        for heard in range(step, len(audio), step):
            waits += [heard / RATE - frame.time for frame in face.push(audio[heard - step : heard])]
        assert min(waits) >= 0.04 - 1e-9  # the look-ahead
        assert face.latency - 1 / 50 <= max(waits) < face.latency + step / RATE + 1e-9


def test_integers_and_channels(streaming: Path) -> None:
    audio = voice(0.5)
    _, wanted = played(streaming, audio)
    for same in (np.stack([audio, audio], axis=1), (audio * 32768).round().astype(np.int16)):
        _, found = played(streaming, same)
        assert np.abs(found - wanted).max() < 1e-2  # 16 bits
    with pytest.raises(UserError, match="is no audio"):
        open_artifact(streaming).push(np.array(["a"]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])  # the last: in float64 only
def test_what_is_not_finite_is_not_heard(streaming: Path, bad: float) -> None:
    """The error says so, and the face goes on as if nothing had been pushed."""
    audio = voice(0.5)
    face = open_artifact(streaming)
    frames = face.push(audio[:3000])
    broken = audio[3000:4000].astype(np.float64)
    broken[17] = bad
    with pytest.raises(UserError, match="NaN or Inf"):
        face.push(broken)
    frames += [*face.push(audio[3000:]), *face.flush()]
    _, wanted = played(streaming, audio)
    assert np.array_equal(np.stack([frame.controls for frame in frames]), wanted)


def test_nothing(streaming: Path) -> None:
    face = open_artifact(streaming)
    assert face.push(np.zeros(0, np.float32)) == []
    assert face.flush() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample_rate": 100}, "no sample rate"),
        ({"sample_rate": 0}, "no sample rate"),
        ({"sample_rate": 44100.5}, "no sample rate"),
        ({"sample_rate": float("nan")}, "no sample rate"),
        ({"frame_rate": 0.0}, "no frame rate"),
        ({"frame_rate": 1e6}, "no frame rate"),
        ({"frame_rate": float("nan")}, "no frame rate"),
        ({"frame_rate": float("inf")}, "no frame rate"),
    ],
)
def test_rates_that_are_none(streaming: Path, options: dict[str, float], words: str) -> None:
    with pytest.raises(UserError, match=words):
        open_artifact(streaming, **options)


def test_a_gain_for_quiet_voices(streaming: Path) -> None:
    """After a few seconds a voice that is 24 dB quieter shows nearly the same face; without a gain it does not."""
    audio = voice(6.0)
    later = slice(200, None)  # frames
    wanted = played(streaming, audio, gain=True)[1][later]
    without = np.abs(played(streaming, audio / 16)[1][later] - played(streaming, audio)[1][later]).mean()
    quiet = np.abs(played(streaming, audio / 16, gain=True)[1][later] - wanted).mean()
    assert quiet < without / 4


def test_no_face(tmp_path: Path, network: Callable[[float], Any]) -> None:
    model = network(40.0)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "plain.onnx")
    with pytest.raises(UserError, match="not a speech-to-face model"):
        open_artifact(tmp_path / "plain.onnx")


def renamed(facts: dict[str, Any]) -> None:
    facts["states"][0]["output"] = "other"


def shared(facts: dict[str, Any]) -> None:
    facts["states"][1]["output"] = facts["states"][0]["output"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda facts: facts["states"].pop(), "its metadata call no other a state"),
        (renamed, "no output 'other'"),
        (shared, "no output 'state_0_next' of its own"),
        (lambda facts: facts.update(hop=2 * facts["hop"]), r"its metadata say \d+ samples"),
        (lambda facts: facts.update(warm_up=1 << 30), r"\d+ hops of \d+ to fill"),
    ],
)
def test_states_of_another_build(streaming: Path, tmp_path: Path, change: Any, words: str) -> None:
    """No frozen mouth: whatever of the metadata does not fit the artefact is said when it is opened."""
    model = onnx.load(streaming)
    (entry,) = (entry for entry in model.metadata_props if entry.key == "phiz.stream")
    facts = json.loads(entry.value)
    change(facts)
    entry.value = json.dumps(facts)
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(UserError, match=words):
        open_artifact(tmp_path / "changed.onnx")


def test_metadata_without_stream(streaming: Path, tmp_path: Path) -> None:
    model = onnx.load(streaming)
    (entry,) = (entry for entry in model.metadata_props if entry.key == "phiz.stream")
    model.metadata_props.remove(entry)
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(UserError, match="its metadata call no other a state"):
        open_artifact(tmp_path / "changed.onnx")
