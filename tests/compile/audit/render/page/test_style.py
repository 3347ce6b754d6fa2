"""Text can be read and colours told apart, in both schemes, by everybody; by WCAG's own formulas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import combinations

import pytest

CSS = files("compile.audit.render.page").joinpath("page.css").read_text("utf-8")
SCHEMES = tuple(
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
)
light_and_dark = pytest.mark.parametrize("scheme", SCHEMES, ids=["light", "dark"])
TINTS = tuple(f"c{index}" for index in range(8))

# G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, A Physiologically-based Model for Simulation of Color Vision
# Deficiency, IEEE TVCG 15(6), 2009: severity 1, on linear RGB.
EYES: Mapping[str, Sequence[Sequence[float]]] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))


def linear(colour: str) -> list[float]:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    shades = sorted(sum(w * c for w, c in zip(TO_XYZ[1], linear(colour), strict=True)) for colour in (one, other))
    return (shades[1] + 0.05) / (shades[0] + 0.05)


def times(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def lab(colour: str, eye: str) -> tuple[float, float, float]:
    """CIELAB of what ``eye`` sees, under D65."""
    seen = [min(1.0, max(0.0, part)) for part in times(EYES[eye], linear(colour))]
    scaled = [value / white for value, white in zip(times(TO_XYZ, seen), (0.95047, 1.0, 1.08883), strict=True)]
    x, y, z = (value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116 for value in scaled)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_both_schemes_name_the_same_colours() -> None:
    light, dark = SCHEMES
    assert set(light) == set(dark)
    assert not set(re.findall(r"var\(--([\w-]+)", CSS)) - set(light) - {"n", "gutter"}


@light_and_dark
def test_text_is_at_least_aa(scheme: Mapping[str, str]) -> None:
    """4.5 to 1, success criterion 1.4.3."""
    text = ("ink", "soft", "link", "pass", "warn", "fail", "unknown", "grew", "shrank")
    pairs = [(colour, ground) for colour in text for ground in ("paper", "card")]
    pairs += [("ink", tint) for tint in TINTS] + [("paper", "ink"), ("ink", "track")]
    assert {pair: ratio for pair in pairs if (ratio := contrast(scheme[pair[0]], scheme[pair[1]])) < 4.5} == {}


@light_and_dark
def test_marks_are_seen(scheme: Mapping[str, str]) -> None:
    """3 to 1, success criterion 1.4.11, for what only a drawing says: where the limit is, and what is beyond it."""
    pairs = (("ink", "track"), ("over", "track"), ("over", "fail-bar"), ("ink", "card"), ("focus", "paper"))
    assert {pair: ratio for pair in pairs if (ratio := contrast(scheme[pair[0]], scheme[pair[1]])) < 3} == {}


@light_and_dark
@pytest.mark.parametrize("eye", EYES)
def test_tints_are_told_apart(scheme: Mapping[str, str], eye: str) -> None:
    """By 9 in CIELAB, 20 where all colours are seen; just noticeable is 2.3 (M. Mahy et al., 1994)."""
    least = 20 if eye == "normal" else 9
    far = {
        (one, other): sum((a - b) ** 2 for a, b in zip(lab(scheme[one], eye), lab(scheme[other], eye), strict=True))
        ** 0.5
        for one, other in combinations(TINTS, 2)
    }
    assert {pair: distance for pair, distance in far.items() if distance < least} == {}
