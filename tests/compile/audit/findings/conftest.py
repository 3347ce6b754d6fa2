"""Dissections made by hand: arrays side by side in one file, each with its section and its constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from targets.base import Constant, Dissection, Kind, Section


@dataclass
class Draft:
    """An artefact in the making; ``steps`` may be emptied for a file of weights alone."""

    name: str = "m.onnx"
    data: bytes = b""
    sections: list[Section] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    steps: tuple[str, ...] = ("conv",)

    def put(self, content: bytes, kind: Kind, layer: str = "", dtype: str = "") -> tuple[str, int, int]:
        start, self.data = len(self.data), self.data + content
        self.sections.append(Section(self.name, start, len(self.data), kind, layer, dtype))
        return self.name, start, len(self.data)

    def add(self, name: str, array: NDArray[Any], content: bytes | None = None, **given: Any) -> Constant:
        """A constant with the elements of ``array``, or stored as ``content``; returns it."""
        constant = Constant(
            **{
                "name": name,
                "kind": Kind.WEIGHTS,
                "dtype": str(array.dtype),
                "shape": array.shape,
                "places": (),
                "readers": ("conv",),
                **given,
            }
        )
        place = self.put(array.tobytes() if content is None else content, constant.kind, name, constant.dtype)
        constant = Constant(**{**vars(constant), "places": given.get("places", (place,))})
        self.constants.append(constant)
        return constant

    def dissection(self) -> Dissection:
        return Dissection(
            {self.name: len(self.data)},
            tuple(self.sections),
            (),
            {},
            constants=tuple(self.constants),
            steps=self.steps,
        )

    @property
    def files(self) -> Mapping[str, bytes]:
        return {self.name: self.data}


@pytest.fixture
def draft() -> Draft:
    return Draft()


@pytest.fixture
def drafts() -> type[Draft]:
    return Draft


@pytest.fixture
def trained() -> NDArray[np.int8]:
    """Weights as training leaves them, int8 with a scale for each of the 64 channels; 8,192 bytes."""
    values = np.random.default_rng(5).normal(size=(64, 128))
    return np.rint(values / np.abs(values).max(1, keepdims=True) * 127).astype(np.int8)
