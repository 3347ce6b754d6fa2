"""Augmentation in one place: what may happen to speech, how far it may go, and sets of that with a name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from compile.errors import UserError
from distill.augment.spectrum import Range

OFF = (0.0, 0.0)


@dataclass(frozen=True)
class Augmentation:
    """What may happen to speech, and how often; as it stands, nothing does. Ranges are drawn from evenly.

    Attributes:
        pitch: factors by playback speed, even in logarithms: tempo goes along, and so do the formants if not set apart.
        apart: share of sequences whose formants do not follow the pitch.
        formants: where those go instead: factors of the recording's, even in logarithms.
        bend: of those, most that the highest move beyond the middle ones, and the lowest less, as a logarithm.
        contrast: of those, factors of the heights of formants in dB.
        breath: share of sequences that are partly whispered.
        rate_error: share of sequences at a wrong sample rate, by up to 1 %.
        rooms: share of sequences in a room.
        reverberation: of a room, seconds to -60 dB.
        direct: power of the direct sound over that of the room, dB.
        tilt: of the spectrum, dB an octave.
        equaliser: most dB by which each of a few bands is lifted or lowered.
        delay: most samples by which phases make a frequency late or early.
        noise: share of sequences with noise.
        noise_db: power of the speech over that of the noise; noise is white to brown.
        hum: share of noises with a hum or a tone in them.
        babble: share of sequences with other speech behind them.
        babble_db: power of the speech over that of the others.
        gain_db: relative to the recording's level.
        level_db: level of the speech in dBFS, whatever the recording's; None: only ``gain_db`` counts.
        flip: share of sequences of the opposite polarity.
        offset: most of a constant that is added, full scale 1.
        clipping: share of sequences that are clipped, or squashed.
        clip_at: where, as a share of the peak.
        telephone: share of sequences over a telephone: 8 kHz, G.711.
        narrow: share of sequences with a low-pass and few bits.
        cut: of the low-pass, Hz.
        bits: of the few bits.
        aliasing: share of sequences sampled without a filter.
        alias_rate: at which rate, Hz.
        packets: share of sequences over a line that loses packets.
        lost: share of time that is lost there.
        quiet: share of sequences in which nobody speaks and the face rests.
        mute: share of sequences in which the speech is cut off for a while, and the face rests.
    """

    pitch: tuple[float, float] = (1.0, 1.0)
    apart: float = 0.0
    formants: tuple[float, float] = (1.0, 1.0)
    bend: float = 0.0
    contrast: tuple[float, float] = (1.0, 1.0)
    breath: float = 0.0
    rate_error: float = 0.0
    rooms: float = 0.0
    reverberation: tuple[float, float] = (0.15, 0.7)
    direct: tuple[float, float] = (0.0, 15.0)
    tilt: tuple[float, float] = OFF
    equaliser: float = 0.0
    delay: float = 0.0
    noise: float = 0.0
    noise_db: tuple[float, float] = (15.0, 50.0)
    hum: float = 0.0
    babble: float = 0.0
    babble_db: tuple[float, float] = (12.0, 30.0)
    gain_db: tuple[float, float] = OFF
    level_db: tuple[float, float] | None = None
    flip: float = 0.0
    offset: float = 0.0
    clipping: float = 0.0
    clip_at: tuple[float, float] = (0.25, 0.9)
    telephone: float = 0.0
    narrow: float = 0.0
    cut: tuple[float, float] = (2500.0, 7500.0)
    bits: tuple[float, float] = (7.0, 12.0)
    aliasing: float = 0.0
    alias_rate: tuple[float, float] = (7000.0, 14000.0)
    packets: float = 0.0
    lost: tuple[float, float] = (0.01, 0.08)
    quiet: float = 0.0
    mute: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            low, high = value if isinstance(value, tuple) else (value, value)
            least, most = LIMITS.get(field.name, (0.0, 1.0))
            if not (math.isfinite(low) and math.isfinite(high) and least <= low <= high <= most):
                raise UserError(
                    f"augmentation '{field.name}' is {value}", fix=f"stay within {least:g} and {most:g}, in order"
                )


# What values may be; a field that is not listed is a share, from 0 to 1.
LIMITS: Mapping[str, Range] = {
    "pitch": (0.5, 2.0),
    "formants": (0.5, 2.0),
    "bend": (0.0, 0.4),
    "contrast": (0.0, 2.0),
    "reverberation": (0.02, 5.0),
    "direct": (-20.0, 60.0),
    "tilt": (-12.0, 12.0),
    "equaliser": (0.0, 40.0),
    "delay": (0.0, 160.0),
    "noise_db": (-20.0, 120.0),
    "babble_db": (0.0, 120.0),
    "gain_db": (-60.0, 60.0),
    "level_db": (-80.0, 0.0),
    "clip_at": (0.01, 1.0),
    "cut": (500.0, 8000.0),
    "bits": (2.0, 16.0),
    "alias_rate": (2000.0, 16000.0),
}

# For voices that are known, or many: the recordings as they are, a little other.
GENTLE = Augmentation(
    pitch=(0.82, 1.25), tilt=(-1.5, 1.5), noise=1.0, noise_db=(15.0, 50.0), gain_db=(-8.0, 6.0), quiet=0.02
)

# For voices that were never heard: between what is best for studio prompts and for actors (docs/training.md).
MODERATE = Augmentation(
    pitch=(0.85, 1.2),
    apart=0.7,
    formants=(0.8, 1.25),
    rate_error=0.1,
    rooms=0.15,
    tilt=(-2.0, 2.0),
    equaliser=4.0,
    noise=0.5,
    noise_db=(8.0, 50.0),
    hum=0.1,
    babble=0.05,
    level_db=(-42.0, -16.0),
    flip=0.5,
    offset=0.01,
    clipping=0.02,
    telephone=0.02,
    narrow=0.05,
    aliasing=0.01,
    packets=0.01,
    quiet=0.03,
    mute=0.05,
)

# For whatever is spoken into: every speaker becomes many, every recording any; for large students and many steps.
STRONG = Augmentation(
    pitch=(0.75, 1.35),
    apart=0.7,
    formants=(0.8, 1.25),
    bend=0.08,
    contrast=(0.8, 1.25),
    breath=0.1,
    rate_error=0.1,
    rooms=0.35,
    tilt=(-3.0, 3.0),
    equaliser=9.0,
    delay=8.0,
    noise=0.8,
    noise_db=(8.0, 50.0),
    hum=0.1,
    babble=0.15,
    level_db=(-42.0, -16.0),
    flip=0.5,
    offset=0.01,
    clipping=0.08,
    telephone=0.06,
    narrow=0.1,
    aliasing=0.04,
    packets=0.05,
    quiet=0.03,
    mute=0.05,
)

PRESETS: Mapping[str, Augmentation] = {"off": Augmentation(), "gentle": GENTLE, "moderate": MODERATE, "strong": STRONG}
