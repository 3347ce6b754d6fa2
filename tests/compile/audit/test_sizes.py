"""What is downloaded, against the compressors' own command-line levels and what they write read back."""

from __future__ import annotations

import sys
import threading
import time
import zlib

import brotli
import numpy as np
import pytest

from compile.audit.download import BROTLI, DEFLATE, Download
from compile.audit.sizes import METRICS, Sizes, sizes
from targets.base import Dissection, Kind, Section

RANDOM = np.random.default_rng(1).normal(0, 20, 50_000).round().clip(-127, 127).astype(np.int8).tobytes()


class Beside(dict[str, bytes]):
    """Files of which one is the artefact's own, ``a``, and others can be asked for."""

    def __iter__(self):
        return iter("a")


def found(files):
    sections = tuple(Section(name, 0, len(files[name]), Kind.WEIGHTS) for name in dict.keys(files))
    dissection = Dissection({section.file: section.end for section in sections}, sections, (), {})
    with Download(files) as download:
        return sizes(dissection, download)[0]


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
    size = found(Beside({"a": b"x", "drawn in": RANDOM}))
    assert size.file == 50_001
    assert size.download > 30_000


def test_without_brotli_the_others_are_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "brotli", None)
    size = found(Beside({"a": b"x", "drawn in": RANDOM}))
    assert size.brotli is None
    assert size.metric("brotli") is None
    assert size.download > 30_000


def test_what_is_not_asked_for_is_not_finished():
    """64 MB of noise take two seconds of processor time; leaving takes as long as a piece of them."""
    begun, before = time.process_time(), threading.active_count()
    with pytest.raises(ValueError, match="malformed"), Download({"a": bytes(8) + RANDOM * 1280}):
        raise ValueError("malformed")
    assert time.process_time() - begun < 1
    assert threading.active_count() == before


@pytest.mark.parametrize("entry", ["the weights in 'x'", "the elements of tensor 'w', which the file does not hold"])
def test_weights_that_are_elsewhere_make_every_size_unknown(entry):
    """The auditor has not seen them: a limit that holds without them would be a false pass."""
    size = Sizes(9, 9, 4, 7, 7, (entry,), 9)
    assert {size.metric(name) for name in METRICS} == {None}
    assert size.at_least("weights") == 4


def test_activations_of_unknown_size_leave_the_others_known():
    size = Sizes(9, 8, 4, 7, 7, ("the size of activation 'x'",), 6)
    assert [size.metric(name) for name in METRICS] == [9, 8, 6, 4, None, None, None]


def test_nothing():
    size = found({})
    assert (size.file, size.download, size.brotli, size.footprint) == (0, 0, 0, 0)


def test_a_constant_of_unknown_size_that_is_made_at_load_leaves_the_file_known():
    size = Sizes(9, 8, 4, 7, 7, ("the size of constant 'i', which is computed as the model is loaded",), 6)
    assert [size.metric(name) for name in METRICS] == [9, 8, 6, None, None, None, None]
