"""What is judged of a face, in terms of its controls: groups of them, and how far lips close and round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from distill.controls import LIPS

Array = NDArray[np.float64]

# Patterns of control names; a control may be in several. A face without a group's controls is not judged by it.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": ("*",),
    "mouth": ("jaw*", "mouth*"),
    "jaw": ("jaw*",),
    "lips": ("mouth*",),
    "tongue": ("tongue*",),
    "cheeks": ("cheek*", "nose*"),
    "brows": ("brow*",),
    "eyes": ("eye*",),
}

# Measures: the control and its share.
CLOSURE: Mapping[str, float] = {LIPS[0]: 1.0, LIPS[1]: 0.5, LIPS[2]: 0.5}
ROUNDING: Mapping[str, float] = {"mouthPucker": 1.0, "mouthFunnel": 1.0}
JAW: Mapping[str, float] = {"jawOpen": 1.0}


def members(controls: Sequence[str], group: str) -> list[int]:
    """Places of a group's controls among ``controls``."""
    return [
        index for index, name in enumerate(controls) if any(fnmatchcase(name, pattern) for pattern in GROUPS[group])
    ]


def has(controls: Sequence[str], measure: Mapping[str, float]) -> bool:
    """Whether the measure can be taken of these controls."""
    return measure.keys() <= set(controls)


def measured(curves: NDArray[np.float32], controls: Sequence[str], measure: Mapping[str, float]) -> Array:
    """A measure of ``curves`` [frames, controls], ``[frames]``."""
    total = np.zeros(len(curves))
    for name, share in measure.items():
        total += share * curves[:, controls.index(name)].astype(np.float64)
    return total
