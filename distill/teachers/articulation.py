"""How near two sounds of the International Phonetic Alphabet are, by where and how they are made."""

# ruff: noqa: RUF001 (IPA letters that look like Latin ones are the point of this table)
from __future__ import annotations

import functools
import itertools
import unicodedata
from collections.abc import Iterator, Mapping

# Rows by manner, columns by place: lips, lip and teeth, teeth, gum, behind it, curled, palate, velum, uvula, throat,
# glottis. A cell has voiceless and voiced letters.
CONSONANTS: Mapping[str, str] = {
    "stop": "p/bɓ ./. ./. t/dɗ ./. ʈ/ɖ c/ɟ k/gɡ q/. ./. ʔ/.",
    "nasal": "./m ./ɱ ./. ./n ./. ./ɳ ./ɲ ./ŋ ./ɴ ./. ./.",
    "fricative": "ɸ/β f/v θ/ð s/z ʃɕ/ʒʑ ʂ/ʐ ç/ʝ x/ɣ χ/ʁ ħ/ʕ h/ɦ",
    "approximant": "./. ./ʋ ./. ./ɹ ./. ./ɻ ./jɥ ʍ/wɰ ./. ./. ./.",
    "lateral": "./. ./. ./. ɬ/lɫɮ ./. ./ɭ ./ʎ ./ʟ ./. ./. ./.",
    "trill": "./ʙ ./. ./. ./r ./. ./. ./. ./. ./ʀ ./. ./.",
    "tap": "./. ./ⱱ ./. ./ɾɺ ./. ./ɽ ./. ./. ./. ./. ./.",
}
# Rows from close to open, columns front, central and back; a cell has unrounded and rounded letters.
VOWELS = ("i/y ɨ/ʉ ɯ/u", "ɪ/ʏ ᵻ/. ./ʊ", "e/ø ɘ/ɵ ɤ/o", "./. əɚ/. ./.", "ɛ/œ ɜɝ/ɞ ʌ/ɔ", "æ/. ɐ/. ./.", "a/ɶ ./. ɑ/ɒ")
LIQUIDS = frozenset({"approximant", "lateral", "trill", "tap"})
GLIDES: Mapping[str, str] = {"j": "i", "ɥ": "y", "w": "u", "ɰ": "ɯ", "ɹ": "ɚ", "ɻ": "ɚ", "ʋ": "u"}
PLACE, MANNER, VOICE = 0.5, 0.75, 0.25  # what it costs to differ in it altogether
HEIGHT, BACKNESS, ROUNDING = 0.6, 0.3, 0.2
APART = 1.5  # a vowel and a consonant, or a letter that is in no table
FARTHEST_PLACE = 4  # columns from which on places differ altogether
LONGER = 0.3  # one sound is two letters, the other one
CEDILLA = "\u0327"


def letters(symbol: str) -> str:
    """The IPA letters of a phone, without ties, tones, lengths and other signs above, below and beside: ``t͡ʃː``, tʃ."""
    decomposed = unicodedata.normalize("NFD", symbol)
    kept = (sign for sign in decomposed if unicodedata.category(sign) == "Ll" or sign in f"ʔ{CEDILLA}")
    return unicodedata.normalize("NFC", "".join(kept))


def is_vowel(letter: str) -> bool:
    """Whether a letter is in the table of vowels."""
    return letter in _vowels()


def sounds(symbol: str, known: frozenset[str]) -> Iterator[str]:
    """Take a phone apart into what a recogniser hears one by one, as letters: ``ɑːɹ`` is ɑ and ɹ, ``pf`` is p and f.

    Diphthongs stay whole, and so does what is ``known`` to the recogniser, such as affricates.
    """
    rest = letters(symbol)
    while rest:
        pair = rest[:2]
        whole = len(pair) == 2 and (pair in known or all(map(is_vowel, pair)))
        yield rest[: 2 if whole else 1]
        rest = rest[2 if whole else 1 :]


@functools.cache
def distance(one: str, other: str) -> float:
    """How much two sounds, given as :func:`letters`, differ: 0 for the same, about 1 for unlike ones."""
    if one == other:
        return 0.0
    if not one or not other:
        return APART
    ends = _distance(one[0], other[0]) + _distance(one[-1], other[-1])
    return ends / 2 + LONGER * (len(one) != len(other))


def _distance(one: str, other: str) -> float:
    if one == other:
        return 0.0
    vowels, consonants = _vowels(), _consonants()
    if one in vowels and other in vowels:
        return sum(abs(a - b) for a, b in zip(vowels[one], vowels[other], strict=True)) + 0.05
    if one in consonants and other in consonants:
        (place, manner, voiced), (there, way, sounding) = consonants[one], consonants[other]
        far = min(abs(place - there) / FARTHEST_PLACE, 1)
        unlike = 0 if manner == way else 0.5 if {manner, way} <= LIQUIDS else 1
        return PLACE * far + MANNER * unlike + VOICE * (voiced != sounding) + 0.05
    for glide, vowel in ((one, other), (other, one)):
        if glide in GLIDES and vowel in vowels:
            return 0.3 + _distance(GLIDES[glide], vowel)
    return APART


@functools.cache
def _vowels() -> Mapping[str, tuple[float, float, float]]:
    return {
        letter: (HEIGHT * height / (len(VOWELS) - 1), BACKNESS * back / 2, ROUNDING * rounded)
        for height, row in enumerate(VOWELS)
        for back, cell in enumerate(row.split())
        for rounded, group in enumerate(cell.split("/"))
        for letter in group.replace(".", "")
    }


@functools.cache
def _consonants() -> Mapping[str, tuple[int, str, int]]:
    cells = itertools.chain.from_iterable(
        ((manner, place, cell) for place, cell in enumerate(row.split())) for manner, row in CONSONANTS.items()
    )
    return {
        letter: (place, manner, voiced)
        for manner, place, cell in cells
        for voiced, group in enumerate(cell.split("/"))
        for letter in group.replace(".", "")
    }
