"""Every training piece again in other voices: same faces, same length, other sound; kept, not made twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distill.audio import HOP, frame_count, write_wav
from distill.augment import vocoder
from distill.corpus.sources import HELD_OUT, TRAIN, Source
from distill.labels import cache as labels
from distill.labels import voices
from distill.labels.cache import Labels
from distill.labels.labelling import place
from distill.teachers.base import Utterance

pytest.importorskip("av")
pytest.importorskip("pyworld")


class Timekeeper:
    """Labels every frame with its own time."""

    name, version, controls = "timekeeper", "1", ("a", "b")

    def curves(self, utterance: Utterance) -> np.ndarray:
        times = np.arange(frame_count(len(utterance.audio)), dtype=np.float32) / 50
        return np.stack([times, -times], 1)


@pytest.fixture
def made(tmp_path: Path) -> Labels:
    pulses = np.zeros(12_000, np.float32)
    pulses[::128] = 0.5
    for index, name in enumerate("abc"):
        sound = np.convolve(pulses, np.exp(-np.arange(60) / (6 + 3 * index)))[: 12_000 - index * 100]
        write_wav(tmp_path / f"{name}.wav", sound.astype(np.float32))
    splits = {"a": TRAIN, "b": TRAIN, "c": HELD_OUT}
    sources = [Source(tmp_path / f"{name}.wav", speaker=name, split=split) for name, split in splits.items()]
    return labels.label(sources, Timekeeper(), tmp_path / "labels")[0]


def test_pieces_in_other_voices(made: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    more = voices.multiply(made, 2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert labels.load(made.folder) == more
    assert [entry.speaker for entry in more.entries] == ["a", "b", "c", "a~1", "a~2", "b~1", "b~2"]
    assert len(more.split(HELD_OUT)) == 1
    originals = {entry.source: made.arrays(entry) for entry in made.entries}
    sounds = []
    for entry in more.entries[3:]:
        audio, curves = more.arrays(entry)
        before, faces = originals[entry.source]
        np.testing.assert_array_equal(curves, faces)
        assert len(audio) == len(before)
        assert frame_count(len(audio)) == entry.frames == -(-len(audio) // HOP)
        loudness = np.sqrt(np.mean(audio.astype(float) ** 2) / np.mean(before.astype(float) ** 2))
        assert loudness == pytest.approx(1, abs=0.02)
        assert more.phones(entry) is None
        sounds.append(audio[:11_000].tobytes())
    assert len(set(sounds)) == 4

    written = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*.npz")}
    monkeypatch.setattr(vocoder, "respoken", None)  # nothing is spoken twice
    assert voices.multiply(made, 2) == more
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*.npz")} == written


def test_processes_make_what_one_makes(made: Labels) -> None:
    more = voices.multiply(made, 1)
    paths = [place(more.folder, entry.key) for entry in more.entries[3:]]
    alone = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    assert voices.multiply(made, 1, jobs=2) == more
    assert [path.read_bytes() for path in paths] == alone
