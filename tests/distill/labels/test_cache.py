"""The label cache: content-addressed, resumable after a kill, never half-written, honest about what it skips."""

from __future__ import annotations

import dataclasses
import errno
import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compile.errors import MissingExtra, UserError
from distill.audio import SAMPLE_RATE, decode, write_wav
from distill.corpus import sources as corpus
from distill.corpus.espeak import Phone
from distill.labels import cache as labels
from distill.labels.labelling import place
from distill.teachers.base import Utterance
from distill.teachers.phonetic import PhoneticTeacher

pytest.importorskip("av")


def test_arrays_come_back(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made, summary = labels.label(spoken, counting_teacher(), tmp_path)
    assert (summary.done, summary.cached, summary.skipped) == (6, 0, ())
    read = labels.load(tmp_path)
    assert read == made
    assert [entry.split for entry in read.entries] == ["train"] * 4 + ["held-out"] * 2
    audio, curves = read.arrays(read.entries[0])
    np.testing.assert_allclose(audio / 32767, decode(spoken[0].path), atol=1 / 32767)
    assert curves[7, 3] == pytest.approx(0.007, rel=1e-3)  # stored as float16


def test_a_second_run_asks_the_teacher_nothing(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    labels.label(spoken, counting_teacher(), tmp_path)
    again = counting_teacher()
    made, summary = labels.label(spoken, again, tmp_path)
    assert again.calls == 0
    assert (summary.done, summary.cached) == (0, 6)
    assert len(made.entries) == 6


def test_another_version_or_other_phones_are_labelled_anew(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    labels.label(spoken, counting_teacher(), tmp_path)
    newer = counting_teacher()
    newer.version = "2"
    labels.label(spoken, newer, tmp_path)
    assert newer.calls == 6
    without = [corpus.Source(source.path) for source in spoken]
    third = counting_teacher()
    labels.label(without, third, tmp_path)
    assert third.calls == 6


def test_an_interrupted_run_goes_on(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(KeyboardInterrupt):
        labels.label(spoken, counting_teacher(fail_after=4), tmp_path)
    rest = counting_teacher()
    _, summary = labels.label(spoken, rest, tmp_path)
    assert (summary.done, summary.cached, rest.calls) == (2, 4, 2)


def test_bad_audio_is_skipped_with_its_reason(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "noise.wav").write_bytes(b"no audio")
    sources = [corpus.Source(tmp_path / "missing.wav"), corpus.Source(tmp_path / "noise.wav"), *spoken]
    seen: list[tuple[int, int]] = []
    made, summary = labels.label(sources, counting_teacher(), tmp_path / "l", progress=lambda *done: seen.append(done))
    assert [Path(name).name for name, _ in summary.skipped] == ["missing.wav", "noise.wav"]
    assert "no such audio file" in summary.skipped[0][1]
    assert len(made.entries) == 6
    assert seen[-1] == (8, 8)


def test_an_empty_corpus(counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="empty corpus"):
        labels.label([], counting_teacher(), tmp_path / "l")


def test_damaged_files_are_named(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made, _ = labels.label(spoken[:1], counting_teacher(), tmp_path)
    path = place(tmp_path, made.entries[0].key)
    whole = path.read_bytes()
    for damage in (b"", whole[: len(whole) // 2], b"x" * 100):
        path.write_bytes(damage)
        with pytest.raises(UserError, match="not a label file"):
            made.arrays(made.entries[0])
    np.savez(path, audio=np.zeros(320, np.int16), curves=np.zeros((2, 52), np.float16))
    with pytest.raises(UserError, match="do not fit"):
        made.arrays(made.entries[0])
    np.savez(path, audio=np.array([object()]), curves=np.zeros((1, 52)))
    with pytest.raises(UserError, match="not a label file"):  # a pickle is not opened
        made.arrays(made.entries[0])
    (tmp_path / labels.INDEX).write_text("{}")
    with pytest.raises(UserError, match="not a labels index"):
        labels.load(tmp_path)
    (tmp_path / labels.INDEX).unlink()
    (tmp_path / labels.OLD_INDEX).write_text("{}")
    with pytest.raises(UserError, match=r"of an older phiz.*label the same audio again"):
        labels.load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"jawOpen"', '"\\ud800"'),
        ('"jawOpen"', "1"),
        ('"jawOpen"', '"jawForward"'),
        ('"controls": [', '"controls": "jawOpen", "others": ['),
        ('"teacher": "', '"teacher": "\\udc00'),
        ('"train"', '"\\ud800"'),
    ],
)
def test_names_in_an_index_can_be_written(
    spoken,  # type: ignore[no-untyped-def]
    counting_teacher,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    old: str,
    new: str,
) -> None:
    labels.label(spoken, counting_teacher(), tmp_path)
    index = (tmp_path / labels.INDEX).read_text()
    assert old in index
    (tmp_path / labels.INDEX).write_text(index.replace(old, new))
    with pytest.raises(UserError, match="not a labels index"):
        labels.load(tmp_path)


def test_an_index_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / labels.INDEX)
    with pytest.raises(UserError, match=r"not a labels index \(it is no file\)"):
        labels.load(tmp_path)


def test_names_that_are_no_utf8(counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Files may be called anything; what is said of them can be written."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9/\xe9.wav"))
    write_wav(path, np.full(3200, 1000, np.int16))
    made, _ = labels.label(corpus.find([path]), counting_teacher(), tmp_path / "labels")
    (entry,) = labels.load(tmp_path / "labels").entries
    assert (entry.source, entry.speaker) == (r"\xe9.wav", r"caf\xe9")
    assert made.entries == (entry,)


def test_an_entry_says_what_is_known(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_wav(tmp_path / "anna" / "x.wav", noise(1.01))
    other = corpus.find([tmp_path / "anna"])
    made, _ = labels.label([*spoken, *other], counting_teacher(), tmp_path / "l")
    assert [entry.language for entry in made.entries] == [source.language for source in spoken] + [""]
    assert [entry.exact for entry in made.entries] == [True] * 6 + [False]
    last = made.entries[-1]
    assert (last.source, last.speaker, last.frames) == ("x.wav", "anna", 51)
    assert made.phones(last) is None
    for source, entry in zip(spoken, made.entries, strict=False):
        phones = made.phones(entry)
        assert phones
        assert [phone.symbol for phone in phones] == [phone.symbol for phone in source.phones]
        ours, theirs = ([(phone.start, phone.end) for phone in group] for group in (phones, source.phones))
        np.testing.assert_allclose(ours, theirs, atol=1e-3)  # the last one ends with the audio, resampled
        assert len(made.arrays(entry)[1]) == entry.frames


def test_damaged_phones_are_named(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made, _ = labels.label(spoken[:1], counting_teacher(), tmp_path)
    for symbols, times in ((np.zeros(3), np.zeros((3, 2))), (np.array(["a"]), np.zeros((2, 2)))):
        np.savez(place(tmp_path, made.entries[0].key), symbols=symbols, times=times)
        with pytest.raises(UserError, match="its phones are damaged"):
            made.phones(made.entries[0])


# Long files


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, round(seconds * SAMPLE_RATE), dtype=np.int16)


class Hearing:
    """Its curves are what it heard: the level of each frame; and it keeps what it was told."""

    name, version, controls = "hearing", "1", ("level",)

    def __init__(self) -> None:
        self.heard: list[Utterance] = []

    def curves(self, utterance: Utterance) -> np.ndarray:
        self.heard.append(utterance)
        whole = np.pad(utterance.audio, (0, -len(utterance.audio) % 320))
        return np.abs(whole).reshape(-1, 320).mean(axis=1, keepdims=True)


def test_a_long_file_is_labelled_in_pieces(tmp_path: Path) -> None:
    audio = noise(100.5)
    audio[20 * SAMPLE_RATE : 21 * SAMPLE_RATE] //= 50
    write_wav(tmp_path / "long.wav", audio)
    phones = tuple(Phone("a", second, second + 1) for second in range(100))
    teacher = Hearing()
    made, summary = labels.label([corpus.Source(tmp_path / "long.wav", phones)], teacher, tmp_path / "l")
    assert (summary.done, summary.cached) == (1, 0)
    arrays = [made.arrays(entry) for entry in made.entries]
    np.testing.assert_array_equal(np.concatenate([piece for piece, _ in arrays]), audio)
    whole = Hearing().curves(Utterance((audio / 32767).astype(np.float32)))
    np.testing.assert_allclose(np.concatenate([curves for _, curves in arrays]), whole, rtol=1e-3)  # float16
    assert max(len(piece) for piece, _ in arrays) <= 30 * SAMPLE_RATE
    starts = np.cumsum([0, *(len(piece) for piece, _ in arrays)])[:-1] / SAMPLE_RATE
    assert 20 < starts[1] < 21
    heard = {utterance.start: utterance for utterance in teacher.heard}
    assert sorted(heard) == list(starts)
    for start, entry in zip(starts, made.entries, strict=True):
        assert heard[start].path == tmp_path / "long.wav"
        known = made.phones(entry)
        assert known == heard[start].phones
        assert known is not None
        assert known[0].start == pytest.approx(0)
        assert known[-1].end == pytest.approx(min(entry.frames / 50, 100 - start))
        assert round(known[-2].end + start, 6) % 1 == 0


def test_memory_is_that_of_a_piece(tmp_path: Path) -> None:
    """Five minutes are 19 MB of floats; a piece is 2 MB of them, and a few copies."""

    class Level(Hearing):
        def curves(self, utterance: Utterance) -> np.ndarray:
            return np.zeros((-(-len(utterance.audio) // 320), 1), np.float32)

    peaks = []
    for minutes in (1, 5):
        write_wav(tmp_path / f"{minutes}.wav", noise(60 * minutes, minutes))
        tracemalloc.start()
        labels.label([corpus.Source(tmp_path / f"{minutes}.wav")], Level(), tmp_path / "l")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 15e6, peaks
    assert peaks[1] < 1.2 * peaks[0], peaks


def test_a_long_file_goes_on_at_the_piece_where_it_stopped(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", noise(150))
    source = [corpus.Source(tmp_path / "long.wav")]

    class Tired(Hearing):
        def curves(self, utterance: Utterance) -> np.ndarray:
            if len(self.heard) == 3:
                raise KeyboardInterrupt
            return super().curves(utterance)

    with pytest.raises(KeyboardInterrupt):
        labels.label(source, Tired(), tmp_path / "l")
    rest = Hearing()
    made, summary = labels.label(source, rest, tmp_path / "l")
    assert len(rest.heard) == len(made.entries) - 3
    assert (summary.done, summary.cached) == (1, 0)
    again = Hearing()
    assert labels.label(source, again, tmp_path / "l")[0] == made
    assert not again.heard


def test_a_damaged_or_missing_piece_is_labelled_again(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", noise(70))
    source = [corpus.Source(tmp_path / "long.wav")]
    made, _ = labels.label(source, Hearing(), tmp_path / "l")
    wholes = [place(tmp_path / "l", entry.key).read_bytes() for entry in made.entries]
    place(tmp_path / "l", made.entries[0].key).write_bytes(wholes[0][:1000])
    place(tmp_path / "l", made.entries[1].key).unlink()
    assert labels.label(source, Hearing(), tmp_path / "l")[1].done == 1
    assert [place(tmp_path / "l", entry.key).read_bytes() for entry in made.entries] == wholes


# Odd audio


@pytest.mark.parametrize("samples", [1, 319, 320, 800, 801])
def test_the_shortest_files(tmp_path: Path, samples: int) -> None:
    write_wav(tmp_path / "short.wav", noise(samples / SAMPLE_RATE))
    made, _ = labels.label([corpus.Source(tmp_path / "short.wav")], Hearing(), tmp_path / "l")
    assert [entry.frames for entry in made.entries] == [-(-samples // 320)]
    assert len(made.arrays(made.entries[0])[0]) == samples


def test_silent_and_clipped_files_are_told(tmp_path: Path) -> None:
    write_wav(tmp_path / "fine.wav", noise(1))
    write_wav(tmp_path / "silent.wav", np.ones(SAMPLE_RATE, np.int16))
    for name, value in (("up", 32767), ("down", -32768)):
        clipped = noise(1)
        clipped[:320] = value
        write_wav(tmp_path / f"{name}.wav", clipped)
    for _ in range(2):  # and again from the cache
        made, summary = labels.label(corpus.find([tmp_path / "*.wav"]), Hearing(), tmp_path / "l", strict=True)
        assert len(made.entries) == 4
        assert [(Path(name).stem, remark.split(": ")[1]) for name, remark in summary.remarks] == [
            ("down", "clipped"),
            ("silent", "silent"),
            ("up", "clipped"),
        ]
        assert "2 % of its samples" in summary.remarks[0][1]


def garbage(folder: Path) -> dict[str, Path]:
    """Files that cannot be labelled, by what is wrong with them."""
    folder.mkdir()
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_bytes(b"words " * 99)
    write_wav(folder / "none.wav", np.zeros(0, np.int16))
    write_wav(folder / "slow.wav", noise(1), rate=100)
    with wave.open(str(folder / "nan.wav"), "wb") as file:
        file.setparams((1, 4, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(np.full(16000, np.nan, "<f4").tobytes())
    whole = bytearray((folder / "nan.wav").read_bytes())
    whole[20] = 3  # WAVE_FORMAT_IEEE_FLOAT
    (folder / "nan.wav").write_bytes(whole)
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    names = ("empty", "text", "none", "slow", "nan", "folder", "pipe", "absent")
    return {name: folder / f"{name}.wav" for name in names}


def test_every_bad_file_is_named_and_the_run_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("av")
    bad = garbage(tmp_path / "bad")
    write_wav(tmp_path / "good.wav", noise(1))
    sources = [corpus.Source(path) for path in (*bad.values(), tmp_path / "good.wav")]
    made, summary = labels.label(sources, Hearing(), tmp_path / "l")
    assert [entry.source for entry in made.entries] == ["good.wav"]
    assert [path for path, _ in summary.skipped] == [str(path) for path in bad.values()]
    reasons = {Path(path).stem: reason for path, reason in summary.skipped}
    for name, path in bad.items():
        assert str(path) in reasons[name]
    assert "NaN" in reasons["nan"]
    assert "100 Hz" in reasons["slow"]
    assert "no samples" in reasons["none"]
    for path in bad.values():
        with pytest.raises(UserError, match=path.name):
            labels.label([sources[-1], corpus.Source(path)], Hearing(), tmp_path / "l", strict=True)


def test_a_file_that_ends_too_soon_leaves_no_label(tmp_path: Path) -> None:
    """A damaged second minute: the first one's pieces are no label of the file."""
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.flac"), "w") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        for at in range(0, 90 * SAMPLE_RATE, 4096):
            frame = av.AudioFrame.from_ndarray(noise(4096 / SAMPLE_RATE, at)[None], "s16", "mono")
            frame.sample_rate = SAMPLE_RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole = bytearray((tmp_path / "a.flac").read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 60_000] = bytes(60_000)
    (tmp_path / "a.flac").write_bytes(whole)
    try:
        heard = len(decode(tmp_path / "a.flac"))
    except UserError:
        with pytest.raises(UserError, match=r"a\.flac"):
            labels.label([corpus.Source(tmp_path / "a.flac")], Hearing(), tmp_path / "l")
    else:  # this FFmpeg plays over the damage
        made, _ = labels.label([corpus.Source(tmp_path / "a.flac")], Hearing(), tmp_path / "l")
        assert sum(len(made.arrays(entry)[0]) for entry in made.entries) == heard


# Teachers that break their promise


def answers(count: int) -> list[tuple[Callable[[], object], str]]:
    def fail(error: BaseException) -> Callable[[], object]:
        def answer() -> object:
            raise error

        return answer

    return [
        (lambda: np.zeros((3, 1), np.float32), r"gave float32 \[3, 1\] where \[50, 1\] was due"),
        (lambda: np.zeros((count, 2), np.float32), r"gave float32 \[50, 2\]"),
        (lambda: np.zeros(count, np.float32), r"gave float32 \[50\]"),
        (lambda: np.full((count, 1), np.nan, np.float32), "gave NaN"),
        (lambda: np.full((count, 1), 1e6, np.float32), "that float16 cannot hold"),
        (lambda: np.zeros((count, 1), np.complex64), "gave complex64"),
        (lambda: np.array([[object()]] * count), "gave object"),
        (lambda: None, r"gave object \[\]"),
        (lambda: [["a"]] * count, "gave <U1"),
        (lambda: [[0.0], [0.0, 1.0]], "raises ValueError"),
        (fail(ValueError("bad\nluck")), "raises ValueError: bad$"),
        (fail(MemoryError()), "raises MemoryError"),
        (fail(ZeroDivisionError("by zero")), "raises ZeroDivisionError: by zero"),
        (fail(OSError(errno.ENOSPC, "full")), "raises OSError"),
        (fail(UserError("it is in Klingon")), "it is in Klingon"),
    ]


@pytest.mark.parametrize(("answer", "complaint"), answers(50))
def test_a_teacher_that_does_anything(tmp_path: Path, answer: Callable[[], object], complaint: str) -> None:
    write_wav(tmp_path / "bad.wav", noise(1))
    write_wav(tmp_path / "good.wav", noise(2))

    class Moody(Hearing):
        def curves(self, utterance: Utterance) -> np.ndarray:
            return answer() if utterance.path.name == "bad.wav" else super().curves(utterance)  # type: ignore[return-value, union-attr]

    made, summary = labels.label(corpus.find([tmp_path / "*.wav"]), Moody(), tmp_path / "l")
    assert [entry.source for entry in made.entries] == ["good.wav"]
    ((path, reason),) = summary.skipped
    assert path == str(tmp_path / "bad.wav")
    assert path in reason
    with pytest.raises(UserError, match=complaint):
        labels.label([corpus.Source(tmp_path / "bad.wav")], Moody(), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_missing_package_stops_the_run(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(1))

    class Bare(Hearing):
        def curves(self, _: Utterance) -> np.ndarray:
            raise MissingExtra("this teacher", "teacher", "hama")

    with pytest.raises(MissingExtra):
        labels.label([corpus.Source(tmp_path / "a.wav")], Bare(), tmp_path / "l")


def test_what_else_a_teacher_depends_on_is_in_the_key(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(1))
    source = [corpus.Source(tmp_path / "a.wav")]

    class Reader(Hearing):
        about = "first"

        def evidence(self, path: Path) -> str:
            assert path == source[0].path
            return self.about

    first, second = Reader(), Reader()
    labels.label(source, first, tmp_path / "l")
    second.about = "second"
    assert labels.label(source, second, tmp_path / "l")[1].done == 1
    assert labels.label(source, second, tmp_path / "l")[1].cached == 1


# Splits


def test_the_same_audio_is_never_in_two_splits(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(1))
    shutil.copy(tmp_path / "a.wav", tmp_path / "b.wav")
    shutil.copy(tmp_path / "a.wav", tmp_path / "c.wav")
    a, b, c = corpus.find([tmp_path])
    made, summary = labels.label(
        [a, dataclasses.replace(b, split=corpus.HELD_OUT), c], Hearing(), tmp_path / "l", strict=True
    )
    assert [(entry.source, entry.split) for entry in made.entries] == [("a.wav", "train"), ("c.wav", "train")]
    ((path, reason),) = summary.skipped
    assert path == str(tmp_path / "b.wav")
    assert "holds the same as 'a.wav', which is in the split 'train'" in reason


# Disks that fill up, and runs that are killed

KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from distill.corpus import sources as corpus
from distill.labels import cache as labels

class Slow:
    name, version, controls = "slow", "1", ("level",)
    def curves(self, utterance):
        time.sleep(0.02)
        return np.full((-(-len(utterance.audio) // 320), 1), len(utterance.audio) / 1e6, np.float32)

if __name__ == "__main__":
    sources = corpus.find([sys.argv[1]])
    print("begun", flush=True)
    labels.label(sources, Slow(), Path(sys.argv[2]), jobs=int(sys.argv[3]))
    print("ended", flush=True)
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve short files, and one of three pieces."""
    folder = tmp_path_factory.mktemp("clips")
    for index in range(12):
        write_wav(folder / f"{index:02}.wav", noise(0.2 + index / 20, index))
    write_wav(folder / "long.wav", noise(62))
    return folder


def script(tmp_path: Path) -> Path:
    (tmp_path / "killed.py").write_text(KILLED)
    return tmp_path / "killed.py"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("jobs", "waits"), [(1, (0.02, 0.12, 0.25)), (2, (0.7,))])
def test_killed_at_any_moment(tmp_path: Path, clips: Path, jobs: int, waits: tuple[float, ...]) -> None:
    """Killed again and again, the run goes on each time and ends with the bytes of one that was left alone."""
    command = [sys.executable, str(script(tmp_path)), str(clips), str(tmp_path / "l"), str(jobs)]
    environment = os.environ | {"PYTHONPATH": str(Path(labels.__file__).parents[2])}
    for wait in waits:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout
            assert process.stdout.readline() == "begun\n"
            time.sleep(wait)
            os.kill(process.pid, signal.SIGKILL)
        for path in (tmp_path / "l").glob("??/*.npz"):
            with np.load(path, allow_pickle=False) as file:
                assert len(file["curves"]) == -(-len(file["audio"]) // 320)
    teacher = runpy.run_path(str(tmp_path / "killed.py"))["Slow"]()
    for folder in ("l", "alone"):
        labels.label(corpus.find([clips]), teacher, tmp_path / folder)
    assert contents(tmp_path / "l") == contents(tmp_path / "alone")  # nothing half-written is left either
    assert len(labels.load(tmp_path / "l").entries) == 15


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_jobs_end_with_their_parent(tmp_path: Path, clips: Path) -> None:
    folder = tmp_path / "l"
    command = [sys.executable, str(script(tmp_path)), str(clips), str(folder), "2"]
    environment = os.environ | {"PYTHONPATH": str(Path(labels.__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        while process.poll() is None and not list(folder.glob("??/*.npz")):
            time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(process.pid, signal.SIGKILL)
    late = time.monotonic() + 20
    while any(Path(f"/proc/{child}/status").exists() for child in children) and time.monotonic() < late:
        time.sleep(0.05)
    assert len(children) >= 2
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


def test_a_full_disk_stops_the_run_and_leaves_nothing_half_written(tmp_path: Path, clips: Path) -> None:
    """RLIMIT_FSIZE is a disk that has room for short files only; the long one's pieces are a megabyte."""
    sources = corpus.find([clips])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UserError, match=r"cannot write: File too large; make room.*goes on where it stopped"):
            labels.label(sources, Hearing(), tmp_path / "l")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(list((tmp_path / "l").rglob("*.npz"))) == 12
    assert not (tmp_path / "l" / labels.INDEX).exists()
    assert all(path.name.endswith(".npz") for path in (tmp_path / "l").rglob("*") if path.is_file())
    rest = Hearing()
    assert labels.label(sources, rest, tmp_path / "l")[1].cached == 12
    assert len(rest.heard) == 3


def test_no_room_for_the_index(tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(data: object, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    made, _ = labels.label(corpus.find([clips / "*0*.wav"]), Hearing(), tmp_path / "l")
    monkeypatch.setattr("compile.files.os.replace", full)
    with pytest.raises(UserError, match="cannot write: No space left on device"):
        labels.label(corpus.find([clips]), Hearing(), tmp_path / "l")
    monkeypatch.undo()
    assert labels.load(tmp_path / "l") == made


def test_a_folder_that_cannot_be_one(tmp_path: Path, clips: Path) -> None:
    (tmp_path / "l").write_text("a file")
    with pytest.raises(UserError, match="cannot create the folder"):
        labels.label(corpus.find([clips]), Hearing(), tmp_path / "l")


# Several processes


def test_two_jobs_make_what_one_makes(tmp_path: Path, clips: Path) -> None:
    garbage(tmp_path / "bad")
    sources = corpus.find([clips, tmp_path / "bad" / "*.wav"])
    alone, one = labels.label(sources, Hearing(), tmp_path / "alone")
    seen: list[tuple[int, int]] = []
    together, two = labels.label(sources, Hearing(), tmp_path / "two", jobs=2, progress=lambda *done: seen.append(done))
    assert contents(tmp_path / "two") == contents(tmp_path / "alone")
    assert together.entries == alone.entries
    assert two == one
    assert list(dict.fromkeys(seen)) == [(done, len(sources)) for done in range(len(sources) + 1)]


class Fatal(Hearing):
    def curves(self, utterance: Utterance) -> np.ndarray:
        if utterance.path.name == "long.wav":  # type: ignore[union-attr]
            os.kill(os.getpid(), signal.SIGKILL)
        return super().curves(utterance)


def test_a_job_that_dies(tmp_path: Path, clips: Path) -> None:
    with pytest.raises(UserError, match="a process of --jobs died"):
        labels.label(corpus.find([clips]), Fatal(), tmp_path / "l", jobs=2)
    assert labels.label(corpus.find([clips]), Hearing(), tmp_path / "l")[1].cached == 12


def test_a_job_that_cannot_write(tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "l").mkdir()
    first, _ = labels.label(corpus.find([clips / "00.wav"]), Hearing(), tmp_path / "m")
    (tmp_path / "l" / first.entries[0].key[:2]).write_text("in the way")
    with pytest.raises(UserError, match="cannot write: File exists"):
        labels.label(corpus.find([clips]), Hearing(), tmp_path / "l", jobs=2)


def test_texts_are_taken_where_they_fit_and_said_where_not(spoken, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("hama")
    own, other = spoken[4], spoken[5]
    sources = [
        corpus.Source(own.path, text=own.text, language=own.language),
        corpus.Source(own.path, text=other.text, language=own.language),
        corpus.Source(own.path, language=own.language),
    ]
    made, summary = labels.label(sources, PhoneticTeacher(), tmp_path / "l")
    assert not any(entry.exact for entry in made.entries)
    assert len({entry.key for entry in made.entries}) == 3, "labels depend on the text"
    told, lied, alone = (made.phones(entry) for entry in made.entries)
    recognised = [made.recognised(entry) for entry in made.entries]
    assert told
    assert told != recognised[0]
    assert lied == alone == recognised[0] == recognised[1] == recognised[2]
    assert [name for name, _ in summary.remarks] == [str(own.path)]
    assert "its text is not used, but what is heard: it does not fit" in summary.remarks[0][1]
    again = labels.label(sources, PhoneticTeacher(), tmp_path / "l")
    assert again[0] == made
    assert again[1].cached == 3
    assert again[1].remarks == summary.remarks, "also where the labels were there"


def test_the_text_of_a_long_file_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    pytest.importorskip("hama")
    write_wav(tmp_path / "long.wav", np.zeros(31 * SAMPLE_RATE, np.int16) + np.int16(40))
    source = corpus.Source(tmp_path / "long.wav", text="One two three.", language="en")
    made, summary = labels.label([source], PhoneticTeacher(), tmp_path / "l")
    assert len(made.entries) == 2
    assert "longer than 30 s" in summary.remarks[0][1]
