"""Every format: what is no face is refused, nothing is half-written, and an hour takes the memory of a minute."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from compile.errors import Bug, UserError
from distill.animation.formats import FORMATS, encode, write
from distill.controls import ARKIT


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("curves", "complaint"),
    [
        (np.zeros((3, 51), np.float32), r"curves \[frames, 52\], not \[3, 51\]"),
        (np.zeros(52, np.float32), r"curves \[frames, 52\], not \[52\]"),
        (np.full((3, 52), np.nan, np.float32), "some of these are NaN or infinite"),
    ],
)
def test_what_is_no_face_is_not_written(tmp_path: Path, name: str, curves: np.ndarray, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        write(tmp_path / f"take.{name}", curves, ARKIT, 50)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("announced", [2, 4])
def test_frames_that_were_not_announced(name: str, announced: int) -> None:
    with pytest.raises((Bug, UserError)):  # of a .glb, which says so itself
        b"".join(encode(name, [np.zeros((3, 52), np.float32)], announced, ARKIT, 50))


def test_no_such_format(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"take.fbx: .* name it \.csv"):
        write(tmp_path / "take.fbx", np.zeros((3, 52), np.float32), ARKIT, 50)


@pytest.mark.parametrize("name", FORMATS)
def test_pieces_stay_small_however_many_frames_there_are(name: str) -> None:
    def peak(blocks: int) -> int:
        block = np.random.default_rng(0).random((500, 52)).astype(np.float32)
        tracemalloc.start()
        try:
            for _ in encode(name, (block for _ in range(blocks)), 500 * blocks, ARKIT, 50):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is imported and kept
    assert peak(40) < peak(4) + 200_000  # 36 blocks more are 3.7 MB of numbers, and more of text
