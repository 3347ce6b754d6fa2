"""What is spooled comes back as often as it is asked for, in blocks of bounded size."""

from __future__ import annotations

import io

import numpy as np
import pytest

from distill.animation.spool import AT_ONCE, Spool


@pytest.mark.parametrize("frames", [0, 1, AT_ONCE, 2 * AT_ONCE + 7])
def test_as_often_as_it_is_asked_for(frames: int) -> None:
    curves = np.random.default_rng(0).random((frames, 3)).astype(np.float32)
    spool = Spool(io.BytesIO(), 3)
    for block in np.array_split(np.asfortranarray(curves), 5):
        spool.append(block)
    assert spool.frames == frames
    for _ in range(2):
        blocks = list(spool.blocks())
        assert all(0 < len(block) <= AT_ONCE for block in blocks)
        np.testing.assert_array_equal(np.concatenate([np.zeros((0, 3), np.float32), *blocks]), curves)
