"""An artefact as the rules see it: each constant once, with what is often asked of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from compile.audit.formats import FORMATS
from targets.base import Constant, Dissection, Files, Kind

if TYPE_CHECKING:  # the auditor reads artefacts without numpy
    import numpy as np
    from numpy.typing import NDArray

LEAST = 256  # bytes that a finding is about, at least
SHARE = 1000  # and this part of the artefact

# Bits of an element, for dtypes that weights are stored in.
BITS = {
    **dict.fromkeys(("uint1", "int1"), 1),
    **dict.fromkeys(("uint2", "int2"), 2),
    "uint3": 3,
    **dict.fromkeys(("uint4", "int4", "float4e2m1"), 4),
    "uint6": 6,
    **dict.fromkeys(("bool", "uint8", "int8", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"), 8),
    **dict.fromkeys(("uint16", "int16", "float16", "bfloat16"), 16),
    **dict.fromkeys(("uint32", "int32", "float32"), 32),
    **dict.fromkeys(("uint64", "int64", "float64"), 64),
}
_OF_NUMPY = ("bool", "uint8", "int8", "uint16", "int16", "float16", "uint32", "int32", "float32", "float64", "int64")


@dataclass(frozen=True)
class Evidence:
    """What a rule may look at.

    Attributes:
        dissection: of the artefact.
        files: its bytes.
        asked: the dtype that weights should have; empty for any.
    """

    dissection: Dissection
    files: Files
    asked: str = ""

    @cached_property
    def size(self) -> int:
        """Bytes of the artefact."""
        return sum(self.dissection.sizes.values())

    @cached_property
    def suffix(self) -> str:
        """Of the format: ``.onnx``, also where most of the bytes are in another file."""
        found = {PurePosixPath(part).suffix for name in self.dissection.sizes for part in PurePosixPath(name).parts}
        return next((known.suffix for known in FORMATS if known.suffix in found), "")

    @cached_property
    def worth(self) -> int:
        """Bytes below which nothing is worth a finding."""
        return max(LEAST, self.size // SHARE)

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """Every constant that has bytes; those that share them are one, under the first name."""
        first: dict[object, Constant] = {}
        readers: dict[object, dict[str, None]] = {}
        for constant in filter(stored, self.dissection.constants):
            first.setdefault(constant.places, constant)
            readers.setdefault(constant.places, {}).update(dict.fromkeys(constant.readers))
        return tuple(replace(constant, readers=tuple(readers[places])) for places, constant in first.items())

    @cached_property
    def weights(self) -> tuple[Constant, ...]:
        """Constants that are no parameters of quantisation, and large enough to be worth a finding."""
        return tuple(c for c in self.constants if c.kind is Kind.WEIGHTS and stored(c) >= self.worth)

    def is_read(self, constant: Constant) -> bool:
        """Some kernel reads it; in a file without any, as one of weights alone, whoever loads it does."""
        return bool(constant.readers) or not self.dissection.steps

    def content(self, constant: Constant) -> bytes:
        """The bytes of a constant in the order of its elements."""
        if len(constant.places) == 1:
            ((file, start, end),) = constant.places
            return self.files[file][start:end]
        return b"".join(self.files[file][start:end] for file, start, end in constant.places)

    def values(self, constant: Constant) -> NDArray[np.generic] | None:
        """The elements of a constant, in its shape; None where numpy has no such dtype or bytes and shape disagree."""
        import numpy as np

        if not plain(constant) or constant.dtype not in _OF_NUMPY:
            return None
        dtype = np.dtype(constant.dtype).newbyteorder("<")
        if len(constant.places) == 1:  # without a copy
            ((file, start, _),) = constant.places
            return np.frombuffer(self.files[file], dtype, elements(constant), start).reshape(constant.shape)
        return np.frombuffer(self.content(constant), dtype).reshape(constant.shape)


def stored(constant: Constant) -> int:
    """Bytes that its elements take in the file."""
    return sum(end - start for _, start, end in constant.places)


def elements(constant: Constant) -> int:
    """How many there are."""
    return prod(constant.shape)


def packed(constant: Constant, dtype: str = "") -> int:
    """Bytes that its elements take side by side, in ``dtype`` or else in their own; 0 where that has no fixed size."""
    return (elements(constant) * BITS.get(dtype or constant.dtype, 0) + 7) // 8


def plain(constant: Constant) -> bool:
    """Its bytes are its elements side by side."""
    return not constant.packed and stored(constant) == packed(constant) > 0


def matrix(constant: Constant) -> bool:
    """It has more than one dimension with more than one element; a bias and a scale have not."""
    return sum(size > 1 for size in constant.shape) > 1
