"""What is downloaded, against the compressors' own command-line levels and what they write read back."""

from __future__ import annotations

import zlib

import brotli
import numpy as np

from compile.audit.sizes import BROTLI, DEFLATE, sizes
from targets.base import Dissection, Kind, Section

RANDOM = np.random.default_rng(1).normal(0, 20, 50_000).round().clip(-127, 127).astype(np.int8).tobytes()


def found(files, names=None):
    names = names or files
    sections = tuple(Section(name, 0, len(files[name]), Kind.WEIGHTS) for name in names)
    return sizes(Dissection({name: len(files[name]) for name in names}, sections, (), {}), files)[0]


def test_download_is_what_a_server_would_send():
    size = found({"a": RANDOM, "b": bytes(1000)})
    assert size.download == sum(len(zlib.compress(data, DEFLATE)) for data in (RANDOM, bytes(1000)))
    assert size.brotli == sum(len(brotli.compress(data, quality=BROTLI)) for data in (RANDOM, bytes(1000)))
    best = len(brotli.compress(RANDOM, quality=11))
    assert best <= size.brotli <= 1.03 * best + 20  # what the best quality wins takes a hundred times as long
    # No compressor of bytes goes below their entropy by more than the little that it learns of their order.
    share = np.bincount(np.frombuffer(RANDOM, np.uint8)) / len(RANDOM)
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum() * len(RANDOM) / 8
    assert 0.99 * entropy < size.brotli < size.download < 1.1 * entropy


def test_files_that_are_drawn_in_count():
    """External data is no file of the artefact's own, and is downloaded all the same."""
    size = found({"a": b"x", "drawn in": RANDOM})
    assert size.file == 50_001
    assert size.download > 30_000


def test_nothing():
    size = found({})
    assert (size.file, size.download, size.brotli, size.footprint) == (0, 0, 0, 0)
