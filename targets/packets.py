"""Frames of a face as UDP datagrams that engines listen for.

``livelink``: what the app Live Link Face sends to Unreal's Live Link, version 6; by default to port 11111::

    int32 little-endian   6
    37 bytes              a device's id: $ and a UUID
    int32, bytes          length of the subject's name, and the name in UTF-8
    int32, float32        frame, and part of a frame
    int32, int32          frames a second, as a fraction
    uint8                 61
    61 x float32          52 blendshapes in ARKit's order, then head, left eye, right eye: yaw, pitch, roll

All but the first are big-endian. Source: PyLiveLinkFace by Jim West (MIT), which took it from the app's own traffic.

``osc``: an Open Sound Control 1.0 bundle (opensoundcontrol.org) with one message ``/phiz/NAME`` of one float a control,
and ``/phiz/time`` with the seconds of the frame as a double.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

LIVE_LINK_PORT, OSC_PORT = 11111, 9000
_VERSION, _VALUES = 6, 61


def live_link_face(subject: str, number: int, frame_rate: Fraction, controls: NDArray[np.float32]) -> bytes:
    """A datagram of Live Link Face.

    Args:
        subject: as it will be listed in the engine.
        number: of the frame, from 0.
        frame_rate: frames a second.
        controls: ``[52]`` in ARKit's order; head and eyes rest.
    """
    name = subject.encode()
    device = f"${uuid.uuid5(uuid.NAMESPACE_OID, subject)}".upper().encode()
    head = struct.pack("<i", _VERSION) + device + struct.pack("!i", len(name)) + name
    time = struct.pack("!ifiiB", number, 0.0, frame_rate.numerator, frame_rate.denominator, _VALUES)
    values = np.zeros(_VALUES, ">f4")
    values[: len(controls)] = controls
    return head + time + values.tobytes()


def osc(names: Sequence[str], time: float, controls: NDArray[np.float32]) -> bytes:
    """A bundle of Open Sound Control.

    Args:
        names: of the controls.
        time: of the frame, seconds.
        controls: ``[len(names)]``.
    """
    messages = [_padded(b"/phiz/time") + _padded(b",d") + struct.pack("!d", time)]
    messages += [
        _padded(f"/phiz/{name}".encode()) + _padded(b",f") + struct.pack("!f", value)
        for name, value in zip(names, controls.tolist(), strict=True)
    ]
    parts = (struct.pack("!i", len(message)) + message for message in messages)
    return _padded(b"#bundle") + struct.pack("!Q", 1) + b"".join(parts)  # 1: at once


def _padded(text: bytes) -> bytes:
    """Ended by a zero, and filled with zeros to a multiple of four."""
    return text + b"\0" * (4 - len(text) % 4)
