"""What travels in every artefact of a face, and what of it nobody could drive a face by."""

from __future__ import annotations

import pytest

from compile.errors import UserError
from targets.face import Face

FACE = Face(16_000, 50.0, 8_192, 256.0, ("jawOpen", "mouthClose"))


@pytest.mark.parametrize("bounded", [True, False])
def test_there_and_back(bounded: bool) -> None:
    face = Face(48_000, 59.94, 24_000, 0.0, ("a",), bounded)
    assert Face.from_metadata(face.to_metadata(), "here") == face


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sample_rate", "0"),
        ("sample_rate", "-16000"),
        ("sample_rate", "fast"),
        ("frame_rate", "nan"),
        ("frame_rate", "0"),
        ("frame_rate", "inf"),
        ("window", "0"),
        ("window", "99999999999"),
        ("look_ahead_ms", "-1"),
        ("look_ahead_ms", "513"),  # the window has 512
        ("look_ahead_ms", "nan"),
        ("controls", "3"),
        ("controls", '["a", 1]'),
        ("controls", "["),
        ("controls", "[]"),
        ("controls", '["jaw", "jaw"]'),
        ("controls", '["jaw", ""]'),
        ("bounded", "maybe"),
    ],
)
def test_none_that_could_be_driven(key: str, value: str) -> None:
    with pytest.raises(UserError, match=r"here\.onnx.*garbles"):
        Face.from_metadata(FACE.to_metadata() | {f"phiz.{key}": value}, "here.onnx")
