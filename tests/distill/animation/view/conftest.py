"""Pages of known curves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from distill.animation.head import Head, load
from distill.animation.view.page import render
from distill.animation.view.takes import Take, View
from distill.controls import ARKIT
from distill.corpus.espeak import Phone

Made = Callable[..., Take]


@pytest.fixture(scope="session")
def head() -> Head:
    return load()


@pytest.fixture(scope="session")
def made() -> Made:
    """A take of named controls, each a number for all frames or a number for each."""

    def make(name: str = "one", rate: float = 50.0, frames: int = 100, start: float = 0.0, **curves: object) -> Take:
        table = np.zeros((frames, len(ARKIT)), np.float32)
        for control, values in curves.items():
            table[:, ARKIT.index(control)] = values
        return Take(name, table, ARKIT, rate, start)

    return make


@pytest.fixture(scope="session")
def speaking(made: Made) -> View:
    """Two faces for two seconds: the first shuts its mouth and then opens it, the other lacks most controls."""
    opens = np.repeat([0.0, 1.0], 50)
    other = Take("rig", np.linspace(0, 1, 48, dtype=np.float32)[:, None] * [1, -3], ("jawOpen", "flare"), 24.0)
    tone = (8000 * np.sin(np.arange(32_000) / 9)).astype(np.int16)
    phones = (Phone("b", 0.1, 0.3), Phone("_", 0.3, 0.5), Phone("a", 1.0, 1.8))
    return View("speech.wav", (made("first", jawOpen=opens), other), tone, phones, text="ba")


@pytest.fixture(scope="session")
def page(speaking: View, head: Head) -> bytes:
    return render(speaking, head)
