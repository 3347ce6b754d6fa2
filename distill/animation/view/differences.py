"""How far faces are apart, by groups of controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distill.animation.view.takes import Take
from distill.evaluate.face import GROUPS, members

WANTED = tuple(name for name in GROUPS if name != "all")


@dataclass(frozen=True)
class Difference:
    """Of a face from the first one, over the controls that both have and the time in which both play.

    Attributes:
        name: of the face.
        groups: mean absolute difference by group; None of one that they do not share.
        worst: the control with the largest mean, and that mean; None where they share no control or no time.
        largest: the control with the largest difference of all, that difference, and its time in seconds.
    """

    name: str
    groups: dict[str, float | None]
    worst: tuple[str, float] | None
    largest: tuple[str, float, float] | None


def differences(takes: tuple[Take, ...]) -> list[Difference]:
    """Of all faces but the first, from the first, at the frames of the first."""
    return [_difference(takes[0], take) for take in takes[1:]]


def _difference(first: Take, other: Take) -> Difference:
    times = first.times[(first.times >= other.start) & (first.times < other.end)]
    shared = [name for name in first.controls if name in other.controls]
    if not shared or not len(times):
        return Difference(other.name, dict.fromkeys(WANTED), None, None)
    ours, theirs = (take.at(times)[:, [take.controls.index(name) for name in shared]] for take in (first, other))
    apart = np.abs(ours - theirs)
    groups = {group: float(apart[:, found].mean()) if (found := members(shared, group)) else None for group in WANTED}
    means = apart.mean(axis=0)
    frame, control = np.unravel_index(int(apart.argmax()), apart.shape)
    return Difference(
        other.name,
        groups,
        (shared[int(means.argmax())], float(means.max())),
        (shared[int(control)], float(apart.max()), float(times[frame])),
    )
