"""The control names and the CSV layout, against a header copied from a Live Link Face recording."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import controls

RECORDED_HEADER = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,"
    "EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,EyeSquintRight,"
    "EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,"
    "MouthSmileLeft,MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,"
    "MouthStretchLeft,MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,"
    "MouthPressLeft,MouthPressRight,MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,"
    "BrowDownLeft,BrowDownRight,BrowInnerUp,BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,CheekSquintLeft,"
    "CheekSquintRight,NoseSneerLeft,NoseSneerRight,TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,"
    "LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def some_curves(frames: int) -> np.ndarray:
    return np.random.default_rng(0).random((frames, 52)).astype(np.float32)


def test_columns_are_those_of_a_recording(tmp_path: Path) -> None:
    controls.write_csv(tmp_path / "take.csv", some_curves(3), 50.0)
    assert (tmp_path / "take.csv").read_text().splitlines()[0] == RECORDED_HEADER
    assert len(set(controls.ARKIT)) == 52


def test_each_value_stands_under_its_name(tmp_path: Path) -> None:
    curves = some_curves(2)
    controls.write_csv(tmp_path / "take.csv", curves, 50.0)
    with (tmp_path / "take.csv").open() as file:
        rows = list(csv.DictReader(file))
    for index, name in enumerate(controls.ARKIT):
        column = name[0].upper() + name[1:]
        assert float(rows[1][column]) == pytest.approx(float(curves[1, index]), abs=5e-7)  # six decimals are written
    assert rows[0]["BlendShapeCount"] == "61"
    assert float(rows[0]["RightEyeRoll"]) == 0


@pytest.mark.parametrize(
    ("rate", "frame", "timecode"),
    [
        (30.0, 0, "00:00:00:00.000"),
        (30.0, 29, "00:00:00:29.000"),
        (30.0, 30, "00:00:01:00.000"),
        (59.94, 61, "00:00:01:01.000"),  # counted at the next whole rate
        (2.0, 3661 * 2 + 1, "01:01:01:01.000"),
    ],
)
def test_timecodes_count_frames_of_the_rate(tmp_path: Path, rate: float, frame: int, timecode: str) -> None:
    controls.write_csv(tmp_path / "take.csv", np.zeros((frame + 1, 52), np.float32), rate)
    last = (tmp_path / "take.csv").read_text().splitlines()[-1]
    assert last.split(",", 1)[0] == timecode


def test_round_trip(tmp_path: Path) -> None:
    curves = some_curves(75)
    controls.write_csv(tmp_path / "take.csv", curves)
    np.testing.assert_allclose(controls.read_csv(tmp_path / "take.csv"), curves, atol=5e-7)


def test_columns_are_found_by_name_whatever_their_order(tmp_path: Path) -> None:
    curves = some_curves(2)
    controls.write_csv(tmp_path / "take.csv", curves)
    table = [line.split(",") for line in (tmp_path / "take.csv").read_text().splitlines()]
    turned = "\n".join(",".join(reversed(row)) for row in table)
    (tmp_path / "turned.csv").write_text(turned)
    np.testing.assert_allclose(controls.read_csv(tmp_path / "turned.csv"), curves, atol=5e-7)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column eyeBlinkLeft"),
        ("a,b\n1,2\n", "no column eyeBlinkLeft"),
        (RECORDED_HEADER.replace("JawOpen", "Jaw"), "no column jawOpen"),
        (RECORDED_HEADER + "\n0,61," + "x," * 61, "line 2"),
        (RECORDED_HEADER + "\n0,61,0.5\n", "line 2"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=complaint) as caught:
        controls.read_csv(path)
    assert "bad.csv" in str(caught.value)


@pytest.mark.parametrize("curves", [np.zeros((3, 51), np.float32), np.full((3, 52), np.nan, np.float32)])
def test_what_is_no_face_is_not_written(tmp_path: Path, curves: np.ndarray) -> None:
    with pytest.raises(UserError, match="finite curves"):
        controls.write_csv(tmp_path / "take.csv", curves)
    assert not list(tmp_path.iterdir())


def test_a_table_of_any_rig(tmp_path: Path) -> None:
    curves = np.array([[0.5, -3.25], [1e-7, 12.0], [0.25, 0.0]], np.float32)
    controls.write_table(tmp_path / "take.csv", curves, ("jaw, left", "brow"), 24.0)
    assert (tmp_path / "take.csv").read_text().splitlines() == [
        'seconds,"jaw, left",brow',
        "0.000000,0.500000,-3.250000",
        "0.041667,0.000000,12.000000",
        "0.083333,0.250000,0.000000",
    ]
    with pytest.raises(UserError, match=r"finite curves \[frames, 3\]"):
        controls.write_table(tmp_path / "other.csv", curves, ("a", "b", "c"))
    assert not (tmp_path / "other.csv").exists()


def test_lips_are_measured_where_there_are_all_three() -> None:
    assert controls.has_lips(controls.ARKIT)
    assert controls.has_lips(("mouthPressRight", "jaw", "mouthClose", "mouthPressLeft"))
    assert not controls.has_lips(("mouthPressRight", "mouthClose"))
