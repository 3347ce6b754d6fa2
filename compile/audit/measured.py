"""How much memory a model takes in its own runtime: measured in fresh processes, each with a limit of time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Growth of a process that loads and runs a model, over the same process with only the runtime imported.

    Attributes:
        runtime: its name and version.
        loaded: bytes after the model was loaded; as all of these, the median of several processes.
        first: after the first inference.
        last: after the hundredth.
        spread: between the least and the most that any process took after the hundredth, in bytes.
        processes: how many were measured.
    """

    runtime: str
    loaded: int
    first: int
    last: int
    spread: int
    processes: int
