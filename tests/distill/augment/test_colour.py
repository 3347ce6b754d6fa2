"""Responses: what tilt and bands do in dB, that gains move nothing in time and phases no more than they may."""

from __future__ import annotations

import numpy as np
import pytest

from distill.augment import colour, spectrum


def impulse(response: np.ndarray, length: int = 4096) -> np.ndarray:
    """What an impulse in the middle becomes, by numpy's double precision."""
    clicks = np.zeros(length)
    clicks[length // 2] = 1
    bins = np.linspace(0, 1, length // 2 + 1)
    fine = np.interp(bins, np.linspace(0, 1, len(response)), response)
    return np.fft.irfft(np.fft.rfft(clicks) * fine, length)


def test_lengths_hold_and_divide() -> None:
    for samples in (1, 1024, 1025, 39_872, 47_872, 1_000_000):
        length = spectrum.fast_length(samples)
        assert samples <= length < 1.34 * samples + 1024
        assert length % 1024 == 0


def test_stretched_runs_along_straight_lines() -> None:
    values = (np.random.default_rng(0).normal(size=(2, 513)) * [[1], [1j]]).sum(0).astype(np.complex64)
    wanted = np.interp(np.linspace(0, 512, 1537), np.arange(513), values)
    np.testing.assert_allclose(spectrum.stretched(values, 3072), wanted, atol=1e-6)  # float32


def test_transforms_undo_each_other_in_float32(draw) -> None:
    sound = draw.standard_normal(4000, np.float32)
    there = spectrum.forward(sound, 4096)
    assert there.dtype == np.complex64
    np.testing.assert_allclose(there, np.fft.rfft(sound.astype(float), 4096) / 4096, atol=1e-7)
    np.testing.assert_allclose(spectrum.backward(there, 4096)[:4000], sound, atol=1e-5)


def test_tilt_is_so_many_db_an_octave(draw) -> None:
    gains = 20 * np.log10(np.abs(colour.response((-3, -3), 0, 0, draw)))
    at = {frequency: gains[round(frequency / 8000 * 512)] for frequency in (500, 1000, 2000, 4000)}
    assert [at[500], at[1000], at[2000], at[4000]] == pytest.approx([3, 0, -3, -6], abs=0.1)  # the grid's own step
    assert gains[0] == gains[1]  # no more below 60 Hz


def test_bands_stay_within_their_db(draw) -> None:
    seen = np.array([20 * np.log10(np.abs(colour.response((0, 0), 6, 0, draw))) for _ in range(200)])
    assert np.abs(seen).max() <= 4 * 6
    assert 1 < seen.std(0)[50:].mean() < 6
    assert abs(seen.mean()) < 0.6  # as often up as down: 200 draws of 3 dB


def test_gains_have_no_delay(draw) -> None:
    for _ in range(20):
        heard = impulse(colour.response((-4, 4), 12, 0, draw))
        assert np.argmax(np.abs(heard)) == 2048
        np.testing.assert_allclose(heard[2048 - 900 : 2048], heard[2049 : 2049 + 900][::-1], atol=1e-9)


def test_phases_delay_no_frequency_by_more_than_they_may(draw) -> None:
    for _ in range(20):
        response = colour.response((0, 0), 0, 8, draw)
        np.testing.assert_allclose(np.abs(response), 1, atol=1e-6)
        delays = -np.diff(np.unwrap(np.angle(response))) / (np.pi / 512)
        assert np.abs(delays).max() <= 8.05  # the grid's difference is no derivative
        assert np.abs(delays).max() > 0.5


def test_low_pass(sounds, draw) -> None:
    noise = draw.standard_normal(16_000, np.float32)
    length = spectrum.fast_length(len(noise))
    heard = spectrum.filtered(noise, spectrum.stretched(colour.low_pass(3400, 300), length), length)
    whole = sounds.band_db(noise, 500, 3000)
    assert sounds.band_db(heard, 500, 3000) == pytest.approx(whole, abs=0.3)
    assert sounds.band_db(heard, 3700, 8000) < whole - 40
    assert sounds.band_db(heard, 0, 150) < whole - 40
