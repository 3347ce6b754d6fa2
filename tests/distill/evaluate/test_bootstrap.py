"""Intervals: right, narrow where there is much speech, and the same in any order."""

from __future__ import annotations

import numpy as np
import pytest

from distill.evaluate.bootstrap import Figure, Tally, draw


def mean_of(sums: np.ndarray) -> dict[str, np.ndarray]:
    return {"mean": sums[..., 1] / sums[..., 0]}


def tally_of(values: np.ndarray, resamples: int = 400) -> Tally:
    tally = Tally(2, resamples)
    for number, value in enumerate(values):
        tally.add(np.array([1.0, value]), f"utterance {number}")
    return tally


def test_the_interval_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(3, 1, 400)
    figure = tally_of(values).figures(mean_of)["mean"]
    assert figure.value == pytest.approx(values.mean())
    # 1.96 standard errors either way; 400 resamples know the 2.5 % point to about a tenth of that.
    assert figure.value - figure.low == pytest.approx(1.96 / 20, rel=0.2)
    assert figure.high - figure.value == pytest.approx(1.96 / 20, rel=0.2)


def test_order_does_not_matter() -> None:
    forth, back = Tally(1, 20), Tally(1, 20)
    for number in range(9):
        forth.add(np.array([number]), str(number))
        back.add(np.array([8.0 - number]), str(8 - number))
    assert forth.figures(lambda sums: {"x": sums[:, 0]}) == back.figures(lambda sums: {"x": sums[:, 0]})


def test_weights_are_poisson_of_mean_one() -> None:
    counts = np.concatenate([draw(str(number), 100) for number in range(100)])
    assert counts.mean() == pytest.approx(1, abs=0.05)  # five standard errors
    assert counts.var() == pytest.approx(1, abs=0.1)


def test_two_utterances_have_no_interval_and_nothing_has_no_value() -> None:
    assert tally_of(np.array([1.0, 2.0])).figures(mean_of)["mean"] == Figure(1.5)
    assert Tally(2, 9).figures(mean_of)["mean"] == Figure(None)
    assert tally_of(np.arange(9.0), resamples=0).figures(mean_of)["mean"] == Figure(4.0)
