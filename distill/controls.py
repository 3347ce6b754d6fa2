"""The 52 face controls, and the columns of the CSV that artists exchange them in.

The names are ARKit's blendshapes, each in [0, 1]. Their order is the one of Epic's Live Link Face app, whose
recordings are the studios' common currency: left eye, right eye, jaw, mouth, brows, cheeks, nose, tongue.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ARKIT: tuple[str, ...] = (
    "eyeBlinkLeft",
    "eyeLookDownLeft",
    "eyeLookInLeft",
    "eyeLookOutLeft",
    "eyeLookUpLeft",
    "eyeSquintLeft",
    "eyeWideLeft",
    "eyeBlinkRight",
    "eyeLookDownRight",
    "eyeLookInRight",
    "eyeLookOutRight",
    "eyeLookUpRight",
    "eyeSquintRight",
    "eyeWideRight",
    "jawForward",
    "jawRight",
    "jawLeft",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthRight",
    "mouthLeft",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)


# Live Link Face's columns: a time, how many values follow, the shapes with a capital, and nine rotations in radians.
ROTATIONS = tuple(f"{part}{axis}" for part in ("Head", "LeftEye", "RightEye") for axis in ("Yaw", "Pitch", "Roll"))
LIVE_LINK_FACE = ("Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in ARKIT), *ROTATIONS)


LIPS = ("mouthClose", "mouthPressLeft", "mouthPressRight")


def has_lips(controls: Sequence[str]) -> bool:
    """Whether :func:`closure` can be measured with these controls."""
    return set(LIPS) <= set(controls)


def closure(curves: NDArray[np.float32], controls: Sequence[str] = ARKIT) -> NDArray[np.float32]:
    """How far lips close: ``mouthClose`` plus the mean of ``mouthPress``, [...] for ``curves`` [..., controls]."""
    close, left, right = (controls.index(name) for name in LIPS)
    return np.asarray(curves[..., close] + (curves[..., left] + curves[..., right]) / 2, np.float32)


def worn(curves: NDArray[np.float32], controls: Sequence[str]) -> NDArray[np.float32]:
    """Curves ``[..., controls]`` as a rig wears them: ``mouthClose`` never larger than ``jawOpen``.

    In ARKit's terms ``mouthClose`` brings lips back together that ``jawOpen`` parts; more of it pushes them through
    each other. Students say by it how closed the lips are, also over a jaw that is hardly open.
    """
    if not {"jawOpen", "mouthClose"} <= set(controls):
        return curves
    jaw, close = controls.index("jawOpen"), controls.index("mouthClose")
    fitting = curves.copy()
    fitting[..., close] = np.minimum(curves[..., close], np.maximum(curves[..., jaw], 0))
    return fitting
