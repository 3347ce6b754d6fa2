"""The control names, against a header copied from a Live Link Face recording."""

from __future__ import annotations

import numpy as np

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


def test_columns_are_those_of_a_recording() -> None:
    assert ",".join(controls.LIVE_LINK_FACE) == RECORDED_HEADER
    assert len(set(controls.ARKIT)) == 52


def test_lips_are_measured_where_there_are_all_three() -> None:
    assert controls.has_lips(controls.ARKIT)
    assert controls.has_lips(("mouthPressRight", "jaw", "mouthClose", "mouthPressLeft"))
    assert not controls.has_lips(("mouthPressRight", "mouthClose"))


def test_lips_of_a_rig_do_not_cross() -> None:
    names = ("mouthClose", "other", "jawOpen")
    curves = np.array([[0.4, 1.0, 0.05], [0.2, 1.0, 0.3], [0.4, 1.0, -0.1]], np.float32)
    given = curves.copy()
    assert (
        controls.worn(curves, names).tolist()
        == np.array([[0.05, 1, 0.05], [0.2, 1, 0.3], [0, 1, -0.1]], np.float32).tolist()
    )
    assert controls.worn(curves[0], names).tolist() == controls.worn(curves, names)[0].tolist()  # a frame alone
    assert np.array_equal(curves, given)
    assert controls.worn(curves, ("a", "b", "jawOpen")) is curves
