"""An artefact that streams, run hop by hop: whoever runs one gives back its states with the next hop."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from targets.base import Runner
from targets.stream import Stream

Arrays = dict[str, NDArray[np.generic]]


class Streamed:
    """A running stream: the artefact and what it keeps from one hop to the next.

    Args:
        runner: of the artefact; a state that the runtime keeps is an input and an output of it under its one name.
        stream: how it is streamed, from its metadata.

    Raises:
        UserError: the artefact lacks a state that its metadata speak of.
    """

    def __init__(self, runner: Runner, stream: Stream) -> None:
        self._runner, self._stream = runner, stream
        shapes = dict(runner.inputs)
        for state in stream.states:
            if state.input not in shapes:
                raise UserError(
                    f"it has no input '{state.input}', which its metadata call a state", fix="compile it again"
                )
        self._states = {
            state.input: np.full(shapes.pop(state.input), state.reset, state.dtype) for state in stream.states
        }
        self._start = dict(self._states)
        self.inputs: Mapping[str, tuple[int, ...]] = shapes

    @property
    def stream(self) -> Stream:
        """How it is streamed."""
        return self._stream

    def reset(self) -> None:
        """Forget all that was heard."""
        self._states = dict(self._start)

    def start_here(self) -> None:
        """Let every reset lead to where it stands now."""
        self._start = dict(self._states)

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Arrays:
        """Push one hop; the outputs without the states."""
        outputs = self._runner.run({**inputs, **self._states})
        try:
            self._states = {state.input: outputs.pop(state.output) for state in self._stream.states}
        except KeyError as error:
            what = f"it has no output {error} of its own for each state, as its metadata say"
            raise UserError(what, fix="compile it again") from error
        return outputs


class AtTheEnd:
    """A stream as a :class:`targets.base.Runner` of windows: what it says when the window has been pushed whole.

    The first hop is filled up with zeros before the window, so that the last one ends with it.
    """

    def __init__(self, streamed: Streamed) -> None:
        self._streamed = streamed
        self.inputs = streamed.inputs

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Arrays:
        """The outputs of the last hop."""
        ((name, window),) = inputs.items()
        hop = self.inputs[name]
        axis = axis_of(hop, window.shape)
        missing = -window.shape[axis] % hop[axis]
        padded = np.pad(window, [(missing, 0) if at == axis else (0, 0) for at in range(window.ndim)])
        self._streamed.reset()
        outputs: Arrays = {}
        for part in cut(padded, hop, axis):
            outputs = self._streamed.run({name: part})
        return outputs


def axis_of(hop: tuple[int, ...], window: tuple[int, ...]) -> int:
    """The axis of time: the one on which the shape of a hop differs from that of a window."""
    return next((at for at, size in enumerate(hop) if size != window[at]), 0)


def cut(audio: NDArray[np.generic], hop: tuple[int, ...], axis: int) -> list[NDArray[np.generic]]:
    """Audio in hops; a rest that fills none is left out."""
    whole = audio.shape[axis] // hop[axis]
    parts = np.split(np.take(audio, range(whole * hop[axis]), axis), whole, axis)
    return [np.ascontiguousarray(part) for part in parts]
