"""The whole target interface on one page.

A target is a folder with three files, found through the table in ``targets/catalogue.py``:

- ``lower.py``:   ``lower(model: Model) -> Artifact``, graph to bytes; nothing is decided there;
- ``dissect.py``: ``dissect(files: Files) -> Dissection``, bytes to labelled sections; trusts nothing, needs no runtime;
- ``run.py``:     ``load(path: Path) -> Runner``, to execute the artefact where this machine can.

``Files`` maps paths relative to the artefact's parent folder to their bytes; an artefact that is one file has
one entry, a package (``student.mlpackage/...``) several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the auditor reads artefacts without numpy
    import numpy as np
    from numpy.typing import NDArray

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Artifact:
    """What a target wrote: its name, and every file with its bytes."""

    target: str
    name: str
    files: Files


@dataclass(frozen=True)
class Examples:
    """A few inputs, and what an independent reference answers; of a stream, hops from its reset on.

    Attributes:
        count: of examples.
        inputs: by name, int16 ``[count, ...]``: an input is these numbers times its unit.
        units: by name; powers of two, so that float32 holds the inputs exactly.
        outputs: by name, float32 ``[count, ...]``: what to expect.
        allowed: by name, how far from it an answer may be.
    """

    count: int
    inputs: Mapping[str, NDArray[np.int16]]
    units: Mapping[str, float]
    outputs: Mapping[str, NDArray[np.float32]]
    allowed: Mapping[str, float]


@dataclass(frozen=True)
class Refusal:
    """Why a target cannot honour a node."""

    operator: str
    node: str
    reason: str


class Kind(str, Enum):
    """What a byte is for."""

    WEIGHTS = "weights"
    QUANTIZATION = "quantisation parameters"
    GRAPH = "graph"
    METADATA = "metadata"
    PADDING = "padding"
    UNMAPPED = "[unmapped]"


@dataclass(frozen=True)
class Section:
    """A labelled half-open byte range ``[start, end)`` of one file.

    Attributes:
        file: key into ``Files``.
        start: first byte.
        end: one past the last byte.
        kind: what the bytes are for.
        layer: the tensor or operator they belong to; empty for the file as a whole.
        dtype: element type of weights and parameters (numpy name); empty otherwise.
        resident: bytes that a constant takes once loaded, where its storage differs; None: as stored.
        operator: type of the operator that the bytes belong to, in the format's own words; a constant's is that of its
            first reader; empty for the file as a whole.
    """

    file: str
    start: int
    end: int
    kind: Kind
    layer: str = ""
    dtype: str = ""
    resident: int | None = None
    operator: str = ""


@dataclass(frozen=True)
class Constant:
    """A tensor that an artefact stores.

    Attributes:
        name: of the tensor; two constants may share their bytes, not their names.
        kind: ``Kind.WEIGHTS`` or ``Kind.QUANTIZATION``.
        dtype: of its elements, as in :class:`Section`.
        shape: in elements.
        places: (file, start, end) of its elements in their order; several when they are scattered.
        readers: names of the layers that read it; empty when nothing does.
        packed: how elements are stored: empty for as many bits as ``dtype`` has, else in words (``varint``).
    """

    name: str
    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    places: tuple[tuple[str, int, int], ...]
    readers: tuple[str, ...] = ()
    packed: str = ""


@dataclass(frozen=True)
class Lifetime:
    """An activation tensor: its bytes, and the first and last step (inclusive) at which it must exist.

    A step is the execution of one kernel, counted from 0. A graph input lives throughout, for no runtime overwrites
    what its caller gave, and so does a state that the runtime keeps; a graph output lives to the last step. Values that
    share memory in the target (a reshape that copies nothing, an operator in place) are one lifetime, under the name of
    the first.
    """

    tensor: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Dissection:
    """What an artefact is made of, read from its bytes alone.

    The sections of each file are sorted, do not overlap and sum to the file's size; constants stored outside
    any section do not exist. ``unknown`` names what the bytes do not tell (an activation of dynamic shape, weights
    kept elsewhere): a budget over it cannot be passed. ``steps`` names the kernels, one for each step of the lifetimes;
    ``alignment`` is what the target gives tensors in its arena, in bytes. ``notes`` say what the sizes assume where
    the runtime's ways are not known.
    """

    sizes: Mapping[str, int]
    sections: tuple[Section, ...]
    lifetimes: tuple[Lifetime, ...]
    metadata: Mapping[str, str]
    unknown: tuple[str, ...] = ()
    constants: tuple[Constant, ...] = ()
    steps: tuple[str, ...] = ()
    alignment: int = 64
    notes: tuple[str, ...] = ()


class Runner(Protocol):
    """An artefact ready to execute on this machine."""

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input, by name."""
        ...

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Execute once; names, shapes and dtypes are those of the model's inputs and outputs."""
        ...
