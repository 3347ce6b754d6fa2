"""What travels in a streaming artefact, and how its states are fed back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from compile.errors import UserError
from targets.stream import KEY, State, Stream
from targets.streamed import Streamed

STREAM = Stream(4, 3, (State("state_0", "state_0_next", "int8", -5), State("state_1", "state_1_next")))


def test_there_and_back():
    assert Stream.from_metadata(STREAM.to_metadata(), "here") == STREAM


def test_other_storage():
    assert [(state.dtype, state.reset) for state in STREAM.unsigned().states] == [("uint8", 123), ("float32", 0)]
    assert [(state.dtype, state.reset) for state in STREAM.real().states] == [("float32", 0), ("float32", 0)]


def test_states_that_the_runtime_keeps():
    """They have one name, and begin as zeros, whatever meant 0 before."""
    kept = STREAM.kept()
    assert [(state.input, state.output, state.dtype, state.reset) for state in kept.states] == [
        ("state_0", "state_0", "float16", 0),
        ("state_1", "state_1", "float16", 0),
    ]
    assert all(state.kept for state in kept.states)
    assert not any(state.kept for state in STREAM.states)
    assert Stream.from_metadata(kept.to_metadata(), "here") == kept


def test_a_window_is_no_stream():
    with pytest.raises(UserError, match="compile it with --stream"):
        Stream.from_metadata({}, "student.onnx")


@pytest.mark.parametrize(
    "change",
    [
        {"hop": 0},
        {"hop": 1 << 40},
        {"hop": "many"},
        {"warm_up": -1},
        {"states": 3},
        {"states": [{"input": "a"}]},
        {"states": [{"input": "a", "output": "b", "dtype": "object", "reset": 0}]},
        {"states": [{"input": "a", "output": "b", "dtype": "int8", "reset": 128}]},
        {"states": [{"input": "a", "output": "a", "dtype": "float16", "reset": 1}]},
    ],
    ids=str,
)
def test_garbled(change):
    facts = json.loads(STREAM.to_metadata()[KEY]) | change
    with pytest.raises(UserError, match="garble"):
        Stream.from_metadata({KEY: json.dumps(facts)}, "student.onnx")


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 100_000])
def test_no_facts(text):
    with pytest.raises(UserError, match="garble"):
        Stream.from_metadata({KEY: text}, "student.onnx")


class Sum:
    """Adds what it hears to its state, and says the sum."""

    def __init__(self):
        self.inputs = {"x": (1,), "state_1": (1,)}

    def run(self, inputs):
        total = inputs["x"] + inputs["state_1"]
        return {"y": total, "state_1_next": total}


def test_states_are_fed_back():
    streamed = Streamed(Sum(), Stream(1, 1, (STREAM.states[1],)))
    heard = [streamed.run({"x": np.array([1.0], np.float32)})["y"].item() for _ in range(3)]
    assert heard == [1, 2, 3]
    streamed.reset()
    assert streamed.run({"x": np.array([5.0], np.float32)})["y"].item() == 5
    streamed.start_here()
    streamed.run({"x": np.array([5.0], np.float32)})
    streamed.reset()
    assert streamed.run({"x": np.array([1.0], np.float32)})["y"].item() == 6


def test_states_of_another_build():
    with pytest.raises(UserError, match="no input 'state_0'"):
        Streamed(Sum(), STREAM)
