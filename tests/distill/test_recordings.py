"""Ready-made curves: the layouts that are out there, and what is wrong with the ones that are not right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import recordings
from distill.animation.formats import write
from distill.controls import ARKIT, LIVE_LINK_FACE


def shapes(frames: int, rate: float) -> np.ndarray:
    """Smooth curves, other ones for each control, in [0.1, 0.9]."""
    time = np.arange(frames)[:, None] / rate
    return (0.5 + 0.4 * np.sin(2 * np.pi * (0.3 + 0.02 * np.arange(52)) * time)).astype(np.float32)


def timecode(clock: float, rate: int, separator: str = ":") -> str:
    """A clock in seconds as Live Link Face writes it."""
    whole, part = divmod(round(clock * rate * 1000), rate * 1000)
    whole %= 86_400
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{separator}{part / 1000:06.3f}"


def live_link(path: Path, curves: np.ndarray, times: list[str], head: tuple[str, ...] = LIVE_LINK_FACE) -> Path:
    """A recording as the app writes it: 61 values a row."""
    rows = [",".join(head)]
    for time, frame in zip(times, curves, strict=True):
        rows.append(",".join([time, "61", *(f"{value:.8f}" for value in frame), *["0.1"] * (len(head) - 54)]))
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 60, 100, 120])
@pytest.mark.parametrize("start", [0.0, 16 * 3600 + 38 * 60 + 25.31, 86_398.9])
def test_the_timecodes_tell_the_rate_whatever_the_clock(rate: int, start: float, tmp_path: Path) -> None:
    curves = shapes(3 * rate, rate)
    times = [timecode(round(start * rate) / rate + index / rate, rate) for index in range(len(curves))]
    recording = recordings.read(live_link(tmp_path / "take.csv", curves, times))
    np.testing.assert_allclose(recording.times, np.arange(len(curves)) / rate, atol=1e-9)
    np.testing.assert_allclose(recording.curves, curves, atol=1e-7)
    assert recording.controls == ARKIT


def test_dropped_frames_keep_their_times(tmp_path: Path) -> None:
    curves, kept = shapes(240, 60), [index for index in range(240) if index % 7 != 3]
    path = live_link(tmp_path / "take.csv", curves[kept], [timecode(index / 60, 60, ";") for index in kept])
    recording = recordings.read(path)
    np.testing.assert_allclose(recording.times, np.array(kept) / 60, atol=1e-9)


def test_fractions_of_frames(tmp_path: Path) -> None:
    clock = [index / 60 + 0.0031 for index in range(150)]
    recording = recordings.read(live_link(tmp_path / "take.csv", shapes(150, 60), [timecode(at, 60) for at in clock]))
    np.testing.assert_allclose(recording.times, np.array(clock) - clock[0], atol=2e-5)  # a thousandth of a frame


ANY_RATE = (1, 1.5, 2, 10, 22.5, 23, 23.0001, 23.976, 24, 24.0001, 25, 29, 29.97, 30, 33, 37.0001, 47, 48, 49, 50)
ANY_RATE += (59, 59.94, 60, 89, 90, 99, 100, 119, 120, 239, 240, 999.5, 1000)


@pytest.mark.parametrize("seconds", [1.2, 7.3])
@pytest.mark.parametrize("rate", ANY_RATE)
def test_what_phiz_writes_it_reads(rate: float, seconds: float, tmp_path: Path) -> None:
    frames = max(int(seconds * rate), int(rate) + 2)  # past a second: of less, codes do not tell the rate
    curves = shapes(frames, rate)
    write(tmp_path / "take.csv", curves, ARKIT, rate)
    recording = recordings.read(tmp_path / "take.csv")
    finest = 0.001 / np.ceil(rate)  # a thousandth of a frame, of which time codes give the nearest
    np.testing.assert_allclose(recording.times, np.arange(frames) / rate, atol=finest / 2 + 1e-9, rtol=0)
    np.testing.assert_allclose(recording.curves, curves, atol=5e-7)


@pytest.mark.parametrize("rate", [23, 24, 59, 60, 120])
def test_dropped_frames_do_not_hide_the_rate(rate: int, tmp_path: Path) -> None:
    """A third is lost, by chance, over ten seconds: also frames before the second turns."""
    kept = np.random.default_rng(rate).choice(10 * rate, 20 * rate // 3, replace=False)
    kept.sort()
    path = live_link(tmp_path / "take.csv", shapes(10 * rate, rate)[kept], [timecode(at / rate, rate) for at in kept])
    np.testing.assert_allclose(recordings.read(path).times, (kept - kept[0]) / rate, atol=1e-9)


def test_other_orders_prefixes_and_plain_seconds(tmp_path: Path) -> None:
    curves = shapes(40, 30)
    order = list(range(51, -1, -1))
    head = ("frame", "timeCode", *(f"blendShapes.{ARKIT[index][0].upper()}{ARKIT[index][1:]}" for index in order))
    rows = [",".join([str(k), f"{k / 30:.6f}", *(f"{curves[k, index]:.6f}" for index in order)]) for k in range(40)]
    (tmp_path / "take.csv").write_text("\ufeff" + "\r\n".join([",".join(head), *rows, ""]))
    recording = recordings.read(tmp_path / "take.csv")
    np.testing.assert_allclose(recording.times, np.arange(40) / 30, atol=1e-6)
    np.testing.assert_allclose(recording.curves, curves, atol=1e-6)


def test_a_table_of_any_rig(tmp_path: Path) -> None:
    (tmp_path / "take.csv").write_text('Seconds,"jaw, left", brow\n0,0.5,-3\n0.04,1e9,0\n\n0.1,0,0\n')
    recording = recordings.read(tmp_path / "take.csv")
    assert recording.controls == ("jaw, left", "brow")
    np.testing.assert_array_equal(recording.times, [0, 0.04, 0.1])
    np.testing.assert_array_equal(recording.curves, np.array([[0.5, -3], [1e9, 0], [0, 0]], np.float32))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seconds\n0\n", "not a Live Link Face recording: no column Timecode; .*call the first column seconds"),
        ("a,seconds\n0,0\n", "no column Timecode"),
        ("seconds,a,a\n0,1,2\n", "different names"),
        ("seconds,a,\n0,1,2\n", "different names"),
        ("seconds,a\n0,nan\n", "line 2 has a value that is no number"),
        ("seconds,a\n0,1e39\n", "line 2 has a value that is no number"),
        ("seconds,a\n0,x\n", "line 2 has a value that is no number"),
        ("seconds,a,b\n0,1\n", "line 2 has fewer columns"),
        ("seconds,a\nx,1\n", "line 2 has no timecode but 'x'"),
        ("seconds,jawOpen\n0,50\n", "line 2 has a shape outside of 0 to 1"),
        ("seconds,a\n0,1\n0,2\n", "time stands still: all of its 2 frames have the same time"),
        ("seconds,a\n0,1\n0.0009,2\n0.0018,2\n0.0019,2\n", "it has 1,579 frames a second, and at most 1000 are read"),
        ("seconds,a\n0,1\n0.02,2\n0.04,2\n0.6,2\n", "0.56 seconds are missing after frame 3"),
        ("seconds,a\n0,1\n1,2\n3,2\n4,2\n", "2.00 seconds are missing after frame 2"),
    ],
)
def test_tables_of_rigs_that_are_wrong(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "take.csv").write_text(text)
    with pytest.raises(UserError, match=complaint):
        recordings.read(tmp_path / "take.csv")


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_npz(dtype: type, tmp_path: Path) -> None:
    curves = shapes(77, 30)[:, :3].astype(dtype)
    np.savez(tmp_path / "take.npz", curves=curves, frame_rate=30, controls=["a", "b", "c"])
    recording = recordings.read(tmp_path / "take.npz")
    assert recording.controls == ("a", "b", "c")
    np.testing.assert_array_equal(recording.curves, curves.astype(np.float32))
    np.testing.assert_allclose(recording.at(np.array([-1.0, 0.5 / 30, 99.0])), curves[[0, 0, -1]], atol=0.06)
    middle = (curves[3].astype(np.float64) + curves[4].astype(np.float64)) / 2
    np.testing.assert_allclose(recording.at(np.array([3.5 / 30]))[0], middle, atol=1e-6)


ROW = ["00:00:00:00.000", "61", *["0.5"] * 61]
NEXT = ["00:00:01:00.000", "61", *["0.5"] * 61]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "it has no frames"),
        ([ROW], "^((?!Traceback).)*$"),
        ([["00:00:00:07.000", *ROW[1:]]], "do not tell its frame rate"),
        ([[*ROW[:9], "nan", *ROW[10:]]], "line 2 has a shape outside"),
        ([ROW, [*ROW[:9], "", *ROW[10:]]], "line 3 has a value that is no number"),
        ([[*ROW[:9], "50", *ROW[10:]]], "export weights, not percent"),
        ([ROW[:20]], "line 2 has fewer columns"),
        ([["soon", *ROW[1:]]], "line 2 has no timecode but 'soon'"),
        ([["nan", *ROW[1:]]], "line 2 has no timecode"),
        ([["00:99:00:00", *ROW[1:]]], "line 2 has no timecode"),
        ([NEXT, ROW], "frame 2 is earlier"),
        ([ROW, ["00:00:09:01.000", *ROW[1:]]], "seconds are missing after frame 1"),
        ([["x" * 200_000, *ROW[1:]]], "not a CSV"),
    ],
)
def test_bad_rows(rows: list[list[str]], message: str, tmp_path: Path) -> None:
    path = tmp_path / "take.csv"
    path.write_text("\n".join(",".join(row) for row in [list(LIVE_LINK_FACE), *rows]))
    if rows == [ROW]:  # a single frame at a whole second is a recording
        assert recordings.read(path).curves.shape == (1, 52)
        return
    with pytest.raises(UserError, match=message) as caught:
        recordings.read(path)
    assert "take.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "no column Timecode"), (b"\xff\xfe\x00\x01", "not a CSV"), (b"a,b\n1,2\n", "no column")]
)
def test_bad_files(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "take.csv").write_bytes(data)
    with pytest.raises(UserError, match=message):
        recordings.read(tmp_path / "take.csv")
    with pytest.raises(UserError, match="no such file"):
        recordings.read(tmp_path / "none.csv")


GOOD = {"curves": np.full((9, 2), 0.5, np.float32), "frame_rate": np.float64(30), "controls": np.array(["a", "b"])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"curves": np.zeros((0, 2))}, "not .frames, controls."),
        ({"curves": np.zeros(9)}, "not .frames, controls."),
        ({"curves": np.zeros((9, 2), complex)}, "not .frames, controls."),
        ({"curves": np.array([[0, 0], [np.nan, 0]])}, "frame 1 of 'curves' is NaN"),
        ({"curves": np.full((3, 2), 1e300)}, "frame 0 of 'curves' is NaN or infinite"),
        ({"controls": np.array(["a"])}, "2 different names"),
        ({"controls": np.array(["a", "a"])}, "2 different names"),
        ({"controls": np.array(["a", ""])}, "2 different names"),
        ({"controls": np.array([1, 2])}, "2 different names"),
        ({"controls": np.array(["jawOpen", "tongueOut"]), "curves": np.full((3, 2), 50.0)}, "not percent"),
        ({"frame_rate": np.float64(0)}, "'frame_rate' is no number"),
        ({"frame_rate": np.float64(np.nan)}, "'frame_rate' is no number"),
        ({"frame_rate": np.array("30")}, "'frame_rate' is no number"),
        ({"frame_rate": np.array([30, 30])}, "'frame_rate' is no number"),
    ],
)
def test_bad_npz(change: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "take.npz", **(GOOD | change))
    with pytest.raises(UserError, match=message):
        recordings.read(tmp_path / "take.npz")
    np.savez(tmp_path / "take.npz", **{name: value for name, value in GOOD.items() if name not in change})
    with pytest.raises(UserError, match="it has no array"):
        recordings.read(tmp_path / "take.npz")


def test_any_times_of_a_long_recording(tmp_path: Path) -> None:
    draw = np.random.default_rng(6)
    times = np.cumsum(draw.uniform(0, 0.03, 2000))
    recording = recordings.Recording(times, draw.random((2000, 2)).astype(np.float32), ("a", "b"))
    for low, high, count in ((-5, -4, 3), (99, 100, 3), (3, 4, 50), (-1, 99, 500), (times[7], times[7], 1), (0, 0, 0)):
        asked = draw.permutation(np.linspace(low, high, count))
        for column in range(2):
            expected = np.interp(asked, times, recording.curves[:, column])
            np.testing.assert_allclose(recording.at(asked)[:, column], expected, atol=1e-6)
