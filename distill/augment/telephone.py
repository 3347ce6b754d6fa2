"""A narrow line: the telephone's band and its companding, a low-pass of random cut-off, few bits.

Companding is ITU-T G.711's, in its continuous form, rounded to 8 bits.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from distill.augment import colour
from distill.augment.spectrum import Range, Samples, fast_length, filtered, stretched

BAND = (300.0, 3400.0)  # Hz
MIDDLE = 3700.0  # Hz: between the band and its image
MU, A = 255.0, 87.6
STEPS = 127  # of each sign


def telephone(samples: Samples, draw: np.random.Generator) -> Samples:
    """8 kHz, 300 to 3400 Hz, mu-law or A-law; the gain is set so that speech fills the scale as it should."""
    length = fast_length(len(samples))
    heard = filtered(samples, stretched(colour.low_pass(BAND[1], draw.choice([0.0, BAND[0]])), length), length)
    scale = np.float32(max(float(np.abs(heard).max(initial=0.0)) * draw.uniform(1, 8), 1e-6))
    law: Literal["mu", "a"] = "mu" if draw.random() < 0.5 else "a"
    heard = companded(heard / scale, law) * scale
    heard[1::2] = 0  # every other sample is what 8 kHz has; the filter makes up the rest
    return 2 * filtered(heard, stretched(colour.low_pass(MIDDLE), length), length)


def narrowed(samples: Samples, cut: Range, bits: Range, draw: np.random.Generator) -> Samples:
    """A low-pass at a random frequency (Hz), and as many bits as a draw says of a peak that fills them."""
    length = fast_length(len(samples))
    heard = filtered(samples, stretched(colour.low_pass(draw.uniform(*cut)), length), length)
    peak = float(np.abs(heard).max(initial=0.0))
    step = np.float32(max(peak, 1e-6) * 2 ** (1 - draw.uniform(*bits)))
    return np.asarray(np.round(heard / step) * step, np.float32)


def companded(samples: Samples, law: Literal["mu", "a"]) -> Samples:
    """``samples`` in [-1, 1] as a receiver of G.711 hears them."""
    sizes = np.minimum(np.abs(samples), 1)
    if law == "mu":
        steps = np.round(np.log1p(MU * sizes) * np.float32(STEPS / np.log1p(MU)))
        found = np.expm1(steps * np.float32(np.log1p(MU) / STEPS)) / np.float32(MU)
    else:
        whole = np.float32(1 + np.log(A))
        bent = np.where(sizes * A < 1, sizes * A, 1 + np.log(np.maximum(sizes * A, 1))) / whole
        back = np.round(bent * STEPS) * (whole / STEPS)
        found = np.where(back < 1, back, np.exp(np.maximum(back, 1) - 1)) / np.float32(A)
    return np.asarray(np.copysign(found, samples), np.float32)
