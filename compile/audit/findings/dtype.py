"""Weights that are not in the dtype asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compile.audit.findings.evidence import LEAST, Evidence, matrix, packed, stored
from compile.audit.findings.finding import SHOWN, Finding, listed
from compile.units import counted, short_size
from targets.base import Constant, Kind

# What can be asked for, and what counts as it: a sign costs no byte.
ASKED = {
    "int4": ("int4", "uint4"),
    "int8": ("int8", "uint8"),
    "uint8": ("int8", "uint8"),
    "int16": ("int16", "uint16"),
    "float16": ("float16",),
    "bfloat16": ("bfloat16",),
    "float32": ("float32",),
}
_NO_WEIGHTS = ("bool", "int32", "uint32", "int64", "uint64", "")  # masks, biases, indices, shapes, texts
_OF_SCHEME = {"w8a8": "int8", "w8-dynamic": "int8", "w8": "int8", "float16": "float16", "float": "float32"}


def claimed(schemes: Iterable[str], instead: Mapping[str, str]) -> str:
    """The dtype that a build's plan gives all weights of a target; empty where layers differ, as after lifting.

    Args:
        schemes: of every node, as the manifest says.
        instead: schemes that the target computes as others, as the catalogue says.
    """
    dtypes = {_OF_SCHEME.get(instead.get(scheme, scheme), "") for scheme in schemes}
    return dtypes.pop() if len(dtypes) == 1 else ""


def wrong_dtype(evidence: Evidence) -> tuple[Finding, ...]:
    """Weights in another dtype than was asked for; what is to be won are elements, of which scales take a little."""
    asked = evidence.asked
    wrong = unlike(evidence.constants, asked)
    if not wrong:
        return ()
    saves = sum(max(stored(constant) - packed(constant, asked), 0) for constant in wrong)
    names = tuple(constant.name for constant in wrong[:SHOWN])
    fix = f"convert them to {asked}, or ask for another dtype"
    return (Finding("dtype", complaint(wrong, asked), fix, saves, names),)


def unlike(constants: Sequence[Constant], asked: str) -> tuple[Constant, ...]:
    """The weights among ``constants`` that are in another dtype, largest first; those that share their bytes once.

    Exempt are biases: what has one dimension, or takes less than 256 bytes.

    Args:
        constants: of a dissection.
        asked: one of ``ASKED``; nothing is unlike what is empty.
    """
    if not asked:
        return ()
    by_place = {constant.places: constant for constant in reversed(constants)}  # the first name wins
    wrong = [c for c in reversed(by_place.values()) if _is_weight(c) and c.dtype not in ASKED[asked]]
    return tuple(sorted(wrong, key=stored, reverse=True))


def complaint(wrong: Sequence[Constant], asked: str) -> str:
    """One sentence about weights that are :func:`unlike`."""
    dtypes = ", ".join(dict.fromkeys(constant.dtype for constant in wrong))
    names = [constant.name for constant in wrong]
    verb = "is" if len(wrong) == 1 else "are"
    size = short_size(sum(map(stored, wrong)))
    return f"{counted(len(wrong), 'weight')} of {size} should be {asked} but {verb} {dtypes}: {listed(names)}"


def _is_weight(constant: Constant) -> bool:
    return (
        constant.kind is Kind.WEIGHTS
        and constant.dtype not in _NO_WEIGHTS
        and matrix(constant)
        and stored(constant) >= LEAST
    )
