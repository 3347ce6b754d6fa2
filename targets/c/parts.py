"""A lowered program before it is text: what both files are put together from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from targets.c.emitter import Buffer, Step, Table
from targets.c.interface import Port
from targets.c.source import identifier
from targets.c.weights import Weights
from targets.face import Face
from targets.stream import Stream


@dataclass(frozen=True)
class Parts:
    """What the files are put together from.

    Attributes:
        name: of the files.
        ports: inputs, outputs and states.
        steps: the blocks of the one function that computes.
        tables: constants by name.
        buffers: by name.
        offsets: of those in scratch memory, in bytes.
        size: of the scratch memory, in bytes.
        stream: how it is streamed; None for one that takes windows.
        metadata: ``phiz.*``.
        weights: the file that the tables are in; None where they are in the source.
    """

    name: str
    ports: tuple[Port, ...]
    steps: list[Step]
    tables: Mapping[str, Table]
    buffers: Mapping[str, Buffer]
    offsets: Mapping[str, int]
    size: int
    stream: Stream | None
    metadata: Mapping[str, str]
    weights: Weights | None = None

    @property
    def word(self) -> str:
        """What all identifiers begin with."""
        return identifier(self.name)

    def of(self, kind: str) -> list[Port]:
        """The ports of a kind."""
        return [port for port in self.ports if port.kind == kind]

    @property
    def face(self) -> Face | None:
        """What it drives; None for a network of another kind."""
        return Face.from_metadata(self.metadata, self.name) if "phiz.controls" in self.metadata else None

    @property
    def memory(self) -> str:
        """What the function that computes keeps, or works in: ``state`` or ``scratch``."""
        return "scratch" if self.stream is None else "state"

    @property
    def function(self) -> str:
        """The name of the function that computes."""
        return f"{self.word}_{'window' if self.stream is None else 'push_hop'}"

    @property
    def signature(self) -> str:
        """The function that computes."""
        given = [f"{self.word}_{self.memory} *{self.memory}"]
        given += ["const void *weights"] if self.weights is not None else []
        given += [f"const {port.ctype} *{port.identifier}" for port in self.of("input")]
        given += [f"{port.ctype} *{port.identifier}" for port in self.of("output")]
        return f"void {self.function}({', '.join(given)})"

    @property
    def names(self) -> str:
        """The declaration of the controls' names, for a face."""
        return f"const char *const {self.word}_controls[{self.word.upper()}_CONTROLS]"
