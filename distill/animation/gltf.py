"""The head and its animation as one binary glTF 2.0 file (``.glb``), which Blender, game engines and web viewers open.

https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html. One mesh with a primitive for each part of the head, the 52
shapes as morph targets (sparse: a shape moves a sixth of the head), and one animation of their weights. All that grows
with the animation comes last in the file, and is written as it is made.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.animation.head import Head, load, normals

# Frames: times are float32, and have to ascend at any rate. Lengths of 32 bits would hold twice as many.
LONGEST = 2**23
TIMES = 2**14  # of which so many are written at once

_FLOAT, _UINT16 = 5126, 5123  # component types, and what buffer views are for
_VERTICES, _INDICES = 34962, 34963
_MAGIC, _VERSION, _JSON, _BIN = 0x46546C67, 2, 0x4E4F534A, 0x004E4942

_ROUGHNESS = {"eyes": 0.15, "irises": 0.15, "pupils": 0.15, "teeth": 0.3, "tongue": 0.4, "mouth": 0.4, "lips": 0.5}
_MATT = 0.7  # all others


def unshown(controls: Sequence[str]) -> tuple[str, ...]:
    """Those of ``controls`` that the head has no shape for."""
    shapes = {shape.name for shape in load().shapes}
    return tuple(name for name in controls if name not in shapes)


def glb(
    blocks: Iterable[NDArray[np.float32]], frames: int, controls: Sequence[str], frame_rate: float, title: str = ""
) -> Iterator[bytes]:
    """The file, piece by piece: as much memory as the head and one block need, however long the animation is.

    Weights are written as they are, also beyond [0, 1]. Shapes without a control rest.

    Args:
        blocks: the curves ``[n, controls]`` float32, in their order; any ``n``.
        frames: of all blocks together; it is written before they are asked for.
        controls: what the columns drive. Those in :func:`unshown` are left out.
        frame_rate: frames a second; the first is at 0 seconds.
        title: the name of the animation.

    Raises:
        UserError: the head shows none of the controls, or there are no frames or more than :data:`LONGEST`; and while
            it is written: a block is not finite or of another shape, or there are more or fewer frames.
    """
    head = load()
    columns = {at: controls.index(shape.name) for at, shape in enumerate(head.shapes) if shape.name in controls}
    if not columns:
        few = ", ".join(controls[:3])
        raise UserError(
            f"the head has no shape of the curves' names ({few}, …), only ARKit's",
            fix="write another format, or rename the curves to ARKit's",
        )
    _check(frames, frame_rate)
    buffer = _Buffer()
    document = _document(head, buffer, frames, frame_rate, title)
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + buffer.size
    header = struct.pack("<5I", _MAGIC, _VERSION, total, len(text), _JSON) + text
    header += struct.pack("<2I", buffer.size, _BIN)
    return _written(
        header, buffer, _weights(blocks, frames, columns, (len(controls), len(head.shapes))), frames, frame_rate
    )


@dataclass
class _Buffer:
    """The binary chunk while it is laid out: what is known of it in ``pieces``, and its views."""

    pieces: list[bytes] = field(default_factory=list)
    views: list[dict[str, int]] = field(default_factory=list)
    size: int = 0

    def add(self, data: bytes, **use: int) -> int:
        """Append bytes, padded to four; the number of their view."""
        self.pieces.append(data + bytes(-len(data) % 4))
        return self.reserve(len(data), **use)

    def reserve(self, length: int, **use: int) -> int:
        """Append a view whose bytes are written later; its number."""
        self.views.append({"buffer": 0, "byteOffset": self.size, "byteLength": length} | use)
        self.size += length + -length % 4
        return len(self.views) - 1


def _document(head: Head, buffer: _Buffer, frames: int, frame_rate: float, title: str) -> dict[str, Any]:
    """The JSON chunk; fills ``buffer`` in the same order."""
    accessors: list[dict[str, Any]] = []

    def accessor(kind: str, component: int, count: int, **more: Any) -> int:
        accessors.append({"componentType": component, "count": count, "type": kind} | more)
        return len(accessors) - 1

    triangles = head.triangles
    vertices = {"target": _VERTICES}
    view = buffer.add(_little(head.vertices, "f4"), **vertices)
    position = accessor("VEC3", _FLOAT, len(head.vertices), bufferView=view, **_extent(head.vertices))
    view = buffer.add(_little(normals(head.vertices, triangles), "f4"), **vertices)
    normal = accessor("VEC3", _FLOAT, len(head.vertices), bufferView=view)

    view = buffer.add(_little(triangles, "u2"), target=_INDICES)
    starts = np.cumsum([0, *(part.triangles.nbytes for part in head.parts)]).tolist()
    indices = [
        accessor("SCALAR", _UINT16, part.triangles.size, bufferView=view, byteOffset=start)
        for part, start in zip(head.parts, starts, strict=False)
    ]

    which = buffer.add(_little(np.concatenate([shape.indices for shape in head.shapes]), "u2"))
    where = buffer.add(_little(np.concatenate([shape.offsets for shape in head.shapes]), "f4"))
    targets, start = [], 0
    for shape in head.shapes:
        count = len(shape.indices)
        sparse = {
            "count": count,
            "indices": {"bufferView": which, "byteOffset": 2 * start, "componentType": _UINT16},
            "values": {"bufferView": where, "byteOffset": 12 * start},
        }
        rest = [np.zeros((1, 3), np.float32)] if count < len(head.vertices) else []
        extent = _extent(np.concatenate([shape.offsets, *rest]))
        targets.append({"POSITION": accessor("VEC3", _FLOAT, len(head.vertices), sparse=sparse, **extent)})
        start += count

    view = buffer.reserve(4 * frames)
    ends = _times(np.array([0, frames - 1]), frame_rate).tolist()
    times = accessor("SCALAR", _FLOAT, frames, bufferView=view, min=ends[:1], max=ends[1:])
    view = buffer.reserve(4 * frames * len(head.shapes))
    weights = accessor("SCALAR", _FLOAT, frames * len(head.shapes), bufferView=view)

    attributes = {"POSITION": position, "NORMAL": normal}
    return {
        "asset": {"version": "2.0", "generator": "phiz", "copyright": "head: MakeHuman and Face Units, CC0 1.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "Head", "mesh": 0}],
        "meshes": [
            {
                "name": "Head",
                "primitives": [
                    {"attributes": attributes, "indices": index, "material": number, "targets": targets}
                    for number, index in enumerate(indices)
                ],
                "weights": [0.0] * len(head.shapes),
                "extras": {"targetNames": [shape.name for shape in head.shapes]},
            }
        ],
        "materials": [
            {
                "name": part.name,
                "pbrMetallicRoughness": {
                    "baseColorFactor": list(part.colour),
                    "metallicFactor": 0.0,
                    "roughnessFactor": _ROUGHNESS.get(part.name, _MATT),
                },
                "doubleSided": True,  # lashes have no thickness, and one can look into the neck
            }
            for part in head.parts
        ],
        "animations": [
            {
                "name": title.encode("utf-8", "replace").decode() or "speech",  # file names may be no text
                "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}],
                "samplers": [{"input": times, "output": weights, "interpolation": "LINEAR"}],
            }
        ],
        "accessors": accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": buffer.size}],
    }


def _check(frames: int, frame_rate: float) -> None:
    if not (math.isfinite(frame_rate) and frame_rate > 0):
        raise UserError(f"a frame rate is a number above 0, not {frame_rate}")
    if frames < 1:
        raise UserError("the animation has no frames", fix="give audio of at least one frame")
    if frames > LONGEST:
        raise UserError(
            f"the animation has {frames:,} frames, and glTF tells only {LONGEST:,} apart",
            fix=f"cut the audio into parts of at most {LONGEST / frame_rate // 3600:.0f} hours",
        )


def _written(
    header: bytes, buffer: _Buffer, weights: Iterator[bytes], frames: int, frame_rate: float
) -> Iterator[bytes]:
    """All of the file: times are computed as they are written, and weights as they come."""
    yield header
    yield from buffer.pieces
    for start in range(0, frames, TIMES):
        yield _little(_times(np.arange(start, min(start + TIMES, frames)), frame_rate), "f4")
    yield from weights


def _weights(
    blocks: Iterable[NDArray[np.float32]], frames: int, columns: Mapping[int, int], widths: tuple[int, int]
) -> Iterator[bytes]:
    """Blocks as wide as there are shapes: ``columns`` says which column each shape has, if any."""
    come = 0
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != widths[0] or not np.isfinite(block).all():
            raise UserError(f"a face needs finite curves [frames, {widths[0]}], not {list(block.shape)}")
        come += len(block)
        if come > frames:
            break
        weights = np.zeros((len(block), widths[1]), np.float32)
        weights[:, list(columns)] = block[:, list(columns.values())]
        yield _little(weights, "f4")
    if come != frames:
        more = "more" if come > frames else f"only {come:,}"
        raise UserError(f"{frames:,} frames of animation were announced, but {more} came")


def _times(frames: NDArray[np.int64], frame_rate: float) -> NDArray[np.float32]:
    return np.asarray(frames / frame_rate, np.float32)


def _extent(values: NDArray[np.float32]) -> dict[str, list[float]]:
    return {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}


def _little(values: NDArray[Any], kind: str) -> bytes:
    return values.astype(f"<{kind}").tobytes()
