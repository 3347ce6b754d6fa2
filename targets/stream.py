"""What a runtime must know to run an artefact hop by hop; it travels in every streaming artefact as ``phiz.stream``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from compile.errors import UserError

STREAM = "+stream"  # behind a target's name: its artefacts compute hop by hop
KEY = "phiz.stream"
# Of states, and what they may be reset to.
DTYPES = {"float16": (0, 0), "float32": (0, 0), "int8": (-128, 127), "uint8": (0, 255)}
_MOST = 1 << 31  # samples of a hop, hops of a warm-up: what claims more is corrupt


def family(target: str) -> str:
    """The target without its form and without ``+stream``: ``coreml`` of ``coreml:ios18+stream``."""
    return target.removesuffix(STREAM).partition(":")[0]


@dataclass(frozen=True)
class State:
    """What is kept from one hop to the next: an output of the artefact, given back as an input.

    Its layout is the artefact's own business; both ends have the same shape and type. Where the runtime keeps it, both
    ends are the name of the state there.

    Attributes:
        input: name.
        output: name.
        dtype: of its elements, by numpy's name.
        reset: what to fill it with before the first hop: the number that means 0.
    """

    input: str
    output: str
    dtype: str = "float32"
    reset: int = 0

    @property
    def kept(self) -> bool:
        """Whether the runtime keeps it, under the one name that it has: it is neither given nor taken back."""
        return self.input == self.output


@dataclass(frozen=True)
class Stream:
    """How an artefact is streamed.

    Attributes:
        hop: new steps of the input (of a face: samples) for each run.
        warm_up: hops after which nothing is left of the reset; from then on the outputs are those of the window that
            ends with the hop.
        states: in the order of the artefact's inputs.
    """

    hop: int
    warm_up: int
    states: tuple[State, ...]

    def to_metadata(self) -> dict[str, str]:
        """As the string that travels in every artefact."""
        return {KEY: json.dumps(asdict(self), separators=(",", ":"))}

    def unsigned(self) -> Stream:
        """The same where int8 states are stored as uint8, each number larger by 128."""
        return self._stored(lambda state: replace(state, dtype="uint8", reset=state.reset + 128))

    def real(self) -> Stream:
        """The same where int8 states are stored as the numbers that they mean."""
        return self._stored(lambda state: replace(state, dtype="float32", reset=0))

    def kept(self) -> Stream:
        """The same where the runtime keeps the states, as Core ML does from iOS 18 on: in float16, made of zeros."""
        return replace(self, states=tuple(State(state.input, state.input, "float16") for state in self.states))

    def _stored(self, otherwise: Callable[[State], State]) -> Stream:
        states = (otherwise(state) if state.dtype == "int8" else state for state in self.states)
        return replace(self, states=tuple(states))

    @staticmethod
    def from_metadata(metadata: Mapping[str, str], where: str) -> Stream:
        """Read back :meth:`to_metadata`.

        Raises:
            UserError: it is missing or malformed; ``where`` names the artefact.
        """
        if KEY not in metadata:
            fix = "compile it with --stream; what is there takes a whole window for each frame"
            raise UserError(f"not a streaming artefact: its metadata lack {KEY}", where=where, fix=fix)
        try:
            facts: Any = json.loads(metadata[KEY])
            states = tuple(
                State(str(each["input"]), str(each["output"]), str(each["dtype"]), int(each["reset"]))
                for each in facts["states"]
            )
            for state in states:
                least, most = DTYPES[state.dtype]
                if not least <= state.reset <= most:
                    raise ValueError(f"{state.dtype} has no {state.reset}")
            stream = Stream(int(facts["hop"]), int(facts["warm_up"]), states)
            if not (0 < stream.hop < _MOST and 0 <= stream.warm_up < _MOST):
                raise ValueError("hop or warm_up is out of range")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            what = f"its metadata garble {KEY}: {type(error).__name__} {error}"
            raise UserError(what, where=where, fix="compile it again") from error
        return stream
