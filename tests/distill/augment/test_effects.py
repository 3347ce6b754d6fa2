"""The whole chain: off is off, pure in its draw, silence rests, faces stay, ranges are checked."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from compile.errors import UserError
from distill.audio import HOP
from distill.augment import effects, silence
from distill.augment.effects import Excerpt, Playback
from distill.augment.presets import GENTLE, MODERATE, PRESETS, STRONG, Augmentation
from distill.augment.voice import Voice

PAST = 4096
REST = np.array([0.25, 0.5], np.float32)
PLAIN = Playback(1.0, Voice(), 1.0, False)


@pytest.fixture
def excerpt(sounds) -> Excerpt:
    audio = sounds.syllables(1.5)
    frames = (len(audio) - PAST) // HOP
    return Excerpt(audio, np.random.default_rng(0).random((frames, 2), np.float32), 0.1, PLAIN)


def heard(excerpt: Excerpt, augmentation: Augmentation, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    how = effects.playback(augmentation, np.random.default_rng((seed, 1)))
    draw = np.random.default_rng(seed)
    return effects.apply(replace(excerpt, playback=how), REST, PAST, [lambda: excerpt.audio[::-1]], augmentation, draw)


def test_off_is_off(excerpt) -> None:
    audio, curves = heard(excerpt, Augmentation())
    np.testing.assert_array_equal(audio, excerpt.audio)
    np.testing.assert_array_equal(curves, excerpt.curves)


@pytest.mark.parametrize("augmentation", [GENTLE, MODERATE, STRONG])
def test_pure_and_within_full_scale(excerpt, augmentation) -> None:
    before = excerpt.audio.copy(), excerpt.curves.copy()
    for seed in range(25):
        audio, curves = heard(excerpt, augmentation, seed)
        again, _ = heard(excerpt, augmentation, seed)
        np.testing.assert_array_equal(audio, again)
        assert audio.dtype == curves.dtype == np.float32
        assert audio.shape == excerpt.audio.shape
        assert curves.shape == excerpt.curves.shape
        assert np.isfinite(audio).all()
        assert np.abs(audio).max() <= 1
    np.testing.assert_array_equal(excerpt.audio, before[0])
    np.testing.assert_array_equal(excerpt.curves, before[1])
    assert not np.array_equal(heard(excerpt, augmentation, 1)[0], heard(excerpt, augmentation, 2)[0])


@pytest.mark.parametrize(
    "effect",
    [
        {"tilt": (-3.0, 3.0), "equaliser": 9.0, "delay": 8.0},
        {"noise": 1.0, "noise_db": (10.0, 10.0), "hum": 1.0},
        {"babble": 1.0, "babble_db": (12.0, 12.0)},
        {"gain_db": (-20.0, 3.0), "flip": 1.0, "offset": 0.01},
        {"clipping": 1.0},
        {"telephone": 1.0},
        {"narrow": 1.0},
        {"aliasing": 1.0},
        {"packets": 1.0},
        {"apart": 1.0, "formants": (0.8, 1.25), "bend": 0.08, "contrast": (0.8, 1.25)},
        {"breath": 1.0},
    ],
    ids=lambda effect: ",".join(effect)[:20],
)
def test_nothing_moves_in_time(excerpt, sounds, effect) -> None:
    for seed in range(4):
        audio, curves = heard(excerpt, replace(Augmentation(), **effect), seed)
        assert not np.array_equal(audio, excerpt.audio)
        np.testing.assert_array_equal(curves, excerpt.curves)
        # Loudness may gather elsewhere within a period (filters) or lose a part (packets); 2 ms at most.
        assert abs(sounds.lag(excerpt.audio, audio - np.median(audio))) <= 32


def test_a_room_shifts_no_onset(excerpt) -> None:
    click = replace(excerpt, audio=np.zeros_like(excerpt.audio))
    click.audio[9000] = 0.5
    for seed in range(10):
        audio, _ = heard(click, replace(Augmentation(), rooms=1.0, direct=(0.0, 6.0)), seed)
        assert np.abs(audio[:9000]).max() < 1e-5  # float32 transforms
        assert np.argmax(np.abs(audio)) == 9000
        assert np.abs(audio[9100:]).max() > 1e-3


def test_speech_is_as_loud_as_it_should_be_above_its_noise(excerpt, sounds) -> None:
    loud = replace(excerpt, audio=excerpt.audio / np.float32(0.1), loudness=1.0)
    at = replace(Augmentation(), level_db=(-30.0, -30.0), noise=1.0, noise_db=(20.0, 20.0))
    clean, _ = heard(loud, replace(at, noise=0.0))
    np.testing.assert_allclose(clean, loud.audio * 10 ** (-30 / 20), rtol=1e-5)
    noise = heard(loud, at)[0] - clean
    assert sounds.level_db(noise) == pytest.approx(-50, abs=1.5)  # one draw of coloured noise


def test_quiet_sequences_rest(excerpt) -> None:
    kinds = set()
    for seed in range(20):
        audio, curves = heard(excerpt, replace(GENTLE, quiet=1.0), seed)
        np.testing.assert_array_equal(curves, np.broadcast_to(REST, curves.shape))
        assert np.sqrt(np.mean(audio**2)) < 0.1
        kinds.add(bool(audio.any()))
    assert kinds == {True, False}  # over noise, and digitally


def test_a_muted_face_comes_to_rest_and_back(excerpt) -> None:
    seen = 0
    for seed in range(20):
        audio, curves = heard(excerpt, replace(Augmentation(), mute=1.0), seed)
        changed = np.flatnonzero(audio != excerpt.audio)
        if not len(changed):
            continue
        first, last = changed[0], changed[-1]
        assert not audio[first : last + 1].any()
        times = PAST + np.arange(len(curves)) * HOP
        # Silence between syllables may hide where the cut begins and ends, so faces within it are all that is known.
        inside = np.flatnonzero((times >= first) & (times <= last))[silence.EASE :]
        np.testing.assert_array_equal(curves[inside], np.broadcast_to(REST, curves[inside].shape))
        seen += len(inside)
    assert seen > 100


def test_easing_ends_at_rest() -> None:
    faces = np.zeros((6, 1), np.float32)
    silence.ease(faces, np.ones(1, np.float32))
    np.testing.assert_allclose(faces[:, 0], [0.8, 0.6, 0.4, 0.2, 0, 0], atol=1e-6)
    silence.ease(faces[:0], np.ones(1, np.float32))  # nothing left to ease into


def test_manners_are_drawn_from_their_ranges() -> None:
    manners = [effects.playback(STRONG, np.random.default_rng(seed)) for seed in range(2000)]
    speeds = np.array([how.speed for how in manners])
    assert 0.99 * STRONG.pitch[0] <= speeds.min() < 0.77
    assert 1.3 < speeds.max() <= 1.01 * STRONG.pitch[1]
    apart = [how for how in manners if how.voice.formants != 1]
    assert len(apart) / 2000 == pytest.approx(STRONG.apart, abs=0.05)  # five deviations of a binomial share
    formants = np.array([how.voice.formants * how.speed for how in apart])
    assert 0.99 * STRONG.formants[0] <= formants.min() < 0.82
    assert 1.22 < formants.max() <= 1.01 * STRONG.formants[1]
    assert abs(np.corrcoef(formants, [how.speed for how in apart])[0, 1]) < 0.1  # where formants go is free of pitch


@pytest.mark.parametrize(
    "wrong",
    [
        {"pitch": (1.2, 0.8)},
        {"quiet": 1.5},
        {"noise_db": (float("nan"), 3.0)},
        {"formants": (0.1, 1.0)},
        {"bend": -0.1},
    ],
)
def test_ranges_that_cannot_be(wrong) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Augmentation(**wrong)


def test_presets_use_what_there_is() -> None:
    assert PRESETS["off"] == Augmentation()
    unused = {field.name for field in fields(Augmentation) if getattr(STRONG, field.name) == field.default}
    assert unused == {"gain_db", "reverberation", "direct", "clip_at", "cut", "bits", "alias_rate", "lost", "babble_db"}
