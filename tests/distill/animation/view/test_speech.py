"""From files to takes: pieces are those of the whole, whoever makes the curves."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill.animation.view.speech import Span, driven, labelled, listen, recorded, sound, spoken
from distill.corpus.espeak import Phone
from distill.corpus.sources import Source
from distill.teachers.base import Utterance


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds at 16 kHz that say where they are: sample n is n // 16."""
    path = tmp_path_factory.mktemp("sound") / "ramp.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.arange(160_000) // 16).astype("<i2").tobytes())
    return path


def drive(blocks: Iterable[np.ndarray], ensemble: bool, frame_rate: float) -> Iterator[np.ndarray]:
    """The mean of a second around each frame, which knows silence only beyond both ends."""
    audio = np.concatenate(list(blocks))
    padded = np.pad(audio, 8_000)
    for start in np.round(np.arange(0, len(audio), 16_000 / frame_rate)).astype(int):
        yield padded[start : start + 16_000].mean(keepdims=True)[None]


@pytest.mark.parametrize("span", [Span(), Span(3.0, 5.0), Span(4.321, 7.007), Span(9.0), Span(0.5, 99.0)])
def test_a_piece_moves_as_in_the_whole(ramp: Path, span: Span) -> None:
    heard = listen(ramp, span)
    at = min(span.end, 10.0) - span.begin
    assert sound(heard, span).shape == (round(at * 16_000),)
    assert sound(heard, span)[0] == pytest.approx(span.begin * 1000, abs=1)
    take = driven(drive, heard, span, "x", ("level",), 30.0, False)
    whole = driven(drive, listen(ramp, Span()), Span(), "x", ("level",), 30.0, False)
    # Frames of the piece may lie between those of the whole; what is heard is nearly straight from one to the next.
    np.testing.assert_allclose(take.curves, whole.at(take.times + span.begin), atol=2e-4)
    assert take.start <= 0 < take.start + 1 / 30 + 1e-9


def test_bad_spans(ramp: Path) -> None:
    with pytest.raises(UserError, match=r"it ends at 10.00 s, before --from"):
        listen(ramp, Span(10.0))
    with pytest.raises(UserError, match=r"--to: a page holds 600 s of speech, and this is 700 s"):
        listen(ramp, Span(1.0, 701.0))


def test_an_hour_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def blocks(path: Path, rate: int) -> Iterator[np.ndarray]:
        for minute in range(60):
            read.append(minute)
            yield np.zeros(60 * rate, np.float32)

    monkeypatch.setattr("distill.animation.view.speech.blocks", blocks)
    with pytest.raises(UserError, match="cut with --from and --to"):
        listen(tmp_path, Span())
    assert len(read) == 11
    read.clear()
    assert len(listen(tmp_path, Span(125.0, 130.0))) == 9 * 16_000
    assert len(read) == 3


def test_an_uneven_recording_is_brought_to_its_mean_rate(tmp_path: Path) -> None:
    times = np.array([0.0, 0.02, 0.04, 0.1, 0.12, 0.14])
    path = tmp_path / "curves.csv"
    path.write_text("seconds,a\n" + "".join(f"{time:.6f},{time:.6f}\n" for time in times))
    take = recorded(path, "x", Span())
    assert take.frame_rate == pytest.approx(5 / 0.14)
    np.testing.assert_allclose(take.curves[:, 0], take.times, atol=1e-6)


def test_one_frame_is_a_take(tmp_path: Path) -> None:
    path = tmp_path / "curves.npz"
    np.savez(path, curves=np.ones((1, 1), np.float32), controls=np.array(["a"]), frame_rate=30.0)
    assert recorded(path, "x", Span()).curves.tolist() == [[1.0]]


class Level:
    """A teacher that goes by phones, and whose face is how far the time is."""

    name, version, controls = "level", "1", ("jawOpen", "said")

    def hear(self, utterance: Utterance) -> object:
        from distill.teachers.base import Hearing

        phones = (Phone("b", 0.5, 0.75),)
        return Hearing(phones, phones, f"text '{utterance.text}'")

    def curves(self, utterance: Utterance) -> np.ndarray:
        count = -(-len(utterance.audio) // 320)
        assert utterance.phones is not None
        said = sum((np.arange(count) / 50 >= one.start) & (np.arange(count) / 50 < one.end) for one in utterance.phones)
        return np.stack([utterance.start + np.arange(count) / 50, said], axis=1)


def test_a_teacher_hears_a_piece_where_it_is(ramp: Path) -> None:
    span = Span(5.0, 6.0)
    source = Source(ramp, (Phone("a", 5.2, 5.4),))
    take, phones, remark = labelled(Level(), source, listen(ramp, span), span, "level, teacher")
    np.testing.assert_allclose(take.curves[:, 0], 5.0 + np.arange(50) / 50, atol=1e-6)
    np.testing.assert_array_equal(take.curves[:, 1], (np.arange(50) >= 10) & (np.arange(50) < 20))
    assert (phones, remark) == ((), "")  # they were known
    assert [(one.symbol, round(one.start, 6), round(one.end, 6)) for one in spoken(source, span)] == [("a", 0.2, 0.4)]


def test_the_phones_that_a_teacher_hears_are_on_the_pages_clock(ramp: Path) -> None:
    source = Source(ramp, text="words", language="en")
    take, phones, remark = labelled(Level(), source, listen(ramp, Span()), Span(), "x")
    assert [(one.start, one.end) for one in phones] == [(0.5, 0.75)]
    assert remark == "text 'words'"
    assert len(take.curves) == 500
    span = Span(2.25, 4.0)  # heard from 0.26 on: two seconds around it, at a frame
    _, phones, remark = labelled(Level(), source, listen(ramp, span), span, "x")
    assert phones == ()  # before the piece
    assert remark.startswith("its text is not used, but what is heard: which words of it lie between --from and --to")
    assert remark.endswith("; text ''")  # which is that of the whole
    _, _, remark = labelled(Level(), Source(ramp), listen(ramp, span), span, "x")
    assert remark == "text ''"
    double = np.tile(listen(ramp, Span()), 4)  # 40 s, which are heard in pieces
    _, _, remark = labelled(Level(), source, double, Span(), "x")
    assert remark.startswith("its text is not used, but what is heard: it is longer than 30 s; ")


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        (lambda *_: np.zeros((3, 2)), "gave"),
        (lambda *_: 1 / 0, "raises ZeroDivisionError: division by zero"),
    ],
)
def test_a_bad_teacher(ramp: Path, monkeypatch: pytest.MonkeyPatch, curves: object, message: str) -> None:
    monkeypatch.setattr(Level, "curves", curves)
    with pytest.raises(UserError, match=message):
        labelled(Level(), Source(ramp), listen(ramp, Span()), Span(), "x")
