"""When a known text is said: its phones are laid over what the recogniser hears.

The recogniser hears English in every language and takes m for n, but it marks well where sounds are. So the likeliest
path (Viterbi) leads through the phones of the text, in the topology of connectionist temporal classification (Graves
et al. 2006): each phone is a few frames long, blanks may lie before and after it. Three things are forgiven at a cost:
the recogniser may hear another sound that is made alike, the speaker may leave a phone out, or say something besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.corpus.espeak import Phone
from distill.teachers.articulation import distance, sounds
from distill.teachers.recogniser import Heard, best, spans
from distill.teachers.transcription import transcribe

UNLIKE = 6.0  # natural logarithm of how much less likely it is that a wholly unlike sound is heard
LEFT_OUT = 10.0  # that a phone of the text is not said
BESIDES = 4.0  # that a frame holds a phone which is not in the text
LEAST_CONFIDENCE = 0.5  # measured: 3 in 100 texts of other recordings in the same language pass; docs/teachers.md
STAY, NEXT, OVER_BLANK, SKIP, SKIP_BOTH = 0, 1, 2, 3, 4  # by how many states a step leads on


@dataclass(frozen=True)
class Alignment:
    """The phones of a text with their times, and how well they fit what is heard.

    Attributes:
        phones: in order; those that were left out are missing.
        confidence: mean logarithm, over phones, of how much likelier this is than the same phones in other orders. What
            the recogniser fails to hear counts against both, so a voice that it hears badly is no wrong text.
    """

    phones: tuple[Phone, ...]
    confidence: float

    @property
    def fits(self) -> bool:
        """Whether the text is likely to be what is said."""
        return self.confidence >= LEAST_CONFIDENCE


def align(heard: Heard, text: str, language: str) -> Alignment:
    """Find the phones of a text in what is heard, however badly they fit; see :attr:`Alignment.fits`.

    Args:
        heard: see :func:`recogniser.listen`; at most half a minute.
        text: what is said in it, all of it.
        language: its code, such as ``de`` or ``pt_BR``.

    Raises:
        UserError: the language is unknown, or the text has no phones, or more than there is time for.
        MissingExtra: espeak-ng is not installed.
    """
    known = frozenset(heard.letters)
    said = [sound for symbol in transcribe(text, language) for sound in sounds(symbol, known)]
    if not said:
        raise UserError("nothing in it can be said")
    if len(said) > len(heard.log_probabilities):
        raise UserError(f"it has {len(said)} phones, and the audio {len(heard.log_probabilities)} frames")
    blank, scores = emissions(heard, said)
    free = np.maximum(blank, _likeliest_phone(heard))
    blank = np.maximum(blank, free - BESIDES)
    states, score = path(blank, scores, said)
    others = max(path(blank, scores[:, order], [said[index] for index in order])[1] for order in _orders(len(said)))
    peaks = []
    for index, sound in enumerate(said):
        frames = np.flatnonzero(states == 2 * index + 1)
        if len(frames):
            peaks.append((float(frames[0] + frames[-1]) / 2, sound))
    count = max(len(said), len(best(heard)))
    return Alignment(spans(peaks), (score - others) / count)


def _orders(count: int) -> list[NDArray[np.intp]]:
    """Orders in which ``count`` phones are another text: backwards, the second half first, and that backwards."""
    plain = np.arange(count)
    halves = np.roll(plain, count // 2)
    return [plain[::-1], halves, halves[::-1]]


def emissions(heard: Heard, said: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logarithms of how likely each frame holds no phone, ``[frames]``, and each of those ``said``, ``[frames, said]``.

    A phone is as likely as the likeliest token, less for each by how unlike it the token sounds.
    """
    rows, letters = heard.log_probabilities, heard.letters
    blank = np.logaddexp.reduce(rows[:, [not sound for sound in letters]], axis=1)
    tokens = [index for index, sound in enumerate(letters) if sound]
    different = sorted(set(said))
    scores = np.empty((len(rows), len(different)), np.float32)
    for column, sound in enumerate(different):
        costs = np.array([UNLIKE * distance(sound, letters[token]) for token in tokens], np.float32)
        scores[:, column] = np.max(rows[:, tokens] - costs, axis=1)
    return blank, scores[:, [different.index(sound) for sound in said]]


def path(
    blank: NDArray[np.float32], scores: NDArray[np.float32], said: Sequence[str]
) -> tuple[NDArray[np.intp], float]:
    """The likeliest path through the phones: the state of each frame ``[frames]`` and the path's logarithm.

    Args:
        blank: logarithm of how likely a frame holds none ``[frames]``.
        scores: and each of the phones ``[frames, phones]``.
        said: the phones; two alike in a row have a blank between them.

    State ``2 * i + 1`` is phone ``i``; the even ones are blanks before, between and after them.
    """
    frames, phones = scores.shape
    states = 2 * phones + 1
    odd = np.arange(states) % 2 == 1
    cost = np.full((5, states), np.inf)
    cost[STAY] = 0
    cost[NEXT] = 0
    cost[OVER_BLANK, 0::2] = LEFT_OUT  # from blank to blank, over a phone
    cost[SKIP, odd] = LEFT_OUT  # from the blank before the phone before
    like = np.array([one == other for one, other in pairwise(said)], bool)
    cost[OVER_BLANK, 3::2] = np.where(like, np.inf, 0)
    alike = np.array([one == other for one, other in zip(said, said[2:], strict=False)], bool)
    cost[SKIP_BOTH, 5::2] = np.where(alike, np.inf, LEFT_OUT)

    emission = np.empty((frames, states))
    emission[:, 0::2] = blank[:, None]
    emission[:, 1::2] = scores
    total = np.full(states, -np.inf)
    total[0], total[1] = emission[0, 0], emission[0, 1]
    total[2:3] = emission[0, 0] - LEFT_OUT
    total[3:4] = emission[0, 3:4] - LEFT_OUT
    steps = np.zeros((frames, states), np.uint8)
    for frame in range(1, frames):
        padded = np.concatenate([np.full(SKIP_BOTH, -np.inf), total])
        before = np.stack([padded[SKIP_BOTH - step : len(padded) - step] for step in range(SKIP_BOTH + 1)]) - cost
        steps[frame] = np.argmax(before, axis=0)
        total = np.take_along_axis(before, steps[frame][None].astype(np.intp), axis=0)[0] + emission[frame]
    # The last phone may be left out as well: from the last two states, or, at the same cost as within, those before.
    endings = total[-4:] - np.array([LEFT_OUT, LEFT_OUT, 0, 0])[-len(total[-4:]) :]
    state = len(total) - len(endings) + int(np.argmax(endings))
    score = float(np.max(endings))
    found = np.empty(frames, np.intp)
    for frame in range(frames - 1, -1, -1):
        found[frame] = state
        state -= int(steps[frame, state])
    return found, score


def _likeliest_phone(heard: Heard) -> NDArray[np.float32]:
    """Logarithm ``[frames]`` of the likeliest token that is a phone."""
    return np.asarray(np.max(heard.log_probabilities[:, [bool(sound) for sound in heard.letters]], axis=1))
