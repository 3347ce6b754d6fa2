"""Visemes as data: what lips and jaw do for each sound of the International Phonetic Alphabet.

Two kinds. A *posture* is a target that neighbours blend into (vowels, most consonants). A *constriction* is a target
that must be reached, whatever the neighbours do: lips touch on /p b m/, the lip meets the teeth on /f v/.
"""

# ruff: noqa: RUF001 (IPA letters that look like Latin ones are the point of this table)
from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

PAIRED = frozenset({"mouthSmile", "mouthStretch", "mouthPress", "mouthLowerDown", "mouthUpperUp", "mouthDimple"})


@dataclass(frozen=True)
class Viseme:
    """A mouth shape and how strongly it insists on it.

    Attributes:
        letters: IPA letters that share it.
        targets: control to value in [0, 1]; a name of :data:`PAIRED` means its left and right control; the rest is 0.
        jaw: dominance over neighbours in ``jawOpen``, relative to a vowel's 1.
        lips: dominance in all other controls.
    """

    letters: str
    targets: Mapping[str, float] = field(default_factory=dict)
    jaw: float = 0.5
    lips: float = 0.25


@dataclass(frozen=True)
class Constriction:
    """A shape that is reached for certain, laid over the postures.

    ``attack`` and ``release`` are the seconds to reach and leave it, ``hold`` the least and the most it is kept.
    Controls that ``targets`` does not name keep their posture: a closed mouth can be rounded.
    """

    letters: str
    targets: Mapping[str, float]
    attack: float
    hold: tuple[float, float]
    release: float


PAUSE = Viseme("_", jaw=0.8, lips=0.8)

POSTURES: tuple[Viseme, ...] = (
    PAUSE,
    Viseme(
        "aɐɑæʌ", {"jawOpen": 0.65, "mouthLowerDown": 0.35, "mouthUpperUp": 0.15, "mouthStretch": 0.1}, jaw=1, lips=1
    ),
    Viseme(
        "eɛəɜɘɚɝᵊ", {"jawOpen": 0.32, "mouthLowerDown": 0.3, "mouthStretch": 0.2, "mouthSmile": 0.1}, jaw=0.9, lips=0.7
    ),
    Viseme(
        "iɪɨᵻɯɤ", {"jawOpen": 0.14, "mouthLowerDown": 0.2, "mouthStretch": 0.3, "mouthSmile": 0.25}, jaw=0.9, lips=0.9
    ),
    Viseme("yʏøœɵɥ", {"jawOpen": 0.2, "mouthFunnel": 0.35, "mouthPucker": 0.55}, jaw=0.9, lips=1),
    Viseme("oɔɒ", {"jawOpen": 0.38, "mouthFunnel": 0.5, "mouthPucker": 0.3}, jaw=1, lips=1),
    Viseme("uʊʉwʍ", {"jawOpen": 0.16, "mouthFunnel": 0.3, "mouthPucker": 0.75}, jaw=0.9, lips=1),
    Viseme("j", {"jawOpen": 0.12, "mouthStretch": 0.2, "mouthSmile": 0.2, "mouthLowerDown": 0.15}, lips=0.4),
    Viseme("pbmɓ", {"jawOpen": 0.1}),  # the constriction does the rest
    Viseme("fvɱʋ", {"jawOpen": 0.12}),
    Viseme("βɸ", {"jawOpen": 0.12, "mouthClose": 0.1}, lips=0.5),
    Viseme("θð", {"jawOpen": 0.18, "mouthLowerDown": 0.2, "tongueOut": 0.25}, lips=0.4),
    Viseme("szɮ", {"jawOpen": 0.08, "mouthStretch": 0.25, "mouthLowerDown": 0.25, "mouthUpperUp": 0.1}, lips=0.5),
    Viseme("ʃʒɕʑʂʐ", {"jawOpen": 0.1, "mouthFunnel": 0.5, "mouthPucker": 0.25, "mouthUpperUp": 0.12}, lips=0.8),
    Viseme("tdnlɾɫɲʎɖɗʈ", {"jawOpen": 0.14, "mouthLowerDown": 0.15}),
    Viseme("rɹɻɽ", {"jawOpen": 0.17, "mouthFunnel": 0.25, "mouthPucker": 0.2}, lips=0.4),
    Viseme("kgɡŋxɣqχʁʀcçɟʝɰɴ", {"jawOpen": 0.2, "mouthLowerDown": 0.1}, lips=0.15),
    Viseme("hɦħʔ", {"jawOpen": 0.2}, jaw=0.2, lips=0.05),
)

BILABIAL = Constriction(
    "pbmɓ",
    {
        "jawOpen": 0.05,
        "mouthClose": 0.4,
        "mouthPress": 0.4,
        "mouthRollLower": 0.22,
        "mouthRollUpper": 0.18,
        "mouthLowerDown": 0.0,
        "mouthUpperUp": 0.0,
        "mouthStretch": 0.05,
    },
    attack=0.06,
    hold=(0.04, 0.09),
    release=0.05,
)
LABIODENTAL = Constriction(
    "fvɱ",
    {
        "jawOpen": 0.1,
        "mouthRollLower": 0.45,
        "mouthShrugLower": 0.2,
        "mouthUpperUp": 0.25,
        "mouthLowerDown": 0.0,
        "mouthPress": 0.1,
    },
    attack=0.06,
    hold=(0.04, 0.1),
    release=0.06,
)
CONSTRICTIONS: tuple[Constriction, ...] = (LABIODENTAL, BILABIAL)  # where both act, closed lips win


def letters(symbol: str) -> str:
    """The plain IPA letters of a phone: ``t͡ʃ`` is ``tʃ``, ``ɑ̃ː`` is ``ɑ``; tones, ties and lengths are left out."""
    decomposed = unicodedata.normalize("NFD", symbol)
    return "".join(sign for sign in decomposed if unicodedata.category(sign) == "Ll" or sign in "_ʔ")
