"""A small spoken corpus and a teacher that needs no recogniser, shared by the tests of this folder."""

from __future__ import annotations

import numpy as np
import pytest

from distill.audio import frame_count
from distill.controls import ARKIT
from distill.corpus import sources as corpus
from distill.labels import cache as labels
from distill.teachers.base import Utterance
from distill.teachers.phonetic import PhoneticTeacher


class CountingTeacher:
    """Labels every frame with its own time, and counts how often it was asked."""

    name = "counting"
    version = "1"
    controls = ARKIT

    def __init__(self, fail_after: int | None = None) -> None:
        self.calls = 0
        self.fail_after = fail_after

    def curves(self, utterance: Utterance) -> np.ndarray:
        if self.calls == self.fail_after:
            raise KeyboardInterrupt
        self.calls += 1
        frames = np.arange(frame_count(len(utterance.audio)), dtype=np.float32)
        return np.repeat(frames[:, None] / 1000, len(ARKIT), axis=1)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[corpus.Source]:
    """Six utterances with phone times: four to train on, two held out."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("spoken")
    plans = (*corpus.plan(4, seed=3), *corpus.plan(2, seed=3, split=corpus.HELD_OUT))
    return corpus.synthesize(folder / "corpus", plans)


@pytest.fixture(scope="session")
def labelled(spoken: list[corpus.Source], tmp_path_factory: pytest.TempPathFactory) -> labels.Labels:
    """The spoken corpus labelled by the phonetic teacher."""
    return labels.label(spoken, PhoneticTeacher(), tmp_path_factory.mktemp("labels"))[0]


@pytest.fixture
def counting_teacher() -> type[CountingTeacher]:
    return CountingTeacher
