"""Archives that nobody vouches for: what is read is what was written, and nothing is believed."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import arrays


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.array(3.5),
        np.zeros((0, 7), np.int16),
        np.array(["jawOpen", "tongueOut"]),
        np.array([b"neutral", b"jawOpen"]),
        np.arange(4, dtype=">i4"),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(array: np.ndarray, save, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    save(tmp_path / "a.npz", other=np.ones(5), it=array)
    archive = arrays.open_npz(tmp_path / "a.npz")
    assert set(archive.headers) == {"other", "it"}
    assert archive.headers["it"].shape == array.shape
    read = archive.read("it")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def member(header: bytes, data: bytes) -> bytes:
    """A ``.npy`` of version 1 with any header."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def archive_of(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("it.npy", content)
    return path


HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': %s}\n"


@pytest.mark.parametrize(
    "content",
    [
        member(HEADER % b"(1000000000000,)", bytes(16)),
        member(HEADER % b"(99999999, 99999999, 99999999)", bytes(16)),
        member(HEADER % b"(-4,)", bytes(16)),
        member(HEADER % b"(3,)", bytes(16)),
        member(HEADER % b"(True, 4)", bytes(17)),
        member(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", bytes(8)),
        member(b"{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}\n", bytes(8)),
        member(b"__import__('os').abort()\n", b""),
        member(b"(" * 3000 + b"\n", b""),
        b"\x93NUMPY\x09\x00",
        b"",
        b"no array at all",
    ],
)
def test_what_an_array_claims_is_not_believed(content: bytes, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.npz", content)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"a\.npz: not an \.npz of plain arrays"):
        arrays.open_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_pickles_stay_closed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", it=np.array([object()]))
    with pytest.raises(UserError, match=r"not an \.npz"):
        arrays.open_npz(tmp_path / "a.npz")


def test_large_arrays_are_refused_before_they_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", it=np.zeros(25_000_000, np.int8))
    archive = arrays.open_npz(tmp_path / "bomb.npz")
    tracemalloc.start()
    with pytest.raises(UserError, match=r"'it' is 25,000,000 bytes, more than 1,000"):
        archive.read("it", limit=1000)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_damage_is_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, it=np.random.default_rng(0).normal(size=4000))
    whole = bytearray(buffer.getvalue())
    path = tmp_path / "a.npz"
    for cut in (0, 10, len(whole) // 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match=r"not an \.npz"):
            arrays.open_npz(path)
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(UserError, match="'it' is damaged"):
        arrays.open_npz(path).read("it")
    with pytest.raises(UserError, match="there is no such file"):
        arrays.open_npz(tmp_path / "none.npz")
    with pytest.raises(UserError, match="no array 'other'"):
        arrays.open_npz(archive_of(path, member(HEADER % b"(0,)", b""))).read("other")
