"""Batches are pure, bounded in memory, fair to speakers, and sound and face stay together."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compile.errors import UserError
from distill.audio import HOP, frame_count, write_wav
from distill.augment.presets import GENTLE, STRONG, Augmentation
from distill.corpus.sources import Source
from distill.labels import cache as labels
from distill.labels.cache import Entry, Labels
from distill.training import batches as speech
from distill.training import sampler as speakers
from distill.training.batches import Batch, Span, Speech, prefetch

SPAN = Span(60, 4096, 1024)
OFF = Augmentation()


@dataclass(frozen=True)
class Kept(Labels):
    """Labels that are kept in memory, as (audio, curves) by key."""

    pieces: Any = None

    def arrays(self, entry: Entry) -> tuple[np.ndarray, np.ndarray]:
        return self.pieces[entry.key]


def kept(pieces: dict[str, list[tuple[np.ndarray, np.ndarray]]], name: str = "kept", split: str = "train") -> Kept:
    """Labels of ``pieces`` by speaker."""
    found, entries = {}, []
    for speaker, said in pieces.items():
        for index, (audio, curves) in enumerate(said):
            key = f"{speaker}{index}"
            found[key] = audio, curves
            entries.append(Entry(key, key, split, speaker, "", len(curves), False))
    controls = tuple(f"c{index}" for index in range(curves.shape[1]))
    return Kept(Path(name), "t", "1", controls, tuple(entries), found)


def marked(frames: int, value: float) -> tuple[np.ndarray, np.ndarray]:
    """A click at every seventh frame, where the first control is 1; the second one is ``value`` throughout."""
    audio, curves = np.zeros(frames * HOP, np.int16), np.zeros((frames, 2), np.float32)
    audio[:: 7 * HOP] = 30_000
    curves[::7, 0] = 1
    curves[:, 1] = value
    return audio, curves


def corpus(seed: int = 0, count: int = 3, frames: int = 90) -> Kept:
    """Noise whose loudness is on the face."""
    rng = np.random.default_rng(seed)
    said: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for index in range(count):
        for _ in range(2):
            curves = rng.random((frames, 2)).astype(np.float32)
            audio = np.repeat(curves[:, 0] * 9000, HOP) * rng.uniform(-1, 1, frames * HOP)
            said.setdefault(f"s{index}", []).append((audio.astype(np.int16)[: frames * HOP - 100], curves))
    return kept(said)


def open_speech(*folders: Labels, span: Span = SPAN, augmentation: Augmentation = OFF, **more: Any) -> Speech:
    return Speech(folders, span, **({"batch": 8, "seed": 3} | more), augmentation=augmentation)


@pytest.mark.parametrize("augmentation", [OFF, GENTLE, STRONG])
def test_a_batch_is_a_function_of_seed_and_step(augmentation: Augmentation) -> None:
    one, other = (open_speech(corpus(), augmentation=augmentation) for _ in range(2))
    for step in (5, 0, 3):
        other.batch(step)
    for step in (3, 4):
        batch, again = one.batch(step), other.batch(step)
        assert batch.audio.shape == (8, 4096 + 59 * 320 + 1024)
        assert batch.curves.shape == (8, 60, 2)
        assert batch.audio.dtype == batch.curves.dtype == np.float32
        np.testing.assert_array_equal(batch.audio, again.audio)
        np.testing.assert_array_equal(batch.curves, again.curves)
    assert not np.array_equal(one.batch(3).audio, one.batch(4).audio)
    assert not np.array_equal(
        one.batch(3).audio, open_speech(corpus(), augmentation=augmentation, seed=4).batch(3).audio
    )


def test_sound_and_face_stay_together() -> None:
    batch = open_speech(kept({"a": [marked(400, 1)], "b": [marked(30, 1)]})).batch(0)
    at_frames = np.abs(batch.audio[:, SPAN.past : SPAN.past + 60 * HOP : HOP]) > 0.5
    np.testing.assert_array_equal(at_frames, batch.curves[:, :, 0] == 1)  # at speed 1, labels are as they were
    assert at_frames.sum() > 20


def test_faces_follow_the_speed_to_the_sample() -> None:
    frames = 600
    ramp = np.arange(frames * HOP) / (frames * HOP)
    curves = np.stack([np.arange(frames) / frames] * 2, 1).astype(np.float32)
    still = kept({"a": [((ramp * 32767).astype(np.int16), curves)]})
    for speed in (0.8, 1.0, 1.31):
        batch = open_speech(still, augmentation=replace(OFF, pitch=(speed, speed))).batch(1)
        whole = (batch.audio > 0).all(axis=1)
        assert whole.any()
        sound, faces = batch.audio[whole], batch.curves[whole]
        np.testing.assert_allclose(sound[:, SPAN.past :: HOP][:, :60], faces[:, :, 0], atol=5e-5)  # int16
        np.testing.assert_allclose(np.diff(faces[:, :, 0]), speed / frames, atol=1e-6)


def test_faster_playback_raises_the_pitch() -> None:
    tone = (8000 * np.sin(2 * np.pi * 500 * np.arange(500 * HOP) / 16_000)).astype(np.int16)
    steady = kept({"a": [(tone, np.random.default_rng(0).random((500, 1), np.float32))]})
    (audio, *_) = open_speech(steady, augmentation=replace(OFF, pitch=(1.5, 1.5))).batch(0).audio
    heard = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    assert heard.argmax() * 16_000 / len(audio) == pytest.approx(750, abs=1)


def test_a_sequence_goes_on_over_silence_with_the_same_speaker() -> None:
    said = {name: [marked(25, value), marked(31, value)] for name, value in (("a", 0.5), ("b", 0.75), ("c", 1.0))}
    pauses, pieces = [], 0
    opened = open_speech(kept(said), span=Span(200, 4096, 1024))
    for step in range(10):
        for row in opened.batch(step).curves[:, :, 1]:
            heard = [value for value in np.unique(row) if value in (0.5, 0.75, 1.0)]
            assert len(heard) == 1
            runs = [(bool(on), len(list(run))) for on, run in groupby(row == heard[0])]
            pauses += [length for on, length in runs[1:-1] if not on]
            lengths = {length for on, length in runs[1:-1] if on}
            assert lengths <= {25, 31}  # whole pieces
            pieces += sum(on for on, _ in runs)
    assert pieces > 200
    assert min(pauses) >= speech.PAUSE[0]
    assert max(pauses) < speech.PAUSE[1]


def test_every_frame_is_drawn_as_often() -> None:
    noise = np.random.default_rng(0).integers(-9000, 9000, 160 * HOP).astype(np.int16)
    said = [
        (noise[: frames * HOP], np.stack([np.full(frames, mark), np.arange(frames)], 1).astype(np.float32))
        for mark, frames in ((1, 40), (2, 160))
    ]
    opened = open_speech(kept({"a": said}), span=Span(2, 0, 320))
    drawn = np.concatenate([opened.batch(step).curves[:, 0] for step in range(600)])
    first = drawn[:, 0] == 1
    assert first.mean() == pytest.approx(0.2, abs=0.03)  # 4800 draws, five deviations
    assert drawn[~first, 1].mean() == pytest.approx(79.5, abs=4)


@pytest.mark.parametrize(("power", "share"), [(1.0, 0.9), (0.5, 0.75), (0.0, 0.5)])
def test_speakers_are_drawn_by_minutes_to_a_power(power: float, share: float) -> None:
    said = {"long": [marked(450, 1)] * 2, "short": [marked(100, 0.5)]}
    opened = open_speech(kept(said), span=Span(2, 0, 0), speakers=power)
    drawn = np.concatenate([opened.batch(step).curves[:, 0, 1] for step in range(250)])
    assert (drawn > 0.75).mean() == pytest.approx(share, abs=0.05)  # 2000 draws, five deviations


def test_folders_are_drawn_by_their_shares() -> None:
    one = kept({"a": [marked(900, 1)], "b": [marked(900, 1)]}, "one")
    other = kept({"a": [marked(50, 0.5)]}, "other")
    for shares, wanted in (((1, 3), 0.25), ((1, 0), 1.0), (None, 0.894)):  # 2 * 30 against sqrt 50
        opened = open_speech(one, other, span=Span(2, 0, 0), shares=shares)
        drawn = np.concatenate([opened.batch(step).curves[:, 0, 1] for step in range(250)])
        assert (drawn > 0.75).mean() == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize("augmentation", [OFF, replace(STRONG, babble=1.0)])
def test_ranks_share_the_rows_of_one_batch(augmentation: Augmentation) -> None:
    whole = open_speech(corpus(), augmentation=augmentation).batch(7)
    parts = [open_speech(corpus(), augmentation=augmentation, rank=rank, ranks=4).batch(7) for rank in range(4)]
    np.testing.assert_array_equal(np.concatenate([part.audio for part in parts]), whole.audio)
    np.testing.assert_array_equal(np.concatenate([part.curves for part in parts]), whole.curves)
    with pytest.raises(UserError, match="8 sequences cannot be shared by 3"):
        open_speech(corpus(), rank=0, ranks=3)


def test_a_corpus_larger_than_the_cache_gives_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    large = corpus(count=6, frames=500)  # 12 pieces of 0.32 MB
    wanted = [open_speech(large, augmentation=GENTLE).batch(step) for step in range(6)]
    read: list[str] = []
    decode = speakers.decode
    monkeypatch.setattr(speakers, "decode", lambda folder, entry: (read.append(entry.key), decode(folder, entry))[1])
    monkeypatch.setattr(speakers, "CACHE_MB", 1)
    opened = open_speech(large, augmentation=GENTLE)
    for step, batch in enumerate(wanted):
        found = opened.batch(step)
        np.testing.assert_array_equal(found.audio, batch.audio)
        np.testing.assert_array_equal(found.curves, batch.curves)
        assert sum(piece.size for piece in opened._pieces._pieces.values()) <= 1e6
    assert len(read) > len(set(read))  # pieces were read again


def test_recordings_of_any_level_are_heard_at_the_levels_asked_for() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, 500 * HOP)
    said = {
        name: [((noise * scale).astype(np.int16), np.full((500, 1), scale, np.float32))]
        for name, scale in (("loud", 6000), ("low", 100))
    }
    batch = open_speech(kept(said), augmentation=replace(OFF, level_db=(-30.0, -30.0)), batch=16).batch(0)
    inside = (batch.curves > 50).all(axis=(1, 2))
    assert inside.sum() > 8
    assert len(np.unique(batch.curves[inside])) == 2
    levels = 20 * np.log10(np.sqrt(np.mean(batch.audio[inside][:, 8000:] ** 2, axis=1)))
    np.testing.assert_allclose(levels, -30, atol=0.5)


def test_spread_by_a_second_formula() -> None:
    one, other = marked(70, 0.5), marked(280, 0.25)
    mean, deviation = open_speech(kept({"a": [one], "b": [other]}), speakers=1.0).spread()
    together = np.concatenate([one[1], other[1]])
    np.testing.assert_allclose(mean, together.mean(0), atol=1e-6)
    np.testing.assert_allclose(deviation, together.std(0), atol=1e-6)
    mean, _ = open_speech(kept({"a": [one], "b": [other]}), speakers=0.0).spread()
    np.testing.assert_allclose(mean[1], (0.5 + 0.25) / 2, atol=1e-6)
    mean, deviation = open_speech(kept({"a": [one]})).spread()
    assert deviation[1] == 0  # never moves


def test_nobody_learns_what_another_folder_judges_by() -> None:
    one, other = kept({"a": [marked(70, 0.5)]}), kept({"b": [marked(70, 0.5)]}, "judges")
    judges = replace(other, entries=(*other.entries, replace(one.entries[0], split="held-out")))
    speakers.distribution([one, other], None, 0.5)
    with pytest.raises(UserError, match="'a0' is to be learnt, but judges holds the same audio out"):
        speakers.distribution([one, judges], None, 0.5)


def test_rest_is_the_face_in_silence() -> None:
    rng = np.random.default_rng(0)
    frames = 200
    curves = rng.random((frames, 2)).astype(np.float32)
    audio = rng.integers(-9000, 9000, frames * HOP).astype(np.int16)
    audio[50 * HOP : 110 * HOP] = 3
    curves[53:108] = [0.125, 0.75]  # it takes a while to come to rest
    opened = open_speech(kept({"a": [(audio, curves)]}), augmentation=replace(OFF, quiet=1.0))
    np.testing.assert_allclose(opened.survey.rest, [0.125, 0.75], atol=1e-6)
    batch = opened.batch(0)
    assert not batch.audio.any()
    np.testing.assert_allclose(batch.curves, np.broadcast_to([0.125, 0.75], batch.curves.shape), atol=1e-6)
    loud = kept({"a": [(rng.integers(-9000, 9000, frames * HOP).astype(np.int16), curves)]})
    np.testing.assert_array_equal(open_speech(loud).survey.rest, [0, 0])


@pytest.mark.parametrize("count", [1, 4])
def test_prefetched_batches_are_the_same_and_the_threads_end(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(speech, "threads", lambda: count)
    opened = open_speech(corpus(), augmentation=GENTLE)
    for step, batch in zip(range(3, 8), prefetch(opened, range(3, 8)), strict=True):
        np.testing.assert_array_equal(batch.audio, opened.batch(step).audio)
    with closing(prefetch(opened, range(10**9))) as endless:
        next(endless)
    assert list(prefetch(opened, ())) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("speech")]


@pytest.mark.parametrize("error", [UserError("damaged"), KeyboardInterrupt()])
def test_what_goes_wrong_in_the_thread_comes_out(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    opened = open_speech(corpus())
    whole = Speech.batch

    def batch(self: Speech, step: int) -> Batch:
        if step == 2:
            raise error
        return whole(self, step)

    monkeypatch.setattr(Speech, "batch", batch)
    batches = prefetch(opened, range(9))
    assert len([next(batches), next(batches)]) == 2
    with pytest.raises(type(error)):
        next(batches)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("speech")]


def test_what_cannot_be_trained_on() -> None:
    with pytest.raises(UserError, match="nothing to train on"):
        open_speech(kept({"a": [marked(50, 1)]}, split="held-out"))
    with pytest.raises(UserError, match="nothing to train on"):
        open_speech()
    with pytest.raises(UserError, match="other controls"):
        open_speech(corpus(), kept({"a": [(np.zeros(640, np.int16), np.zeros((2, 3), np.float32))]}))
    with pytest.raises(UserError, match="shares"):
        open_speech(corpus(), shares=(1, 2))
    with pytest.raises(UserError, match="shares"):
        open_speech(corpus(), shares=(0,))
    with pytest.raises(UserError, match="nothing moves"):
        open_speech(kept({"a": [(np.zeros(640, np.int16), np.zeros((2, 2), np.float32))]})).spread()


class Timekeeper:
    """Labels every frame with its own time."""

    name, version, controls = "timekeeper", "1", ("a", "b")

    def curves(self, utterance: Any) -> np.ndarray:
        times = np.arange(frame_count(len(utterance.audio)), dtype=np.float32) / 50
        return np.stack([times, -times], 1)


def test_labels_on_disk(tmp_path: Path) -> None:
    pytest.importorskip("av")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        write_wav(tmp_path / f"{name}.wav", rng.normal(0, 0.1, 40_000).astype(np.float32))
    sources = [Source(tmp_path / f"{name}.wav", speaker=name) for name in ("a", "b")]
    found, _ = labels.label(sources, Timekeeper(), tmp_path / "labels")
    opened = open_speech(labels.load(tmp_path / "labels"))
    batch = opened.batch(0)
    assert 0 < batch.curves.max() <= 125 / 50
    for path in (tmp_path / "labels").rglob("*.npz"):
        path.write_bytes(b"garbage")
    with pytest.raises(UserError, match="label file"):
        open_speech(found).batch(0)
