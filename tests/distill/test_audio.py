"""Decoding against tones of known frequency and level; files are made with the standard library and PyAV."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import audio

av = pytest.importorskip("av")


def tone(rate: int, seconds: float = 1.0, frequency: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_becomes_16_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat((tone(rate) * 32767).astype("<i2")[:, None], channels, axis=1).tobytes())
    samples = audio.decode(path)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16000) <= 32  # the resampler's filter may round a millisecond or two at the ends
    inner = samples[1000:15000]
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner))))
    assert spectrum.argmax() * 16000 / len(inner) == pytest.approx(440, abs=16000 / len(inner))
    assert np.sqrt(np.mean(inner**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)  # filter ripple, 16 bit


def test_16_khz_mono_passes_unchanged(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "tone.wav", tone(16000))
    np.testing.assert_allclose(audio.decode(tmp_path / "tone.wav"), tone(16000), atol=1 / 32767)


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "flac"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac")])
def test_compressed_formats(tmp_path: Path, name: str, codec: str) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray((tone(44100) * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = 44100
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=44100, frame_size=4096)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    samples = audio.decode(tmp_path / name)
    assert np.sqrt(np.mean(samples[4000:12000] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)  # lossy


def test_titles_that_are_not_utf8_do_no_harm(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "tone.wav", tone(16000))
    plain = (tmp_path / "tone.wav").read_bytes()
    title = b"INAM" + (4).to_bytes(4, "little") + "Катя".encode("cp1251")
    notes = b"LIST" + (4 + len(title)).to_bytes(4, "little") + b"INFO" + title
    size = (len(plain) - 8 + len(notes)).to_bytes(4, "little")
    (tmp_path / "titled.wav").write_bytes(b"RIFF" + size + plain[8:] + notes)
    np.testing.assert_array_equal(audio.decode(tmp_path / "titled.wav"), audio.decode(tmp_path / "tone.wav"))


def test_blocks_are_the_file_in_pieces(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "tone.wav", tone(22050, 10), 22050)
    pieces = list(audio.blocks(tmp_path / "tone.wav"))
    assert len(pieces) > 10
    assert max(map(len, pieces)) < 16000
    np.testing.assert_array_equal(np.concatenate(pieces), audio.decode(tmp_path / "tone.wav"))


def test_loud_samples_are_clipped_not_wrapped(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "loud.wav", np.array([2.0, -2.0, 0.5], np.float32))
    with wave.open(str(tmp_path / "loud.wav")) as file:
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [32767, -32767, 16384]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("missing.wav", None, "no such audio file"),
        ("noise.wav", b"this is not audio" * 50, "cannot be read as audio"),
        ("empty.wav", b"", "cannot be read as audio"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=complaint) as caught:
        audio.decode(tmp_path / name)
    assert name in str(caught.value)


def test_a_file_without_samples(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "none.wav", np.zeros(0, np.int16))
    with pytest.raises(UserError, match=r"none\.wav.*no samples|none\.wav.*cannot be read"):
        audio.decode(tmp_path / "none.wav")


def test_a_film_without_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(UserError, match="no audio stream"):
        audio.decode(tmp_path / "film.mp4")


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (320, 1), (321, 2), (16000, 50)])
def test_frame_count(samples: int, frames: int) -> None:
    assert audio.frame_count(samples) == frames


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    samples = tone(16000)
    samples[8000] = bad
    with av.open(str(tmp_path / "bad.wav"), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UserError, match=r"bad\.wav.*NaN or infinite"):
        audio.decode(tmp_path / "bad.wav")


@pytest.mark.parametrize("rate", [1, 50, 3_999, 800_000])
def test_a_sample_rate_that_nobody_records_at(tmp_path: Path, rate: int) -> None:
    audio.write_wav(tmp_path / "odd.wav", tone(16000), rate)
    with pytest.raises(UserError, match=rf"odd\.wav: it claims a sample rate of {rate:,} Hz"):
        audio.decode(tmp_path / "odd.wav")


def test_a_list_of_other_files_is_no_audio(tmp_path) -> None:
    audio.write_wav(tmp_path / "other.wav", np.zeros(1600, np.int16))
    path = tmp_path / "speech.wav"
    for text in ("ffconcat version 1.0\nfile other.wav\n", "#EXTM3U\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n"):
        path.write_text(text)
        with pytest.raises(UserError, match="cannot be read as audio"):
            audio.decode(path)
