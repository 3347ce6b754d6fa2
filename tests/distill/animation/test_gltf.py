"""The ``.glb`` against the glTF 2.0 specification, read by code of its own; section numbers are the specification's."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compile.errors import UserError
from distill.animation.gltf import LONGEST, TIMES, glb, unshown
from distill.animation.head import load, posed
from distill.controls import ARKIT

TYPES = {5123: "<u2", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC3": 3}
FRAMES, RATE = 23, 50.0


@dataclass(frozen=True)
class File:
    """A parsed file: its JSON, and accessors as arrays."""

    document: dict[str, Any]
    binary: bytes

    @classmethod
    def parse(cls, data: bytes) -> File:
        magic, version, length, json_length, json_type = struct.unpack_from("<5I", data)
        assert (magic, version, length) == (0x46546C67, 2, len(data))  # 4.4.2
        assert json_type == 0x4E4F534A
        assert json_length % 4 == 0  # 4.4.3
        text = data[20 : 20 + json_length]
        bin_length, bin_type = struct.unpack_from("<2I", data, 20 + json_length)
        assert bin_type == 0x004E4942
        assert bin_length % 4 == 0
        assert 28 + json_length + bin_length == len(data)
        document = json.loads(text)
        assert document["buffers"] == [{"byteLength": bin_length}]
        return cls(document, data[28 + json_length :])

    def stored(self, view: int, offset: int, component: int, count: int, width: int) -> NDArray[Any]:
        """Elements in a buffer view: aligned, and inside it (3.6.2.4)."""
        dtype = np.dtype(TYPES[component])
        place = self.document["bufferViews"][view]
        size = count * width * dtype.itemsize
        assert (place["byteOffset"] + offset) % dtype.itemsize == 0
        assert offset % dtype.itemsize == 0
        assert offset + size <= place["byteLength"]
        assert place["byteOffset"] + place["byteLength"] <= len(self.binary)
        assert "byteStride" not in place
        return np.frombuffer(self.binary, dtype, count * width, place["byteOffset"] + offset).reshape(count, width)

    def accessor(self, index: int) -> NDArray[Any]:
        what = self.document["accessors"][index]
        width, count = WIDTHS[what["type"]], what["count"]
        if "bufferView" in what:
            values = self.stored(what["bufferView"], what.get("byteOffset", 0), what["componentType"], count, width)
        else:
            values = np.zeros((count, width), TYPES[what["componentType"]])
        if sparse := what.get("sparse"):
            values = values.copy()
            where, given = sparse["indices"], sparse["values"]
            places = self.stored(where["bufferView"], where["byteOffset"], where["componentType"], sparse["count"], 1)
            assert (np.diff(places[:, 0].astype(int)) > 0).all()  # 3.6.2.3
            assert places[-1, 0] < count
            assert not {"target", "byteStride"} & self.document["bufferViews"][where["bufferView"]].keys()
            values[places[:, 0]] = self.stored(
                given["bufferView"], given["byteOffset"], what["componentType"], sparse["count"], width
            )
        assert np.isfinite(values).all()
        for bound, extreme in (("min", values.min(axis=0)), ("max", values.max(axis=0))):
            if bound in what:  # 3.6.2.5: as numbers, not about
                assert what[bound] == extreme.tolist()
        return values


def curves(frames: int = FRAMES, controls: int = len(ARKIT)) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(-0.1, 1.1, (frames, controls)).astype(np.float32)


@pytest.fixture(scope="module")
def file() -> File:
    return File.parse(b"".join(glb([curves()], FRAMES, ARKIT, RATE, "hello")))


def primitives(file: File) -> list[dict[str, Any]]:
    (mesh,) = file.document["meshes"]
    return list(mesh["primitives"])


def test_every_accessor_keeps_the_rules(file: File) -> None:
    for index in range(len(file.document["accessors"])):
        file.accessor(index)
    views = file.document["bufferViews"]
    for before, after in pairwise(views):  # nothing overlaps, nothing lies idle but padding
        assert 0 <= after["byteOffset"] - before["byteOffset"] - before["byteLength"] < 4


def test_positions_have_bounds_and_normals_length_one(file: File) -> None:
    for primitive in primitives(file):
        for position in (primitive["attributes"], *primitive["targets"]):  # 3.7.2.1
            assert {"min", "max"} <= file.document["accessors"][position["POSITION"]].keys()
        normals = file.accessor(primitive["attributes"]["NORMAL"])
        assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 1e-5  # float32


def test_indices_are_the_parts_triangles(file: File) -> None:
    for primitive, part in zip(primitives(file), load().parts, strict=True):
        triangles = file.accessor(primitive["indices"]).reshape(-1, 3)
        assert np.array_equal(triangles, part.triangles)
        assert triangles.max() < 0xFFFF  # 3.7.2.1: the largest value restarts primitives
        material = file.document["materials"][primitive["material"]]
        assert material["name"] == part.name
        assert material["pbrMetallicRoughness"]["baseColorFactor"] == list(part.colour)


def test_the_file_and_the_head_agree_on_every_frame(file: File) -> None:
    mesh = file.document["meshes"][0]
    names = mesh["extras"]["targetNames"]
    assert tuple(names) == ARKIT
    assert mesh["weights"] == [0.0] * 52
    (animation,) = file.document["animations"]
    (channel,), (sampler,) = animation["channels"], animation["samplers"]
    assert channel == {"sampler": 0, "target": {"node": 0, "path": "weights"}}
    assert file.document["nodes"][0]["mesh"] == 0
    assert sampler["interpolation"] == "LINEAR"
    times = file.accessor(sampler["input"])[:, 0]
    assert {"min", "max"} <= file.document["accessors"][sampler["input"]].keys()  # 3.11
    assert np.array_equal(times, np.arange(FRAMES, dtype=np.float32) / np.float32(RATE))
    weights = file.accessor(sampler["output"]).reshape(FRAMES, 52)

    primitive = primitives(file)[0]
    targets = np.stack([file.accessor(target["POSITION"]) for target in primitive["targets"]])
    rest = file.accessor(primitive["attributes"]["POSITION"])
    for frame, row in enumerate(curves()):
        shown = rest + np.tensordot(weights[frame].astype(float), targets, 1)
        expected = posed(load(), dict(zip(ARKIT, row.tolist(), strict=True)))
        assert np.abs(shown - expected).max() < 1e-6  # metres: 52 sums in float32


def test_all_primitives_move_together(file: File) -> None:
    first, *others = primitives(file)
    for other in others:  # 3.7.2.2 wants as many targets in each
        assert (other["attributes"], other["targets"]) == (first["attributes"], first["targets"])


def test_controls_go_by_name_and_others_rest() -> None:
    controls = ("ears", "mouthSmileLeft", "jawOpen")
    assert unshown(controls) == ("ears",)
    values = curves(4, 3)
    file = File.parse(b"".join(glb([values], 4, controls, 30.0)))
    weights = file.accessor(file.document["animations"][0]["samplers"][0]["output"]).reshape(4, 52)
    assert np.array_equal(weights[:, ARKIT.index("jawOpen")], values[:, 2])
    assert np.array_equal(weights[:, ARKIT.index("mouthSmileLeft")], values[:, 1])
    assert np.count_nonzero(weights.any(axis=0)) == 2


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, FRAMES), max_size=5))
def test_blocks_may_be_cut_anywhere(cuts: list[int]) -> None:
    whole = b"".join(glb([curves()], FRAMES, ARKIT, RATE))
    blocks = np.split(curves(), sorted(cuts))
    assert b"".join(glb(blocks, FRAMES, ARKIT, RATE)) == whole


def test_an_hour_is_never_in_memory() -> None:
    frames, block = 3600 * 60, np.zeros((600, 52), np.float32)
    pieces = [len(piece) for piece in glb((block for _ in range(frames // 600)), frames, ARKIT, 60.0)]
    assert max(pieces) < 1_000_000
    assert sum(pieces) > frames * 53 * 4


@pytest.mark.parametrize("title", ["", 'a "quoted" \n name', "ünïcode", "\udcff"])
def test_any_title_is_text(title: str) -> None:
    file = File.parse(b"".join(glb([curves(1)], 1, ARKIT, 60.0, title)))
    name = file.document["animations"][0]["name"]
    assert name
    name.encode()


def blocks(*sizes: int) -> Iterator[NDArray[np.float32]]:
    return (curves(size) for size in sizes)


@pytest.mark.parametrize(("sizes", "words"), [((5, 4), "only 9"), ((5, 6), "more"), ((), "only 0")])
def test_blocks_that_are_not_what_was_announced(sizes: tuple[int, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        list(glb(blocks(*sizes), 10, ARKIT, RATE))


@pytest.mark.parametrize(
    "block", [np.zeros((1, 51), np.float32), np.zeros(52, np.float32), np.full((1, 52), np.nan, np.float32)]
)
def test_a_block_that_is_no_curves(block: NDArray[np.float32]) -> None:
    with pytest.raises(UserError, match="finite curves"):
        list(glb([block], 1, ARKIT, RATE))


@pytest.mark.parametrize(
    ("frames", "controls", "rate", "words"),
    [
        (0, ARKIT, 60.0, "no frames"),
        (10, ("ears", "tail"), 60.0, "no shape"),
        (10, (), 60.0, "no shape"),
        (10, ARKIT, 0.0, "frame rate"),
        (10, ARKIT, float("nan"), "frame rate"),
        (10, ARKIT, float("inf"), "frame rate"),
        (LONGEST + 1, ARKIT, 60.0, "at most 38 hours"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    frames: int, controls: tuple[str, ...], rate: float, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        glb([], frames, controls, rate)


@pytest.mark.parametrize("rate", [1.0, 24.0, 30000 / 1001, 60.0, 63.999, 1000.0])
def test_the_longest_animation_fits_and_its_last_times_ascend(rate: float) -> None:
    pieces = glb([], LONGEST, ARKIT, rate)
    header = next(pieces)
    magic, _, total = struct.unpack_from("<3I", header)
    assert magic == 0x46546C67
    assert LONGEST * 53 * 4 < total < 2**31  # more than some readers take
    *_, times = islice(pieces, 5 + LONGEST // TIMES)  # the head is five pieces
    assert (np.diff(np.frombuffer(times, "<f4")) > 0).all()
