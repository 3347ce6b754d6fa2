"""Curves, sound and head as a page carries them: small, and near enough that nobody sees or hears the difference.

Everything is little-endian and leaves as base64. A curve of control ``c`` is ``low + q * step`` with ``q`` uint16 and
``step`` a 65,535th of its range, so it is wrong by at most half a step: 0.0000077 for a control that goes from 0 to 1.
A control that never moves is its value, and no bytes.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.animation.view.openness import openness
from distill.animation.view.takes import Take
from distill.audio import SAMPLE_RATE, wav_of

if TYPE_CHECKING:
    from distill.animation.head import Head

STEPS = 65_535
PEAKS = 100  # of the waveform, a second
_SHAPE_STEPS = 32_767


@dataclass(frozen=True)
class Packed:
    """Facts for JSON, and the bytes that they describe."""

    facts: dict[str, Any]
    data: bytes

    @property
    def text(self) -> str:
        """The bytes in base64."""
        return base64.b64encode(self.data).decode()


def pack_take(take: Take) -> Packed:
    """Curve after curve, those that move: uint16 ``[moving, frames]``."""
    curves = take.curves.astype(np.float64)
    low, high = curves.min(axis=0), curves.max(axis=0)
    moves = high > low
    step = np.where(moves, (high - low) / STEPS, 0.0)
    counted = np.round((curves[:, moves] - low[moves]) / step[moves])
    facts = {
        "name": take.name,
        "frames": len(curves),
        "rate": take.frame_rate,
        "start": take.start,
        "controls": list(take.controls),
        "low": low.tolist(),
        "step": step.tolist(),
    }
    return Packed(facts, counted.T.astype("<u2").tobytes())


def pack_sound(samples: NDArray[np.int16]) -> Packed:
    """Mono 16 kHz as FLAC, which every browser plays and which loses nothing; without PyAV as WAV, twice as large.

    FLAC and not what is smaller: MP3, AAC and Opus begin with a delay that browsers take off differently, and lips are
    judged to a hundredth of a second.
    """
    slices = -(-len(samples) * PEAKS // SAMPLE_RATE)
    padded = np.zeros(slices * SAMPLE_RATE // PEAKS, np.int32)
    padded[: len(samples)] = np.abs(samples.astype(np.int32))
    peaks = padded.reshape(slices, -1).max(axis=1) >> 7
    drawn = base64.b64encode(peaks.clip(0, 255).astype(np.uint8).tobytes()).decode()
    flac = _flac(samples)
    kind, data = ("audio/wav", wav_of(samples)) if flac is None else ("audio/flac", flac)
    return Packed({"type": kind, "peaks": drawn, "peak_rate": PEAKS}, data)


def _flac(samples: NDArray[np.int16]) -> bytes | None:
    try:
        import av
    except ModuleNotFoundError:
        return None
    file = io.BytesIO()
    with av.open(file, "w", format="flac", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE)
        stream.codec_context.layout, stream.codec_context.format = "mono", "s16"
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for given in (frame, None):
            container.mux(stream.encode(given))
    return file.getvalue()


def pack_head(head: Head) -> Packed:
    """The mesh, in two bytes a number.

    uint16 positions ``[V, 3]``; uint16 triangles, part by part; of each shape its uint16 vertices ``[n]`` and int16
    offsets ``[n, 3]``; and last, how open vertices are, uint8 ``[V, 2]``. Positions are wrong by at most a 131,070th of
    the head's size: two thousandths of a millimetre.

    Raises:
        UserError: it has more vertices than uint16 can name.
    """
    vertices = head.vertices.astype(np.float64)
    if len(vertices) > 65_536:
        raise UserError(f"a page's head has at most 65,536 vertices, not {len(vertices):,}")
    low = vertices.min(axis=0)
    step = (vertices.max(axis=0) - low) / STEPS
    blocks: list[NDArray[Any]] = [np.round((vertices - low) / step).astype("<u2")]
    blocks += [part.triangles.astype("<u2") for part in head.parts]
    shapes = []
    for shape in head.shapes:
        scale = float(np.abs(shape.offsets).max(initial=0.0)) / _SHAPE_STEPS or 1.0
        shapes.append({"name": shape.name, "count": len(shape.indices), "step": scale})
        blocks += [shape.indices.astype("<u2"), np.round(shape.offsets.astype(np.float64) / scale).astype("<i2")]
    blocks.append(openness(head))
    facts = {
        "vertices": len(vertices),
        "low": low.tolist(),
        "step": step.tolist(),
        "parts": [
            {"name": part.name, "colour": [float(channel) for channel in part.colour], "count": part.triangles.size}
            for part in head.parts
        ],
        "shapes": shapes,
    }
    return Packed(facts, b"".join(block.tobytes() for block in blocks))
