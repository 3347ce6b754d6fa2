"""Long audio is cut at quiet points while it streams by, and nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.audio import HOP, SAMPLE_RATE
from distill.corpus.espeak import Phone
from distill.corpus.pieces import LONGEST, pieces, within


def speech(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20 * 6400), st.integers(1, 50_000), st.integers(0, 9))
def test_pieces_join_whatever_the_blocks(samples: int, block: int, seed: int) -> None:
    audio = speech(samples, seed)
    blocks = [audio[at : at + block] for at in range(0, samples, block)]
    cut = list(pieces(blocks, longest=6400))
    np.testing.assert_array_equal(np.concatenate([piece for _, piece in cut]), np.round(audio * 32767))
    assert [start for start, _ in cut] == list(np.cumsum([0, *(len(piece) for _, piece in cut[:-1])]))
    assert all(start % HOP == 0 for start, _ in cut)
    assert all(3200 <= len(piece) <= 6400 for _, piece in cut[:-1])
    assert 1 <= len(cut[-1][1]) <= 6400


def test_the_blocks_do_not_move_the_cuts() -> None:
    audio = speech(100_000)
    ways = [[start for start, _ in pieces(np.array_split(audio, count), 6400)] for count in (1, 7, 990)]
    assert ways[0] == ways[1] == ways[2]


def test_a_pause_is_where_the_cut_is() -> None:
    audio = speech(4 * LONGEST)
    pauses = [20, 42, 60, 85]  # seconds
    for second in pauses:
        audio[second * SAMPLE_RATE : round((second + 0.3) * SAMPLE_RATE)] *= 0.01
    audio[25 * SAMPLE_RATE : round(25.06 * SAMPLE_RATE)] = 0  # the closure of a stop is no pause
    starts = [start / SAMPLE_RATE for start, _ in pieces([audio])][1:]
    for second in pauses:
        assert any(second < start < second + 0.3 for start in starts), (second, starts)


def test_short_audio_is_one_piece() -> None:
    (only,) = pieces([speech(LONGEST)])
    assert only[0] == 0
    assert len(only[1]) == LONGEST
    assert list(pieces([])) == []


def test_what_is_too_loud_is_clipped() -> None:
    ((_, audio),) = pieces([np.array([2.0, -3.0, 1.0, 0.0], np.float32)])
    assert audio.tolist() == [32767, -32767, 32767, 0]


def test_phones_follow_their_piece() -> None:
    phones = [Phone("a", 0.0, 1.0), Phone("p", 1.0, 1.5), Phone("m", 1.5, 3.0), Phone("o", 3.0, 4.0)]
    second = SAMPLE_RATE
    assert within(phones, 0, second) == (Phone("a", 0.0, 1.0),)
    assert within(phones, round(1.2 * second), second) == (Phone("p", 0.0, 0.3), Phone("m", 0.3, 1.0))
    assert within(phones, 4 * second, second) == ()
    assert within([Phone("a", 0.0, 1e9)], 0, second) == (Phone("a", 0.0, 1.0),)


@pytest.mark.parametrize("seconds", [31, 59, 61, 200])
def test_every_sample_is_in_one_piece(seconds: int) -> None:
    lengths = [len(piece) for _, piece in pieces(np.array_split(speech(seconds * SAMPLE_RATE), 97))]
    assert sum(lengths) == seconds * SAMPLE_RATE
    assert max(lengths) <= LONGEST
