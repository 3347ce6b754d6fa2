"""Which curves a page can draw: the main mouth curves together, and every control alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from distill.animation.view.takes import Take
from distill.controls import ARKIT
from distill.curves import CLOSED, LINES
from distill.evaluate.face import CLOSURE, GROUPS, members

MAIN = "main curves"
OTHERS = "other controls"
_GROUPS = ("jaw", "lips", "tongue", "cheeks", "brows", "eyes")
_HUES = (*(colour for _, _, colour in LINES if colour != "#999999"), CLOSED[1], "#56B4E9")


@dataclass(frozen=True)
class Line:
    """A sum of controls, by name and share, and how it is shown.

    Attributes:
        label: what the page calls it.
        terms: share by control; faces that lack one do not draw it.
        colour: as ``#rrggbb``.
        group: it is listed in.
        shown: it is drawn from the beginning.
        moves: some face moves it.
    """

    label: str
    terms: Mapping[str, float]
    colour: str
    group: str
    shown: bool
    moves: bool


def lines(takes: tuple[Take, ...]) -> tuple[Line, ...]:
    """All lines of these faces: those of :data:`distill.curves.LINES` first, and what moves most of faces without."""
    known = list(dict.fromkeys(name for take in takes for name in take.controls))
    known.sort(key=lambda name: ARKIT.index(name) if name in ARKIT else len(ARKIT))
    spread = {name: max(_spread(take, name) for take in takes) for name in known}
    usual: list[tuple[str, Mapping[str, float], str]] = [(CLOSED[0], CLOSURE, CLOSED[1])]
    usual += [(label, dict.fromkeys(names, 1 / len(names)), colour) for label, names, colour in LINES]
    usual = [line for line in usual if any(_has(take, line[1]) for take in takes)]
    strangers = [take for take in takes if not any(_has(take, terms) for _, terms, _ in usual)]
    names = dict.fromkeys(name for take in strangers for name in _most(take))
    free = sorted(dict.fromkeys(_HUES), key=lambda colour: colour in [line[2] for line in usual])
    usual += [(name, {name: 1.0}, colour) for name, colour in zip(names, cycle(free), strict=False)]
    main = [
        Line(label, terms, colour, MAIN, shown=True, moves=any(spread[name] > 0 for name in terms))
        for label, terms, colour in usual
    ]
    single = [
        Line(name, {name: 1.0}, colour, _group(name), shown=False, moves=spread[name] > 0)
        for name, colour in zip(known, cycle(_HUES), strict=False)
    ]
    return (*main, *sorted(single, key=lambda line: (*_GROUPS, OTHERS).index(line.group)))


def _has(take: Take, terms: Mapping[str, float]) -> bool:
    return terms.keys() <= set(take.controls)


def _most(take: Take) -> list[str]:
    """The controls that move most in a take, at most as many as :data:`distill.curves.LINES`."""
    moving = [name for name in take.controls if _spread(take, name)]
    return sorted(moving, key=lambda name: -_spread(take, name))[: len(LINES)]


def _spread(take: Take, name: str) -> float:
    return float(np.ptp(take.curves[:, take.controls.index(name)])) if name in take.controls else 0.0


def _group(name: str) -> str:
    return next((group for group in _GROUPS if group in GROUPS and members((name,), group)), OTHERS)
