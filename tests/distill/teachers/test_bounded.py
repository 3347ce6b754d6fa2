"""Least squares within a box, against every choice of active bounds, and by the conditions of a minimum."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from distill.teachers.bounded import solve


def brute_force(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The best of all 3^n ways to hold each variable at 0, at 1, or not."""
    size = len(right)
    best, lowest = np.zeros(size), np.inf
    for choice in itertools.product((0.0, 1.0, None), repeat=size):
        free = [index for index, bound in enumerate(choice) if bound is None]
        trial = np.array([0.0 if bound is None else bound for bound in choice])
        if free:
            trial[free] = np.linalg.solve(matrix[np.ix_(free, free)], (right - matrix @ trial)[free])
        value = trial @ matrix @ trial / 2 - right @ trial
        if trial.min() >= -1e-12 and trial.max() <= 1 + 1e-12 and value < lowest:
            best, lowest = trial, value
    return best


def problem(seed: int, size: int, condition: float) -> tuple[np.ndarray, np.random.Generator]:
    """A matrix ``A' A`` of that condition, and the generator that drew it."""
    draw = np.random.default_rng(seed)
    basis = np.linalg.qr(draw.normal(size=(size, size)))[0]
    return (basis * np.logspace(0, -np.log10(condition), size)) @ basis.T, draw


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_all_active_sets(seed: int, condition: float) -> None:
    matrix, draw = problem(seed, 6, condition)
    right = draw.uniform(-1, 2, (5, 6)) @ matrix
    expected = np.stack([brute_force(matrix, row) for row in right])
    np.testing.assert_allclose(solve(matrix, right), expected, atol=1e-6 * condition**0.5)
    assert ((expected == 0) | (expected == 1)).any()
    assert ((expected > 0) & (expected < 1)).any()


@pytest.mark.parametrize("condition", [1e2, 1e5])
def test_conditions_of_a_minimum_at_full_size(condition: float) -> None:
    matrix, draw = problem(9, 52, condition)
    weights = solve(matrix, draw.uniform(-1, 2, (200, 52)) @ matrix)
    draw = problem(9, 52, condition)[1]
    gradient = weights @ matrix - draw.uniform(-1, 2, (200, 52)) @ matrix
    inside = (weights > 0) & (weights < 1)
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert np.abs(gradient[inside]).max() < 1e-9
    assert gradient[weights == 0].min() > -1e-9
    assert gradient[weights == 1].max() < 1e-9


def test_a_problem_is_solved_alike_alone_and_in_company() -> None:
    matrix, draw = problem(3, 20, 1e3)
    right = draw.uniform(-1, 2, (9, 20)) @ matrix
    together = solve(matrix, right)
    for row, weights in zip(right, together, strict=True):
        np.testing.assert_allclose(solve(matrix, row[None])[0], weights, atol=1e-9)


def test_nothing_to_solve() -> None:
    assert solve(np.eye(3), np.zeros((0, 3))).shape == (0, 3)
    np.testing.assert_array_equal(solve(np.eye(2), np.array([[0.25, 7.0]])), [[0.25, 1.0]])
